"""What every consumer of a plan relies on, computed from the plan alone."""

from __future__ import annotations

import numpy as np

from sobo_planner.planning.planner import FEASIBLE, Plan
from sobo_planner.robot import CONSTANT_ACCELERATION
from sobo_planner.safety.curve import extremes
from sobo_planner.tasks import ArmReach

Array = np.ndarray


def check_plan(task: ArmReach, plan: Plan, state: Array) -> None:
    """A plan begins at a state, keeps all limits, and its torques lead along its states."""
    T, n, robot = task.horizon, task.nu, task.robot
    assert plan.X.shape == (T + 1, 2 * n) and plan.U.shape == (T, n) and plan.K.shape == (T, n, 2 * n)
    for array in (plan.X, plan.U, plan.K):
        assert np.all(np.isfinite(array))
    np.testing.assert_array_equal(plan.X[0], state)
    assert plan.time[0] == 0.0 and plan.duration > 0.0
    np.testing.assert_allclose(np.diff(plan.time), plan.duration / T)
    assert np.all(np.abs(plan.U) <= task.torque_limit)
    assert np.all(np.abs(plan.X[1:, n:]) <= robot.velocity_limit + FEASIBLE)
    assert np.all(plan.X[1:, :n] <= robot.position_upper + FEASIBLE)
    assert np.all(plan.X[1:, :n] >= robot.position_lower - FEASIBLE)
    check_dynamics(task, plan)


def check_dynamics(task: ArmReach, plan: Plan) -> None:
    """States are those of the integrator, and torques those of inverse dynamics, with friction."""
    dt = plan.duration / task.horizon
    (q0, v0), (q1, v1) = np.split(plan.X[:-1], 2, axis=1), np.split(plan.X[1:], 2, axis=1)
    a, at, v = (v1 - v0) / dt, q0, v0
    if task.integrator == CONSTANT_ACCELERATION:
        assert np.abs(q1 - q0 - 0.5 * dt * (v0 + v1)).max() <= 3 * FEASIBLE
        assert np.all(np.abs(a) <= task.acceleration_limit + 0.02)
        at, v = q0 + 0.5 * dt * v0 + 0.125 * dt**2 * a, 0.5 * (v0 + v1)  # the middle of the step
    else:
        assert np.abs(q1 - q0 - dt * v1).max() <= 3 * FEASIBLE
    needed = np.array([task.robot.inverse_dynamics(*each) for each in zip(at, v, a, strict=True)])
    needed += task.robot.friction_torque(0.5 * (v0 + v1))
    off = np.abs(plan.U - np.clip(needed, -task.torque_limit, task.torque_limit))
    assert (off / task.torque_limit).max() < 2e-3 * max(1.0, dt / 0.02) ** 2, "what half a step is off a line"


def peaks(plan: Plan) -> tuple[Array, Array]:
    """Largest speeds and accelerations (n,) along the splines through a plan's points."""
    n = plan.X.shape[1] // 2
    found = extremes(plan.time, plan.X[:, :n], plan.X[:, n:])
    speeds, accelerations = (np.abs(np.stack(sides)).max(axis=(0, 1)) for sides in (found.velocity, found.acceleration))
    return speeds, accelerations
