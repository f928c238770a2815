"""Quadrotors through the extension: dynamics, derivatives, bounds, gains, rollouts and bad specs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pinocchio
import pytest

from sobo_planner import _native
from sobo_planner.errors import SolverError
from sobo_planner.solver import Guess, Instance, Solution, Solver, SolverOptions

DT, HORIZON, MASS, GRAVITY = 0.03, 60, 1.0, 9.81
INERTIA = np.array([0.01, 0.012, 0.02])
HOVER = np.full(4, MASS * GRAVITY / 4)
LOWER, UPPER, FLOOR, CEILING = 0.0, 6.0, 0.2, 1.5
EXACT = SolverOptions(tol=1e-8, early_stop=0.0)
NONE = np.zeros((0, 3))
ONE = np.array([[1.0, 0.05, 0.3]])


def weights(position: float, rest: float, control: float) -> _native.ReachWeights:
    w = _native.ReachWeights()
    w.position = np.full(3, position)
    w.state, w.state_reference = np.repeat([0.0, rest], [3, 9]), np.zeros(12)
    w.control, w.control_reference = np.full(4, control), HOVER
    return w


def make_spec(columns: np.ndarray = NONE, bounds: bool = True) -> _native.QuadrotorSpec:
    spec = _native.QuadrotorSpec()
    spec.horizon, spec.dt, spec.mass, spec.gravity, spec.inertia = HORIZON, DT, MASS, GRAVITY, INERTIA
    arm = 0.2 / np.sqrt(2.0)
    signs = np.array([[1, 1, 1, 1], [1, -1, -1, 1], [-1, -1, 1, 1], [1, -1, 1, -1]])
    spec.actuation = np.array([1.0, arm, arm, 0.02])[:, None] * signs
    spec.running, spec.terminal = weights(10 * DT, 0.1 * DT, 0.1 * DT), weights(1000.0, 10.0, 0.0)
    if bounds:
        spec.control = _native.Box(np.full(4, LOWER), np.full(4, UPPER))
        spec.height = _native.Box(np.array([FLOOR]), np.array([CEILING]))
    spec.columns = columns
    return spec


@dataclasses.dataclass(frozen=True)
class Quadrotor:
    """A problem for the solver from a native spec."""

    spec: _native.QuadrotorSpec

    def make_worker(self) -> _native.Worker:
        return _native.Worker(self.spec)


def straight(x0: np.ndarray, target: np.ndarray) -> Guess:
    share = np.linspace(0.0, 1.0, HORIZON + 1)[:, None]
    X = np.zeros((HORIZON + 1, 12))
    X[:, :3] = (1 - share) * x0[:3] + share * target
    return Guess(X, np.tile(HOVER, (HORIZON, 1)))


def reach(spec: _native.QuadrotorSpec, options: SolverOptions | None = None) -> tuple[Instance, Solution]:
    instance = Instance(np.r_[0.0, 0.0, 1.0, np.zeros(9)], np.array([2.0, 0.0, 1.0]))
    return instance, Solver(Quadrotor(spec), options).solve(instance, straight(instance.x0, instance.target))


def random_state(rng: np.random.Generator, angle: float) -> np.ndarray:
    x = rng.normal(size=12)
    x[3:6] *= angle / np.linalg.norm(x[3:6])
    return x


def numeric_jacobian(f: Callable[[np.ndarray], np.ndarray], z: np.ndarray, h: float = 1e-6) -> np.ndarray:
    return np.array([(f(z + h * e) - f(z - h * e)) / (2 * h) for e in np.eye(len(z))]).T


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.999, 1.001, 2.5, np.pi, 4.0])
def test_a_step_against_a_floating_base(angle: float) -> None:
    """Accelerations from Pinocchio's forward dynamics, the attitude by composing rotations."""
    rng = np.random.default_rng(4)
    model = pinocchio.Model()
    joint = model.addJoint(0, pinocchio.JointModelFreeFlyer(), pinocchio.SE3.Identity(), "root")
    model.appendBodyToJoint(joint, pinocchio.Inertia(MASS, np.zeros(3), np.diag(INERTIA)), pinocchio.SE3.Identity())
    model.gravity.linear = np.array([0.0, 0.0, -GRAVITY])
    spec, x, u = make_spec(), random_state(rng, angle), rng.uniform(LOWER, UPPER, 4)
    R = pinocchio.exp3(x[3:6])
    v, omega = x[6:9], x[9:]
    thrust, *torque = spec.actuation @ u
    q = np.concatenate([x[:3], pinocchio.Quaternion(R).coeffs()])
    a = pinocchio.aba(model, model.createData(), q, np.r_[R.T @ v, omega], np.r_[0.0, 0.0, thrust, torque])
    after = _native.quadrotor_step(spec, x, u)
    v_after, omega_after = v + DT * R @ (a[:3] + np.cross(omega, R.T @ v)), omega + DT * a[3:]
    np.testing.assert_allclose(after[6:9], v_after, atol=1e-10)
    np.testing.assert_allclose(after[9:], omega_after, atol=1e-10)
    np.testing.assert_allclose(after[:3], x[:3] + DT * v_after, atol=1e-10)
    # The rotation vector is integrated to first order, so its error falls with the square of the step.
    errors = []
    for share in (1.0, 0.1):
        spec.dt = share * DT
        after = _native.quadrotor_step(spec, x, u)
        turned = R @ pinocchio.exp3(spec.dt * after[9:])
        errors.append(np.linalg.norm(pinocchio.log3(pinocchio.exp3(after[3:6]).T @ turned)))
    assert errors[0] < 5.0 * DT**2
    assert errors[1] < 0.02 * errors[0] + 1e-12


