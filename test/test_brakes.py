"""Brakes: every moving arm comes to rest within its limits, or is told why not."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sobo_planner.errors import PlanningError
from sobo_planner.motion import Motion, StopTouchesError, Timeline
from sobo_planner.motion.braking import DECELERATION, SHARE, Brakes, braking
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.config import TrackingConfig
from sobo_planner.world import Pose, Sphere, World, WorldObject

N = 6
# Joints that brake all at once may need more torque than there is: they have this much more room than alone [rad].
ROOM = 0.05
# Deceleration of the arm as shipped [rad/s^2]: nearly all of its limit of 8.
USUAL = SHARE * 8.0

shares = st.lists(st.floats(-1.0, 1.0), min_size=N, max_size=N)


@pytest.fixture(scope="module")
def brakes(task: ArmReach) -> Brakes:
    return Brakes(task, PlanChecker(task))


def moving(task: ArmReach, positions: list[float], speeds: list[float]) -> np.ndarray:
    """A state within the limits whose joints have room to brake."""
    robot = task.robot
    v = np.array(speeds) * robot.velocity_limit
    way = v**2 / (2.0 * USUAL) + ROOM
    lower = robot.position_lower + np.where(v < 0, way, 0.0)
    upper = robot.position_upper - np.where(v > 0, way, 0.0)
    return np.concatenate([lower + 0.5 * (np.array(positions) + 1.0) * (upper - lower), v])


@given(shares, shares)
def test_braking_ends_at_rest_within_the_limits(task: ArmReach, positions: list[float], speeds: list[float]) -> None:
    x = moving(task, positions, speeds)
    guess = braking(task, x)
    assert guess.X.shape == (task.horizon + 1, 2 * N) and guess.U.shape == (task.horizon, N)
    np.testing.assert_array_equal(guess.X[0], x)
    steps = zip(guess.X, guess.U, strict=False)
    replayed = np.array([task.robot.step(*pair, task.dt, task.integrator) for pair in steps])
    np.testing.assert_allclose(replayed, guess.X[1:], atol=1e-12)
    assert (np.abs(guess.U) <= task.torque_limit).all()
    assert np.abs(guess.X[-1, N:]).max() < 1e-3
    assert (guess.X[:, :N] >= task.robot.position_lower - 1e-3).all()
    assert (guess.X[:, :N] <= task.robot.position_upper + 1e-3).all()
    assert (np.abs(guess.X[:, N:]) <= task.robot.velocity_limit + 1e-9).all()
    assert (np.abs(np.diff(guess.X[:, N:], axis=0)) <= (USUAL + 1e-6) * task.dt).all()


@given(shares, shares)
def test_braking_takes_no_longer_than_its_deceleration(
    task: ArmReach, positions: list[float], speeds: list[float]
) -> None:
    x = moving(task, positions, speeds)
    X = braking(task, x).X
    stopped = int(np.ceil(np.abs(x[N:]).max() / USUAL / task.dt)) + 1
    assert np.abs(X[stopped:, N:]).max() < 1e-3
    way = x[N:] ** 2 / (2.0 * USUAL)
    assert (np.abs(X[-1, :N] - x[:N]) <= way + ROOM).all()


@pytest.mark.parametrize("name, room, usual", [("unlimited", 0.08, DECELERATION), ("task", 0.255, USUAL)])
def test_a_joint_near_its_limit_brakes_harder(
    name: str, room: float, usual: float, home: np.ndarray, request: pytest.FixtureRequest
) -> None:
    """Where the usual deceleration would run into it, and as long as its acceleration limit allows more."""
    task = request.getfixturevalue(name)
    x = np.concatenate([home, np.zeros(N)])
    joint, v = 5, 2.0
    x[joint], x[N + joint] = task.robot.position_upper[joint] - room, v
    assert v**2 / (2.0 * usual) > room
    X = braking(task, x).X
    assert X[:, joint].max() <= task.robot.position_upper[joint] + 1e-3
    assert np.abs(X[-1, N:]).max() < 1e-3


# ---------------------------------------------------------------- one joint that goes exactly where it is told to


def one_joint(dt: float, horizon: int, limit: float = np.inf, integrator: str = "semi_implicit_euler") -> Any:
    """The task of a joint between -1 and 1 rad that follows desired states exactly; it weighs 2 kg m^2."""

    def track(x: np.ndarray, states: np.ndarray, *_: float) -> tuple[np.ndarray, np.ndarray]:
        return np.vstack([x, states]), np.full((len(states), 1), 3.0)

    robot = SimpleNamespace(position_lower=np.array([-1.0]), position_upper=np.array([1.0]))
    robot.linear_torques = lambda X, A: (np.full_like(A, np.nan), np.tile([0.0, 0.0, 2.0], (len(X), 1, 1)))
    robot.friction_torque = lambda v: 0.5 * np.sign(v)
    config = SimpleNamespace(policy=SimpleNamespace(blend=0.0), tracking=TrackingConfig(9.0, 3.0))
    limits = {"acceleration_limit": np.array([limit]), "torque_limit": np.array([50.0])}
    return SimpleNamespace(nu=1, dt=dt, horizon=horizon, robot=robot, config=config, track=track,
                           integrator=integrator, **limits)  # fmt: skip


@pytest.mark.parametrize(
    "room, speed, limit, deceleration",
    [
        (1.0, 3.0, np.inf, 10.0),  # a third of a second from a UR5's rated speed
        (0.2, 3.0, np.inf, 22.5),  # just to the limit
        (0.005, 0.5, np.inf, 25.0),
        (0.0, 0.3, np.inf, 45.0),  # at the limit: a thousandth of a radian beyond it
        (0.0, 0.1, np.inf, 10.0),
        (0.0, 0.0, np.inf, 10.0),
        (1.0, 3.0, 30.0, 10.0),
        (1.0, 3.0, 8.0, 7.6),  # most of what its acceleration limit allows
        (0.57, 3.0, 8.0, 4.5 / 0.57),  # a little more, to stop at the position limit
        (0.2, 3.0, 8.0, 8.0),  # beyond that: no more can be done
    ],
)
@pytest.mark.parametrize("integrator", ["semi_implicit_euler", "constant_acceleration"])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_joint_decelerates_as_much_as_it_has_to(
    room: float, speed: float, limit: float, deceleration: float, integrator: str, side: float
) -> None:
    task = one_joint(0.005, 100, limit, integrator)
    X = side * braking(task, side * np.array([1.0 - room, speed])).X
    np.testing.assert_allclose(X[:, 1], np.maximum(speed - deceleration * 0.005 * np.arange(101), 0.0), atol=1e-12)
    moved = X[1:, 1] if integrator == "semi_implicit_euler" else 0.5 * (X[:-1, 1] + X[1:, 1])
    np.testing.assert_allclose(np.diff(X[:, 0]), 0.005 * moved, atol=1e-12)
    if deceleration < limit:
        assert X[:, 0].max() <= 1.0 + 1e-3 + 0.005 * speed * (integrator != "semi_implicit_euler")


def test_a_stop_is_held_by_gains_that_track_it_and_by_torques_against_friction() -> None:
    motion = Brakes(one_joint(dt=0.1, horizon=4), None).motion(np.array([0.0, 3.0]), 7.0)  # type: ignore[arg-type]
    np.testing.assert_allclose(motion.X[:, 0], [0.0, 0.2, 0.3, 0.3, 0.3])
    assert (motion.begin, motion.dt) == (7.0, 0.1)
    np.testing.assert_allclose(motion.K, np.tile([-2.0 * 3.0, -2.0 * 3.0], (4, 1, 1)))
    np.testing.assert_allclose(motion.U.ravel(), [3.5, 3.5, 3.5, 3.0])


# ---------------------------------------------------------------- the arm


def test_an_arm_at_rest_stays(task: ArmReach, home: np.ndarray) -> None:
    guess = braking(task, np.concatenate([home, np.zeros(N)]))
    np.testing.assert_allclose(guess.X[:, :N], np.tile(home, (task.horizon + 1, 1)), atol=1e-9)
    np.testing.assert_allclose(guess.U, np.tile(task.robot.gravity(home), (task.horizon, 1)), atol=1e-6)


@settings(max_examples=5)
@given(shares)
def test_a_stop_may_be_executed_and_holds_the_arm(
    task: ArmReach, brakes: Brakes, home: np.ndarray, speeds: list[float]
) -> None:
    x = np.concatenate([home, 0.5 * np.array(speeds) * task.robot.velocity_limit])
    motion = brakes.stop(x, 12.5)
    assert motion.begin == 12.5 and motion.dt == task.dt
    assert PlanChecker(task).check(motion.time, motion.X, motion.U, motion.K) is None
    # Its gains bring back an arm that was pushed.
    pushed = x + 0.02 * (np.arange(2 * N) < N)
    for k in range(2000):
        time = 12.5 + 1e-3 * k
        stage = motion.stage(time)
        u = motion.U[stage] + motion.K[stage] @ (pushed - motion.state(time))
        u = np.clip(u, -task.torque_limit, task.torque_limit) - task.robot.friction_torque(pushed[N:])
        pushed = task.robot.step(pushed, u, 1e-3)
    assert np.abs(pushed[N:]).max() < 0.05
    assert np.abs(pushed[:N] - motion.X[-1, :N]).max() < 0.05


def test_a_stop_that_would_make_links_touch_is_refused_with_their_names(
    task: ArmReach, brakes: Brakes, rng: np.random.Generator
) -> None:
    """Joints move towards each other at full speed, an instant before contact."""
    robot, found = task.robot, None
    for q in rng.uniform(-2.5, 2.5, (2000, N)):
        v = robot.velocity_limit * rng.choice([-1.0, 1.0], N)
        x = np.concatenate([q, v])
        contact = robot.first_collision(braking(task, x).X[:, :N])
        if contact is not None and contact[0] > 0:
            found = x, contact
            break
    assert found is not None
    x, (_, first, second) = found
    assert robot.colliding_pair(x[:N]) is None
    with pytest.raises(PlanningError, match="cannot be stopped within its limits") as refused:
        brakes.stop(x, 0.0)
    assert {first, second} == set(re.findall(r"\w+_link", str(refused.value)))
    motion = brakes.motion(x, 0.0)  # unchecked, for those who know
    np.testing.assert_array_equal(motion.X[0], x)


@given(shares)
def test_a_stop_beyond_a_box_is_refused(task: ArmReach, home: np.ndarray, speeds: list[float]) -> None:
    v = np.array(speeds) * task.robot.velocity_limit
    joint = int(np.abs(v).argmax())
    assume(abs(v[joint]) > 1.0)
    brakes = Brakes(task, PlanChecker(task, joint_box=(home - 0.01, home + 0.01)))
    with pytest.raises(PlanningError, match=r"within its limits: \w+_joint is .* rad at .* s, allowed is"):
        brakes.stop(np.concatenate([home, v]), 0.0)


# ---------------------------------------------------------------- objects


def swinging(task: ArmReach, home: np.ndarray, speed: float, turned: float = 2.0) -> Timeline:
    """The arm turns about its base at a speed, slows down smoothly, and rests `turned` [rad] further."""
    steps = 200
    s = np.linspace(0.0, 1.0, steps + 1)
    angle, rate = turned * (2.0 * s - s**2), 2.0 * turned * (1.0 - s)
    dt = 2.0 * turned / speed / steps
    X = np.zeros((steps + 1, 2 * N))
    X[:, :N] = home
    X[:, 0] += angle
    X[:, N] = rate / (steps * dt)
    return Timeline(Motion(5.0, dt, X, np.zeros((steps, N)), np.zeros((steps, N, 2 * N))))


def ball_at(task: ArmReach, q: np.ndarray) -> ArmReach:
    x, y, z = task.robot.tool_position(q).tolist()
    return task.with_world(World((WorldObject("ball", Sphere(0.05), Pose((x, y, z))),)))


def beside(task: ArmReach, straight: np.ndarray, way: np.ndarray) -> ArmReach:
    """A small ball that the first configurations touch, and the others do not."""
    rng = np.random.default_rng(3)
    for _ in range(1000):
        place = task.robot.tool_position(straight[-1]) + rng.uniform(-0.1, 0.1, 3)
        view = task.with_world(World((WorldObject("ball", Sphere(0.02), Pose(tuple(place.tolist()))),)))
        if view.robot.first_collision(way) is None and view.robot.first_collision(straight) is not None:
            return view
    raise AssertionError("there is none")


def test_what_the_braking_arm_touches_alone_is_avoided_along_the_way(task: ArmReach, home: np.ndarray) -> None:
    """Joints that each brake for themselves leave a straight way: the slower ones stop first."""
    dt, steps, speeds = 0.02, 50, np.array([2.8, 1.2, 0.0, 0.0, 0.0, 0.0])
    X = np.hstack([home + dt * np.arange(steps + 1)[:, None] * speeds, np.tile(speeds, (steps + 1, 1))])
    way = Timeline(Motion(0.0, dt, X, np.zeros((steps, N)), np.zeros((steps, N, 2 * N))))
    brakes, x = Brakes(task, PlanChecker(task)), way.state(0.1)
    straight = brakes.motion(x, 0.1)
    fine = home + np.linspace(0.1, 1.0, 500)[:, None] * speeds
    view = beside(task, straight.X[:, :N], fine)
    checker = PlanChecker(task).of(view)
    assert checker.check(straight.time, straight.X, straight.U, straight.K) is not None
    stop = brakes.stop(x, 0.1, among=view, along=way)
    assert checker.check(stop.time, stop.X, stop.U, stop.K) is None
    off = [np.abs(fine - q).max(axis=1).min() for q in stop.X[:, :N]]
    assert max(off) < 0.02, "it stays on its way"
    assert np.abs(stop.X[-1, N:]).max() < 1e-3
    with pytest.raises(StopTouchesError):
        brakes.stop(x, 0.1, among=view)


def test_a_stop_before_an_object_is_as_ever(task: ArmReach, brakes: Brakes, home: np.ndarray) -> None:
    way = swinging(task, home, 1.0)
    view = ball_at(task, home + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    stop = brakes.stop(way.state(5.0), 5.0, among=view, along=way)
    np.testing.assert_array_equal(stop.X, brakes.motion(way.state(5.0), 5.0).X)


def test_an_object_that_nothing_avoids_is_braked_for(task: ArmReach, brakes: Brakes, home: np.ndarray) -> None:
    """It lies an instant ahead on what the arm follows."""
    way = swinging(task, home, 2.0)
    view = ball_at(task, home + [0.35, 0.0, 0.0, 0.0, 0.0, 0.0])
    with pytest.raises(StopTouchesError, match="cannot be stopped before wrist_3_link touches ball") as told:
        brakes.stop(way.state(5.0), 5.0, among=view, along=way)
    motion = told.value.motion
    assert PlanChecker(task).of(told.value.task).check(motion.time, motion.X, motion.U, motion.K) is None
    assert not told.value.task.robot.world.everything and np.abs(motion.X[-1, N:]).max() < 1e-6
    with pytest.raises(StopTouchesError):
        brakes.stop(way.state(5.0), 5.0, among=view)


def test_an_arm_whose_way_is_free_goes_on_where_no_stop_is(
    task: ArmReach, home: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = swinging(task, home, 2.0, turned=0.1)
    brakes = Brakes(task, PlanChecker(task))
    far = braking(task, np.concatenate([home, [3.0, 0.0, 0.0, 0.0, 0.0, 0.0]]))
    view = ball_at(task, far.X[-1, :N])
    monkeypatch.setattr(sys.modules[Brakes.__module__], "SLOWER", ())
    x = np.concatenate([home, [3.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    with pytest.raises(PlanningError, match="touches ball.*; what it follows touches nothing and goes on") as told:
        brakes.stop(x, 5.0, among=view, along=way)
    assert not isinstance(told.value, StopTouchesError)
    with pytest.raises(StopTouchesError):
        brakes.stop(x, 5.0, among=view)


def test_a_limit_stays_one_beside_an_object(task: ArmReach, home: np.ndarray) -> None:
    way = swinging(task, home, 2.0)
    view = ball_at(task, home + [0.35, 0.0, 0.0, 0.0, 0.0, 0.0])
    brakes = Brakes(task, PlanChecker(task, joint_box=(home - 0.01, home + 0.01)))
    with pytest.raises(PlanningError, match="within its limits: shoulder_pan_joint is") as told:
        brakes.stop(way.state(5.0), 5.0, among=view, along=way)
    assert not isinstance(told.value, StopTouchesError)


def test_what_an_arm_touches_already_is_no_reason_to_let_it_go_on(
    task: ArmReach, brakes: Brakes, home: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It draws away from a ball that may come after it, and joints that brake for themselves come nearer."""
    way = swinging(task, home, 2.0)
    behind = task.robot.tool_position(home)
    view = task.with_world(World((WorldObject("ball", Sphere(0.05), Pose(tuple(behind.tolist()))),)))
    x = way.state(5.0)
    x[N + 1] = 1.0
    monkeypatch.setattr(sys.modules[Brakes.__module__], "SLOWER", ())
    straight = brakes.motion(x, 5.0)
    checker = PlanChecker(task).of(view)
    assert checker.check(straight.time, straight.X, straight.U, straight.K) is not None
    assert checker.contact(way.last.time, way.last.X[:, :N], way.last.X[:, N:]) is None
    with pytest.raises(StopTouchesError):
        brakes.stop(x, 5.0, among=view, along=way)
