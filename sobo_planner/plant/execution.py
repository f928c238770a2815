"""Plays a plan on a plant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.planning import Plan
from sobo_planner.plant.laws import EffortLaw, Interface, Law, PositionLaw
from sobo_planner.plant.plant import Plant, Sensor
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

PERIOD = 1e-3  # of the controller [s]
SETTLE = 1.0  # after the plan's end [s]


@dataclass(frozen=True)
class Execution:
    """What an arm made of a plan, at the controller's period until `SETTLE` after the plan's end.

    Attributes:
        time: Times since the beginning, (N+1,) [s].
        X: States of the plant, (N+1, 2n).
        desired: States that it was to be in, (N+1, 2n).
        torque: What the controller commanded from each time on, before the plant cut it off at the limits, (N, n).
        final_error: Distance of the tool to the goal at the plan's end [m].
        settled_error: The same at the end of `time` [m].
        tracking_error: Largest distance of the tool to where it was to be, until the plan's end [m].
        speed_share: Largest speed of a joint as a share of its limit.
        torque_share: Largest command of a joint as a share of its effort limit.
    """

    time: Array
    X: Array
    desired: Array
    torque: Array
    final_error: float
    settled_error: float
    tracking_error: float
    speed_share: float
    torque_share: float


def execute(task: ArmReach, plan: Plan, plant: Plant, interface: Interface) -> Execution:
    """Plays a plan from its start, with a controller that knows the task's robot.

    Args:
        task: What the plan is for.
        plan: The plan.
        plant: The arm.
        interface: What the controller commands.
    """
    robot, n = task.robot, task.nu
    last = round(plan.duration / PERIOD)
    times: Array = PERIOD * np.arange(last + round(SETTLE / PERIOD) + 1, dtype=np.float64)
    law: Law = EffortLaw(robot, plan, times)
    if interface is Interface.POSITION:
        law = PositionLaw(robot, plan, times, task.config.robot.home)
    sensor = Sensor(plan.X[0], plant.conditions, PERIOD)
    X, torque = np.empty((len(times), 2 * n)), np.empty((len(times) - 1, n))
    X[0] = plan.X[0]
    for k in range(len(torque)):
        torque[k] = law.torque(k, sensor.measure(X[k]))
        X[k + 1] = plant.step(X[k], torque[k], PERIOD)
    tool, meant = (plant.tool_positions(states[:, :n]) for states in (X, law.desired))
    goal = plan.goal[:3] if plan.joint_error is None else plant.tool_position(plan.goal)
    errors = np.linalg.norm(tool - goal, axis=1)
    return Execution(
        time=times,
        X=X,
        desired=law.desired,
        torque=torque,
        final_error=float(errors[last]),
        settled_error=float(errors[-1]),
        tracking_error=float(np.linalg.norm(tool - meant, axis=1)[: last + 1].max()),
        speed_share=float((np.abs(X[:, n:]) / robot.velocity_limit).max()),
        torque_share=float((np.abs(torque) / robot.effort_limit).max()),
    )