def test_attitude_has_no_jump_at_half_a_turn() -> None:
    spec, x = make_spec(), np.zeros(12)
    x[9] = 2.0
    X = _native.quadrotor_simulate(spec, x, np.tile(HOVER, (90, 1)))
    np.testing.assert_allclose(X[:, 3], 2.0 * DT * np.arange(91), atol=1e-9)
    assert X[-1, 3] > 5.0


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.999, 1.001, 3.0, 4.5])
def test_dynamics_jacobians_against_finite_differences(angle: float) -> None:
    """Of the solver's result after no step: at the given states."""
    rng = np.random.default_rng(5)
    spec = make_spec(bounds=False)
    X = np.array([random_state(rng, angle) for _ in range(HORIZON + 1)])
    U = rng.uniform(LOWER, UPPER, (HORIZON, 4))
    huge = SolverOptions(tol=1e12, retry=False)
    solution = Solver(Quadrotor(spec), huge).solve(Instance(X[0], np.zeros(3)), Guess(X, U))
    assert solution.iterations == 0
    for t in range(0, HORIZON, 7):
        numeric = numeric_jacobian(lambda z: _native.quadrotor_step(spec, z[:12], z[12:]), np.r_[X[t], U[t]])
        np.testing.assert_allclose(np.hstack([solution.A[t], solution.B[t]]), numeric, atol=1e-6)


