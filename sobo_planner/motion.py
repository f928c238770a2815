"""A plan in time: what the arm is meant to do at any moment, and how one motion hands over to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.solver import Guess
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.kinematics import minimum_jerk

Array = NDArray[np.float64]

# What the desired state may jump by at a hand-over, beside the motion itself [rad, rad/s]. Larger deviations of the arm
# from its plan are taken up over several cycles.
POSITION_JUMP = 0.02
VELOCITY_JUMP = 0.2
PREDICTION_STEP = 2e-3  # [s]
# Time for which it is known what the arm was to do [s]: measurements are never older.
HISTORY = 0.5
# Time within which a deviation from a motion fades when another one begins there [s].
JOIN = 0.4
# Share of an interval before a knot that counts as the knot: as a double, ROS time has steps of 0.2 us.
KNOT_ROUNDING = 1e-4
# Share of the rated speeds that following makes use of: torques at their limits may let a joint go a little faster.
SPEED_SHARE = 0.99


@dataclass(frozen=True)
class Motion:
    """States, torques and gains from a moment on.

    Attributes:
        begin: Time of the first state [s], on the clock of the planner's caller.
        dt: Time between states [s].
        X: States [q, v], (T+1, 2n).
        U: Torques [Nm], (T, n).
        K: Feedback gains du/dx, (T, n, 2n).
    """

    begin: float
    dt: float
    X: Array
    U: Array
    K: Array

    @property
    def time(self) -> Array:
        """Times of the states after the beginning [s], (T+1,)."""
        out: Array = self.dt * np.arange(len(self.X), dtype=np.float64)
        return out

    @property
    def end(self) -> float:
        """Time of the last state [s]; the arm stays there."""
        return self.begin + self.dt * len(self.U)

    def states(self, times: Array) -> Array:
        """Desired states (N, 2n) at times (N,) [s], linear between knots; at rest after the end."""
        knots = np.clip((times - self.begin) / self.dt, 0.0, len(self.U))
        first = np.minimum(knots.astype(int), len(self.U) - 1)
        share = (knots - first)[:, None]
        out: Array = (1.0 - share) * self.X[first] + share * self.X[first + 1]
        out[times > self.end, self.X.shape[1] // 2 :] = 0.0
        return out

    def state(self, time: float) -> Array:
        """Desired state (2n,) at a time [s]."""
        out: Array = self.states(np.array([time]))[0]
        return out

    def stage(self, time: float) -> int:
        """Index of the torque and gain that hold at a time; the last one after the end."""
        return int(self.stages(np.array([time]))[0])

    def stages(self, times: Array) -> NDArray[np.int64]:
        """As `stage`, for many times (N,) [s]."""
        return np.clip((times - self.begin) / self.dt + KNOT_ROUNDING, 0, len(self.U) - 1).astype(np.int64)

    def shifted(self, begin: float) -> Guess:
        """States and torques from a time on, in as many steps, as they are; the arm rests after the end."""
        times = begin + self.time
        return Guess(self.states(times), self.U[self.stages(times[:-1])])

    def gains_from(self, begin: float) -> Array:
        """Gains from a time on, in as many steps; those of the last step after the end."""
        out: Array = self.K[self.stages(begin + self.time[:-1])]
        return out

    def from_time(self, task: ArmReach, begin: float, x: Array) -> Guess:
        """The rest of this motion from a time on, as a trajectory of the task's length that starts at x (2n,).

        What x differs from the motion by fades within `JOIN`. Inverse dynamics follows the states, so that torques and
        states agree wherever between two knots it begins.
        """
        n, steps = task.nu, min(round(JOIN / task.dt), task.horizon)
        states = self.states(begin + task.dt * np.arange(1, task.horizon + 1, dtype=np.float64))
        position, velocity = np.split(x - self.state(begin), 2)
        Q, V = minimum_jerk(position, np.zeros(n), steps, task.dt, velocity)
        states[:steps] += np.hstack([Q, V])[1:]
        return follow(task, x, states)


class Timeline:
    """What the arm is meant to do over time: each motion from its beginning to that of the next. Never changes.

    Args:
        motion: What is followed from its beginning on, and before it as far as nothing else is known.
    """

    def __init__(self, motion: Motion) -> None:
        self._motions: tuple[Motion, ...] = (motion,)

    @property
    def last(self) -> Motion:
        """The motion that was added last."""
        return self._motions[-1]

    @property
    def end(self) -> float:
        """Time of the last state of all [s]; the arm stays there."""
        return self.last.end

    def then(self, motion: Motion, now: float) -> Timeline:
        """This timeline with another motion from its beginning on; what was over `HISTORY` before now is dropped."""
        kept = [each for each in self._motions if each.begin < motion.begin]
        while len(kept) > 1 and kept[1].begin < now - HISTORY:
            kept.pop(0)
        out = Timeline(motion)
        out._motions = (*kept, motion)
        return out

    def at(self, time: float) -> Motion:
        """The motion that is followed at a time [s]."""
        for motion in reversed(self._motions):
            if motion.begin <= time:
                return motion
        return self._motions[0]

    def state(self, time: float) -> Array:
        """Desired state (2n,) at a time [s]."""
        return self.at(time).state(time)

    def commands(self, times: Array) -> tuple[Array, Array, Array]:
        """Desired states (N, 2n), torques (N, n) and gains (N, n, 2n) at increasing times (N,) [s]."""
        begins = [motion.begin for motion in self._motions[1:]]  # the first one also holds before its beginning
        which = np.searchsorted(begins, times, side="right")
        parts = []
        for i in np.unique(which):
            motion, part = self._motions[i], times[which == i]
            stages = motion.stages(part)
            parts.append((motion.states(part), motion.U[stages], motion.K[stages]))
        if not parts:
            last = self.last
            return last.X[:0], last.U[:0], last.K[:0]
        X, U, K = (np.concatenate(each) for each in zip(*parts, strict=True))
        return X, U, K


def follow(task: ArmReach, x: Array, states: Array) -> Guess:
    """A trajectory of the task's length that follows desired states (T, 2n) from x (2n,), by inverse dynamics."""
    X, U = task.robot.track(x, states, task.dt, task.config.policy.blend, SPEED_SHARE)
    return Guess(X, U)


