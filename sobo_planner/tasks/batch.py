"""What many trajectories cost, for planners that sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.errors import TaskError

if TYPE_CHECKING:
    from sobo_planner.robot import Robot
    from sobo_planner.solver import Instance
    from sobo_planner.tasks.base import Task

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """Positions to stay near.

    Attributes:
        positions: Where the tool, or the centre, is to be after each step, (T, 3) [m].
        reach: Distance from which on it does not matter how far away it is [m].
    """

    positions: Array
    reach: float = 0.5


@dataclass(frozen=True)
class BatchCosts:
    """One entry for each of N trajectories; all infinite for one that diverges.

    Attributes:
        cost: Total cost, as `Task.cost`, (N,).
        excess: Sum over the steps of squared excesses over the bounds, (N,): relative to half the distance of the
            bounds; in columns, floor or ceiling [m^2].
        away: Mean over the steps of min(distance from the reference / reach, 1)^2, (N,); 0 without a reference.
    """

    cost: Array
    excess: Array
    away: Array


def check_batch(inputs: Array, horizon: int, columns: int) -> Array:
    """Trajectories as a contiguous array (N, T, columns).

    Raises:
        TaskError: They have another shape.
    """
    out = np.ascontiguousarray(inputs, float)
    if out.ndim != 3 or out.shape[1:] != (horizon, columns):
        raise TaskError(f"a batch of trajectories has shape {out.shape}, expected (N, {horizon}, {columns})")
    return out


def settled(cost: Array, excess: Array, away: Array) -> BatchCosts:
    """The same with infinities in all entries of a trajectory that has one which is not finite."""
    finite = np.isfinite(cost) & np.isfinite(excess) & np.isfinite(away)
    return BatchCosts(*(np.where(finite, each, np.inf) for each in (cost, excess, away)))


def one_by_one(task: Task, instance: Instance, controls: Array) -> BatchCosts:
    """The costs of rollouts under controls (N, T, nu), each simulated by itself."""
    cost, excess = np.full(len(controls), np.inf), np.zeros(len(controls))
    half = 0.5 * (task.control_upper - task.control_lower)
    for i, U in enumerate(controls):
        with np.errstate(over="ignore", invalid="ignore"):
            X = task.simulate(instance.x0, U)
        if np.isfinite(X).all():
            cost[i] = task.cost(X, U, instance.target)
            over = np.maximum(U - task.control_upper, task.control_lower - U).clip(0.0) / half
            excess[i] = (over**2).sum() + task.violation(X) ** 2
    return settled(cost, excess, np.zeros(len(controls)))


def arm_costs(
    robot: Robot,
    spec: _native.ReachSpec,
    instance: Instance,
    inputs: Array,
    motions: bool,
    threads: int,
    reference: Reference | None,
) -> BatchCosts:
    """The costs of trajectories (N, T, nv) of an arm: of torques, or of velocities (`motions`)."""
    rows = check_batch(inputs, spec.horizon, robot.nv)
    goal = np.asarray(instance.target, float)
    costs = _native.arm_batch(
        robot.native, spec, np.asarray(instance.x0, float), goal, rows, motions, threads, *_native_of(reference)
    )
    return BatchCosts(*costs)


def flight_costs(
    spec: _native.QuadrotorSpec, instance: Instance, thrusts: Array, threads: int, reference: Reference | None
) -> BatchCosts:
    """The costs of a quadrotor's rollouts under thrusts (N, T, 4)."""
    rows = check_batch(thrusts, spec.horizon, 4)
    x0, target = np.asarray(instance.x0, float), np.asarray(instance.target, float)
    return BatchCosts(*_native.quadrotor_batch(spec, x0, target, rows, threads, *_native_of(reference)))


def _native_of(reference: Reference | None) -> tuple[Array | None, float]:
    return (None, 1.0) if reference is None else (np.asarray(reference.positions, float), reference.reach)