def clearance(X: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.linalg.norm(X[:, None, :2] - columns[:, :2], axis=2) - columns[:, 2]


def test_a_flight_keeps_its_limits_and_converges() -> None:
    columns = np.array([[1.0, 0.05, 0.3], [1.6, -0.7, 0.3]])
    spec = make_spec(columns)
    instance, solution = reach(spec)
    assert solution.converged
    assert np.linalg.norm(solution.X[-1, :3] - instance.target) < 0.02
    assert solution.U.min() > LOWER - 1e-3
    assert solution.U.max() < UPPER + 1e-3
    assert solution.X[:, 2].min() > FLOOR - 1e-3
    assert solution.X[:, 2].max() < CEILING + 1e-3
    assert -1e-3 < clearance(solution.X, columns).min() < 1e-3  # the straight way leads through a column
    steps = [_native.quadrotor_step(spec, x, u) for x, u in zip(solution.X, solution.U, strict=False)]
    np.testing.assert_allclose(steps, solution.X[1:], atol=1e-3)


BLOCKED = [([-2.5, 2.0], [2.3, -2.6]), ([0.7, 3.0], [2.7, -0.2]), ([0.7, -2.6], [-0.6, 3.0])]


@pytest.mark.parametrize(("start", "goal"), BLOCKED)
def test_flights_among_nine_columns_are_not_blocked_by_the_filter(start: list[float], goal: list[float]) -> None:
    """Merits of early iterates, under other multipliers, would stop every later step of these."""
    grid = np.array([[x, y, 0.3] for x in (-1.5, 0.0, 1.5) for y in (-1.5, 0.0, 1.5)])
    instance = Instance(np.r_[start, 1.0, np.zeros(9)], np.r_[goal, 1.0])
    solver = Solver(Quadrotor(make_spec(grid)), SolverOptions(retry=False))
    solution = solver.solve(instance, straight(instance.x0, instance.target))
    assert solution.converged
    assert clearance(solution.X, grid).min() > -1e-3


@pytest.mark.parametrize(("low", "high"), [(0.98, 2.0), (0.2, 1.02)])
def test_floor_and_ceiling_hold_where_the_optimum_would_pass_them(low: float, high: float) -> None:
    """The height bounds lie between a start on one side and a target beyond them."""
    spec = make_spec()
    free = make_spec(bounds=False)
    spec.height = _native.Box(np.array([low]), np.array([high]))
    outside = 0.5 if low > 0.5 else 1.5
    instance = Instance(np.r_[0.0, 0.0, 1.0, np.zeros(9)], np.array([1.0, 0.0, outside]))
    guess = straight(instance.x0, np.array([1.0, 0.0, 1.0]))
    bounded, unbounded = (Solver(Quadrotor(s)).solve(instance, guess).X[1:-1, 2] for s in (spec, free))
    assert bounded.min() > low - 1e-3
    assert bounded.max() < high + 1e-3
    assert unbounded.min() < low - 0.1 or unbounded.max() > high + 0.1


def test_cost_against_its_formula() -> None:
    rng = np.random.default_rng(6)
    X, U, target = rng.normal(size=(HORIZON + 1, 12)), rng.normal(size=(HORIZON, 4)), rng.normal(size=3)
    error, rest = ((X[:, :3] - target) ** 2).sum(1), (X[:, 3:] ** 2).sum(1)
    running = DT * (10 * error[:-1] + 0.1 * rest[:-1] + 0.1 * ((U - HOVER) ** 2).sum(1)).sum()
    expected = running + 1000 * error[-1] + 10 * rest[-1]
    assert Solver(Quadrotor(make_spec())).cost(X, U, target) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("columns", [NONE, ONE], ids=["free", "column"])
def test_gains_are_the_derivatives_of_the_optimum(columns: np.ndarray) -> None:
    solver = Solver(Quadrotor(make_spec(columns, bounds=False)), EXACT)
    instance, first = reach(make_spec(columns, bounds=False), EXACT)
    optimum = solver.solve(instance, Guess(first.X, first.U))
    if len(columns):
        assert abs(clearance(optimum.X, columns).min()) < 1e-5
    h = 1e-4
    start = Guess(optimum.X, optimum.U)
    du, dx = [], []
    for step in h * np.eye(12):
        up, down = (solver.solve(Instance(instance.x0 + sign * step, instance.target), start) for sign in (1.0, -1.0))
        du.append((up.U[0] - down.U[0]) / (2.0 * h))
        dx.append((up.X - down.X) / (2.0 * h))
    assert np.linalg.norm(optimum.K[0] - np.array(du).T) < 0.01 * np.linalg.norm(du)
    Phi = [np.eye(12)]
    for A, B, K in zip(optimum.A, optimum.B, optimum.K, strict=True):
        Phi.append((A + B @ K) @ Phi[-1])
    dx = np.moveaxis(np.array(dx), 0, -1)
    assert np.linalg.norm(np.array(Phi) - dx) < 0.01 * np.linalg.norm(dx)


@pytest.mark.parametrize("blend", [0.0, 0.5, 1.0])
def test_tracking_a_flight_reproduces_it(blend: float) -> None:
    spec = make_spec(ONE)
    instance, solution = reach(spec)
    flown = _native.quadrotor_simulate(spec, instance.x0, np.clip(solution.U, LOWER, UPPER))
    limits = np.full(4, LOWER), np.full(4, UPPER)
    X, U = _native.quadrotor_track(spec, instance.x0, flown[1:], blend, *limits)
    np.testing.assert_allclose(X, flown, atol=1e-6)
    np.testing.assert_allclose(U, np.clip(solution.U, LOWER, UPPER), atol=1e-6)


def test_tracking_corrects_attitude_and_height_within_the_limits() -> None:
    spec = make_spec()
    hover, away = np.r_[0.0, 0.0, 1.0, np.zeros(9)], np.zeros(12)
    away[[2, 3, 4, 5]] = 0.05, 0.1, -0.1, 0.1
    limits = np.full(4, LOWER), np.full(4, UPPER)
    X, U = _native.quadrotor_track(spec, hover + away, np.tile(hover, (60, 1)), 0.3, *limits)
    assert U.min() >= LOWER
    assert U.max() <= UPPER
    np.testing.assert_allclose(X[-1, 2:6], hover[2:6], atol=1e-3)
    np.testing.assert_array_equal(_native.quadrotor_simulate(spec, X[0], U), X)


SPOILT = [
    ("dt", 0.0, "dt must be a positive number, got 0.0"),
    ("mass", -1.0, "mass must be a positive number, got -1.0"),
    ("mass", np.nan, "mass must be a positive number, got nan"),
    ("inertia", np.array([0.01, 0.0, 0.01]), "every moment of inertia must be a positive number, got 0.0"),
    ("gravity", np.inf, "gravity must be finite, got inf"),
    ("actuation", np.ones((4, 4)), "the actuation matrix.*must be finite and invertible"),
    ("actuation", np.full((4, 4), np.nan), "the actuation matrix.*must be finite and invertible"),
    ("horizon", 0, "the horizon must be at least 1 step, got 0"),
    ("columns", np.array([[0, 0, 0.3], [0, 0, -0.1]]), "column 1 must have a positive radius, got -0.1"),
    ("columns", np.array([[np.nan, 0, 0.3]]), "column 0 holds a NaN or an infinity"),
    ("height", _native.Box(np.array([2.0]), np.array([1.0])), "height bounds are infeasible: entry 0 has lower 2.0"),
    ("height", _native.Box(np.zeros(2), np.ones(2)), "height bounds have 2 and 2 entries, expected 1"),
    ("control", _native.Box(np.zeros(3), np.ones(3)), "control bounds have 3 and 3 entries, expected 4"),
    ("running", weights(-1.0, 0.1, 0.1), "cost weights must be non-negative numbers, got -1.0"),
    ("terminal", weights(1.0, np.nan, 0.1), "cost weights must be non-negative numbers, got nan"),
    ("running", _native.ReachWeights(), "cost weights must have 12 state and 4 control entries"),
]


def oriented() -> _native.ReachWeights:
    w = weights(1.0, 0.1, 0.1)
    w.orientation = np.array([0.0, 0.0, 1.0])
    return w


@pytest.mark.parametrize(("name", "value", "message"), [*SPOILT, ("terminal", oriented(), "no orientation weights")])
def test_bad_specs_are_named(name: str, value: object, message: str) -> None:
    spec = make_spec()
    setattr(spec, name, value)
    with pytest.raises(SolverError, match=message):
        _native.Worker(spec)


def test_wrong_sizes_are_named() -> None:
    spec, x, u = make_spec(), np.zeros(12), np.zeros(4)
    with pytest.raises(SolverError, match="x has 11 entries, expected 12"):
        _native.quadrotor_step(spec, x[1:], u)
    with pytest.raises(SolverError, match="a row of U has 3 entries, expected 4"):
        _native.quadrotor_simulate(spec, x, np.zeros((5, 3)))
    with pytest.raises(SolverError, match="a row of the desired states has 11 entries, expected 12"):
        _native.quadrotor_track(spec, x, np.zeros((5, 11)), 0.5, u, u)
    with pytest.raises(SolverError, match="the lower limit has 3 entries, expected 4"):
        _native.quadrotor_track(spec, x, np.zeros((5, 12)), 0.5, u[1:], u)