def expected_state(task: ArmReach, timeline: Timeline, x: Array, measured: float, handover: float) -> Array:
    """Where the arm will be at the hand-over if it goes on as its controller would.

    Args:
        task: The arm.
        timeline: What it follows.
        x: Measured state (2n,).
        measured: When that was [s].
        handover: When the next motion begins [s].

    Returns:
        The state (2n,) under the feedback on the way, within the limits, and no further from the desired one than
        `POSITION_JUMP` and `VELOCITY_JUMP`: that is the largest step in desired position and velocity.
    """
    count = max(math.ceil((handover - measured - 1e-9) / PREDICTION_STEP), 0)
    times = measured + PREDICTION_STEP * np.arange(count, dtype=np.float64)
    steps = np.minimum(handover - times, PREDICTION_STEP)
    x = task.robot.follow_feedback(x, *timeline.commands(times), steps, task.torque_limit)
    n, desired = task.nu, timeline.state(handover)
    jump = np.concatenate([np.full(n, POSITION_JUMP), np.full(n, VELOCITY_JUMP)])
    deviation = x - desired
    if not np.isfinite(deviation).all():  # gains that do not fit what the arm does: trust the plan
        return desired
    return within_limits(task, desired + np.clip(deviation, -jump, jump))


def within_limits(task: ArmReach, x: Array) -> Array:
    """The state (2n,) nearest to x within the robot's position and velocity limits."""
    robot = task.robot
    lower = np.concatenate([robot.position_lower, -robot.velocity_limit])
    out: Array = np.clip(x, lower, np.concatenate([robot.position_upper, robot.velocity_limit]))
    return out
