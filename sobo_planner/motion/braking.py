"""Bringing an arm to rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlanningError
from sobo_planner.motion.motion import Motion, follow
from sobo_planner.motion.timeline import Timeline
from sobo_planner.robot import SEMI_IMPLICIT_EULER
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.solver import Guess
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands
from sobo_planner.world import World

Array = NDArray[np.float64]

# Deceleration [rad/s^2] of a joint whose limit is far enough away: a third of a second from a UR5's rated speed.
DECELERATION = 10.0
# Share of the acceleration limits that is used where the way is long enough.
SHARE = 0.95
# Times that braking along what is followed takes, over those of braking each joint for itself, tried in turn.
SLOWER = (1.1, 1.5, 2.0, 3.0)
# Such a motion rests so long after that time [s], apart from so much [rad/s]: one that limits hold back creeps.
SETTLES, CREEPING = 0.06, 0.02


class StopTouchesError(PlanningError):
    """An arm cannot be stopped before it touches an object, which is what it follows, too.

    Attributes:
        motion: The motion that stops it, which keeps everything else.
        task: The arm without objects, in whose world that is checked.
    """

    def __init__(self, message: str, motion: Motion, task: ArmReach) -> None:
        super().__init__(message)
        self.motion, self.task = motion, task


class Brakes:
    """Makes motions that stop. Used by one thread at a time.

    Args:
        task: The arm.
        checker: Passes every motion of `stop`.
    """

    def __init__(self, task: ArmReach, checker: PlanChecker) -> None:
        self._task, self._checker = task, checker

    def motion(self, x: Array, begin: float) -> Motion:
        """The motion that stops the arm from a state (2n,) and keeps it where it comes to rest."""
        guess = braking(self._task, x)
        U, K = commands(self._task, Gains.TRACKING, guess.X, guess.U, None)
        return Motion(begin, self._task.dt, guess.X, U, K)

    def stop(self, x: Array, begin: float, *, among: ArmReach | None = None, along: Timeline | None = None) -> Motion:
        """The same, checked like every plan. Where links or objects would touch, the arm brakes along what it follows.

        Args:
            x: State (2n,).
            begin: When the motion begins [s].
            among: The task in the world that counts instead of the checker's own.
            along: What the arm follows; None for an arm that follows nothing.

        Raises:
            PlanningError: It would leave a limit, links would touch, or it would touch an object that what the arm
                follows does not; StopTouchesError for an object in the way of that, too, or where it follows nothing.
        """
        checker = self._checker if among is None else self._checker.of(among)
        motion = self.motion(x, begin)
        violation = checker.check(motion.time, motion.X, motion.U, motion.K)
        if violation is None:
            return motion
        why = f"the arm cannot be stopped within its limits: {violation.detail}"
        if along is not None and violation.limit in (Limit.COLLISION, Limit.SELF_COLLISION):
            for times in SLOWER:
                seconds = times * max(stopping_time(self._task, x), self._task.dt)
                slower = self._along(along, x, begin, seconds)
                creeps = np.abs(slower.state(begin + seconds + SETTLES)[self._task.nu :]).max() > CREEPING
                if not creeps and checker.check(slower.time, slower.X, slower.U, slower.K) is None:
                    return slower
        if violation.limit is not Limit.COLLISION:
            raise PlanningError(why)
        if along is not None and _is_free(checker, along, begin, self._task):
            raise PlanningError(f"{why}; what it follows touches nothing and goes on")
        bare = (among or self._task).with_world(World())
        other = self._checker.of(bare).check(motion.time, motion.X, motion.U, motion.K)
        if other is not None:
            raise PlanningError(f"the arm cannot be stopped within its limits: {other.detail}")
        raise StopTouchesError(f"the arm cannot be stopped before {violation.detail}", motion, bare)

    def _along(self, timeline: Timeline, x: Array, begin: float, seconds: float) -> Motion:
        """The motion that follows a timeline, slower and slower, and rests after so much time [s]."""
        n, task = self._task.nu, self._task
        t = np.minimum(task.dt * np.arange(1, task.horizon + 1, dtype=np.float64), seconds)
        states, _, _ = timeline.commands(begin + t * (1.0 - 0.5 * t / seconds))
        states[:, n:] *= (1.0 - t / seconds)[:, None]
        guess = follow(task, x, states)
        U, K = commands(task, Gains.TRACKING, guess.X, guess.U, None)
        return Motion(begin, task.dt, guess.X, U, K)


def _is_free(checker: PlanChecker, timeline: Timeline, begin: float, task: ArmReach) -> bool:
    """Whether what is followed from a time [s] on touches nothing."""
    times = np.arange(begin, max(timeline.end, begin) + task.dt, task.dt)
    states, _, _ = timeline.commands(times)
    return checker.contact(times - begin, states[:, : task.nu], states[:, task.nu :], leaving=False) is None


def stopping_time(task: ArmReach, x: Array) -> float:
    """How long `braking` takes from a state (2n,) that is far enough from position limits [s]."""
    usual = np.minimum(DECELERATION, SHARE * task.acceleration_limit)
    return float(np.max(np.abs(x[task.nu :]) / usual))


def braking(task: ArmReach, x: Array) -> Guess:
    """Brings every joint to rest with constant deceleration, before its position limit where it can.

    Args:
        task: The arm.
        x: State (2n,).

    Returns:
        A trajectory of the task's length, consistent with its dynamics and torque limits, at rest in the end.
    """
    n, robot = task.nu, task.robot
    q, v = x[:n].copy(), x[n:].copy()
    room = np.maximum(np.where(v > 0, robot.position_upper - q, q - robot.position_lower), 1e-3)
    usual = np.minimum(DECELERATION, SHARE * task.acceleration_limit)
    deceleration = np.minimum(np.maximum(usual, v**2 / (2.0 * room)), task.acceleration_limit)
    states = np.empty((task.horizon, 2 * n))
    for t in range(task.horizon):
        before, v = v, np.sign(v) * np.maximum(np.abs(v) - deceleration * task.dt, 0.0)
        q = q + task.dt * (v if task.integrator == SEMI_IMPLICIT_EULER else 0.5 * (before + v))
        states[t] = np.concatenate([q, v])
    return follow(task, x, states)
