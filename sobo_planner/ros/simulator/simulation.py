"""The simulated arm: plant, controller and disturbances, without ROS."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sobo_planner.robot import Robot
from sobo_planner.ros.simulator.plants import MODEL, make_plant
from sobo_planner.ros.simulator.tracking import TrackedPlan

Vector = NDArray[np.float64]

STEP = 1e-3  # [s]
# Holding law before the first plan: joint accelerations of a critically damped second-order system at 20
# rad/s, turned into torques by the nominal model (which brings gravity compensation with it).
HOLD_STIFFNESS = 400.0  # [1/s^2]
HOLD_DAMPING = 40.0  # [1/s]
# No arm moves this fast; beyond it the simulation has left the range where its numbers mean anything.
SPEED_LIMIT = 100.0  # [rad/s]


@dataclass(frozen=True)
class Push:
    """A constant force on the tool for a while.

    Attributes:
        force: (3,) in the root link's frame [N].
        time: when it begins, after the start of each plan [s].
        duration: how long it lasts [s].
    """

    force: Vector = field(default_factory=lambda: np.zeros(3))
    time: float = 0.3
    duration: float = 0.1

    def active(self, t: float) -> bool:
        """Whether the push acts at time t [s] after the start of a plan."""
        return self.time <= t < self.time + self.duration and bool(self.force.any())


class ArmSimulation:
    """Fixed-step simulation of one arm under the controller that plans are meant for.

    The controller knows the nominal robot; the plant has its friction, too, and may be heavier or lighter. Without a
    plan the arm holds its start. A plan is followed with u = u* + K (x - x*), limited to the effort limits; after its
    end the last point is held with the nominal gravity torque there and the last gains.

    Attributes:
        x: state [q, v] (2n,) [rad, rad/s].
        torque: what the controller applied in the last step (n,) [Nm].
        steps: simulated steps so far, of `STEP` seconds.
        use_gains: False leaves the plan's feedback out.
        push: disturbance during plans.
    """

    def __init__(self, robot: Robot, start: Vector, plant: str = MODEL) -> None:
        self._nominal, self._kind = robot, plant
        self._plant = make_plant(plant, robot, 0.0)
        self.steps = 0
        self.use_gains = True
        self.push = Push()
        self.reset(start)

    def reset(self, start: Vector) -> None:
        """Puts the arm at rest at joint positions `start` (n,) [rad] and drops the plan."""
        self._hold = np.array(start, dtype=np.float64)
        self.x = np.concatenate([self._hold, np.zeros_like(self._hold)])
        self.torque = self._nominal.gravity(self._hold)
        self.plan: TrackedPlan | None = None
        self._plan_start = 0
        self._waiting: list[tuple[TrackedPlan, int]] = []  # and the steps at which they begin, the first one first

    def set_mass_error(self, error: float) -> None:
        """Makes every link heavier by the share `error` (0.2: by 20 %) than the controller knows."""
        self._plant = make_plant(self._kind, self._nominal, error)

    def follow(self, plan: TrackedPlan, delay: float = 0.0) -> None:
        """Follows a plan from `delay` [s] on; it may have begun already.

        Until then plans that begin earlier are followed; those that would begin later are dropped.
        """
        start = self.steps + round(delay / STEP)
        self._waiting = [each for each in self._waiting if each[1] < start]
        if start > self.steps:
            self._waiting.append((plan, start))
        else:
            self._begin(plan, start)

    def _begin(self, plan: TrackedPlan, start: int) -> None:
        self.plan, self._plan_start = plan, start
        self._end_torque = self._nominal.gravity(plan.X[-1, : len(self._hold)])

    @property
    def plan_time(self) -> float:
        """Seconds since the present plan began."""
        return (self.steps - self._plan_start) * STEP

    def control(self) -> Vector:
        """Torque (n,) [Nm] that the controller applies now, within the effort limits."""
        limit = self._nominal.effort_limit
        if self.plan is None:
            q, v = np.split(self.x, 2)
            acceleration = HOLD_STIFFNESS * (self._hold - q) - HOLD_DAMPING * v
            torque = self._nominal.inverse_dynamics(q, v, acceleration)
        else:
            speed = self._nominal.velocity_limit
            torque = self.plan.control(self.plan_time, self.x, self.use_gains, self._end_torque, speed)
        return np.clip(torque, -limit, limit)

    def step(self) -> bool:
        """Advances by `STEP`. Returns False when the arm left all bounds and was put back to its start."""
        while self._waiting and self._waiting[0][1] <= self.steps:
            self._begin(*self._waiting.pop(0))
        self.torque, pushed = self.control(), np.zeros(len(self._hold))
        if self.plan is not None and self.push.active(self.plan_time):
            pushed = self._nominal.tool_jacobian(self.x[: len(self._hold)]).T @ self.push.force
        x = self._plant.step(self.x, self.torque, STEP, pushed)
        self.steps += 1
        if not np.isfinite(x).all() or np.abs(x[len(self._hold) :]).max() > SPEED_LIMIT:
            self.reset(self._hold)
            return False
        self.x = x
        return True
