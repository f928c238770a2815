"""Views of an arm's task: slower ones, and those whose motions last longer or shorter."""

from __future__ import annotations

import functools
from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.robot import CONSTANT_ACCELERATION
from sobo_planner.solver import Guess, Instance, Refinement
from sobo_planner.tasks.arm.bends import fastest, passed, rounded
from sobo_planner.tasks.arm.starts import ArmStarts
from sobo_planner.tasks.arm.timing import SHORTEST_STEP, SLACK, SLACK_JOINTS, Pace, least_duration, timed

Array = NDArray[np.float64]

# Duration of motions that are made to fit later, over the task's own: six turns of a joint of the UR5.
UNHURRIED = 6.0
# Share of a motion's steps within which accelerations rise to their limits from rest, and fall from them to rest: the
# first and the last acceleration are a fifth of the limit. Without, motions begin and end with all of it.
RAMP = 0.04
# What constraints on positions are met to [rad or m].
POSITION_TOLERANCE = 5e-4
# Rounds in which a duration is found that limits on jerk allow, to a thousandth.
ROUNDS = 20
# Share of the limits on accelerations that motions past bends use: the solver needs the rest to begin and end smoothly.
HELD_BACK = 0.95
# Accelerations of motions past bends, in full speeds a second, where there are no limits on them.
FAST = 5.0
# Share of the rated speeds below which an arm is at rest.
AT_REST = 0.01


class Costs:
    """The native problem that all views of a task compute costs with."""

    def __init__(self) -> None:
        self._worker: _native.Worker | None = None
        self._made_for: Any = None

    def worker(self, task: ArmPaces) -> _native.Worker:
        """The problem with the weights and the step of a view."""
        made_for = (task, task.robot.native)
        if self._worker is None:
            self._worker = task.make_worker(Refinement())
        elif made_for != self._made_for:
            self._worker = task.adapt(self._worker, Refinement())
        self._made_for = made_for
        return self._worker


class ArmPaces(ArmStarts):
    """Views share robot, hashes and the native problem that costs are computed with.

    Attributes:
        nominal: The task at its own pace, which policies are made for.
        fits: Whether motions last as long as their way takes, instead of `horizon` times `dt`.
        room: How far above the lower and below the upper position limits motions begin, (n,) each; 0 where not known.
        ramps: Steps at the beginning and at the end within which the bounds on accelerations open and close.
    """

    nominal: Any
    fits: bool
    ramps: tuple[int, int]
    room: tuple[Array, Array]
    _costs: Costs

    @abstractmethod
    def make_worker(self, refinement: Refinement = ...) -> _native.Worker:
        """Builds the native problem."""

    @abstractmethod
    def adapt(self, worker: _native.Worker, refinement: Refinement) -> _native.Worker:
        """Switches the parts of a native problem."""

    @property
    def dynamics(self) -> _native.Robot:
        """What moves: another object after `Robot.carry`."""
        return self.robot.native

    @property
    def slow(self) -> Any:
        """The task where durations do not fit yet: with all of the robot's limits, and time enough for any way."""
        return self.nominal.lasting(UNHURRIED * self.nominal.duration) if self.fits else self

    @property
    def stretch(self) -> float:
        """How many times longer motions last than at the task's own pace."""
        return float(self.dt / self.nominal.dt)

    @property
    def cost_scale(self) -> float:
        """Factor on all costs in the native problem: that of a step then is no larger than at the task's own pace.

        The solver's penalties on bounds are made for that. No optimum depends on it.
        """
        return min(1.0, 1.0 / self.stretch)

    @property
    def duration(self) -> float:
        """How long motions last [s]."""
        return self.horizon * self.dt

    def from_rest_to_rest(self, pace: Pace, x0: Array) -> Any:
        """The task at a pace (see `paced`) for whole motions from a state x0 (nx,), which begin and end smoothly.

        With limits on accelerations they leave `tracking.speed_margin` of the rated speeds to the controller.
        """
        if self.config.problem.integrator == CONSTANT_ACCELERATION:
            most = 1.0 - self.config.tracking.speed_margin
            pace = replace(pace, velocity_scaling=min(pace.velocity_scaling, most))
        view = self.paced(pace, x0)
        if view is self.nominal:
            return view
        steps = max(1, round(RAMP * self.horizon))
        still = bool((np.abs(x0[self.nu :]) <= AT_REST * self.robot.velocity_limit).all())
        view.ramps = (steps if still else 0, steps)
        q, robot = x0[: self.nu], self.robot
        view.room = (np.maximum(q - robot.position_lower, 0.0), np.maximum(robot.position_upper - q, 0.0))
        view._recipe = functools.partial(ArmPaces.from_rest_to_rest, self.nominal, pace, x0)
        return view

    def paced(self, pace: Pace, x0: Array | None = None) -> Any:
        """The task with shares of the robot's limits, and another duration.

        Without a duration motions last as long as their way takes (`fits`); without limits on accelerations as long as
        the task's own, and longer in proportion to a share of the speeds: at full pace it is the task itself.

        Args:
            pace: Shares and duration.
            x0: State at the beginning, (nx,): a joint that moves faster than its share need not be slower at once.
        """
        limited = self.config.problem.integrator == CONSTANT_ACCELERATION
        if pace == Pace() and not limited:
            return self.nominal
        rated = self.robot.velocity_limit
        speed = pace.velocity_scaling * rated
        if x0 is not None:
            speed = np.minimum(np.maximum(speed, np.abs(x0[self.nu :])), rated)
        stretch = max(1.0 / pace.velocity_scaling, 1.0 / np.sqrt(pace.acceleration_scaling))
        view = self.lasting(self.nominal.duration * stretch if pace.duration is None else pace.duration)
        view.velocity_limit = speed
        if limited:
            view.acceleration_limit = pace.acceleration_scaling * self.robot.acceleration_limit
        if limited and pace.duration is not None:
            view.acceleration_limit = np.minimum(view.acceleration_limit, self.jerk_bound(view.dt))
        view.fits = pace.duration is None and limited
        view._recipe = functools.partial(ArmPaces.paced, self.nominal, pace, x0)
        return view

    def lasting(self, duration: float) -> Any:
        """The task for motions of another duration [s]."""
        view = object.__new__(type(self))  # `copy` would build the task again, as a pickle does
        vars(view).update(vars(self))
        view.dt = duration / self.horizon
        if np.isfinite(self.robot.jerk_limit).any():
            view.acceleration_limit = np.minimum(self.acceleration_limit, self.jerk_bound(view.dt))
        view._recipe = functools.partial(ArmPaces.lasting, self, duration)
        return view

    def duration_of(self, way: Array, x0: Array) -> float:
        """How long a motion along a way (N, n) from a state x0 (nx,) is to last [s]: the task's duration, or what fits.

        A joint that moves at the beginning may have to come to rest first.
        """
        if not self.fits:
            return self.duration
        duration = max(self._time_for(way, x0, self.acceleration_limit), self.horizon * SHORTEST_STEP)
        for _ in range(ROUNDS):  # shorter steps leave less acceleration where jerk is limited
            bound = np.minimum(self.acceleration_limit, self.jerk_bound(duration / self.horizon))
            needed = self._time_for(way, x0, bound)
            if needed <= duration:
                break
            duration = np.sqrt(needed * duration)
        return float(duration)

    def _time_for(self, way: Array, x0: Array, acceleration: Array) -> float:
        stopping = float((np.abs(x0[self.nu :]) / acceleration).max())
        ramping = 0.5 * sum(self.ramps) / self.horizon  # of these steps half is lost
        slack = SLACK_JOINTS if self.goal_type == "joints" else SLACK
        return slack * (least_duration(way, self.velocity_limit, acceleration) + stopping) / (1.0 - ramping)

    def jerk_bound(self, dt: float) -> Array:
        """Accelerations (n,) that may turn into their opposites from one step of length dt [s] to the next."""
        return 0.5 * dt * self.robot.jerk_limit

    def position_bounds(self) -> tuple[Array, Array]:
        """Lower and upper bounds on positions at the knots, (n,): between knots joints may go further by a bit."""
        turning = np.minimum(self.velocity_limit, 0.5 * self.dt * self.acceleration_limit)  # the opposite a step later
        between = 0.25 * self.dt * turning + POSITION_TOLERANCE
        robot, (below, above) = self.robot, self.room
        lower = robot.position_lower + np.minimum(between, below)
        return lower, np.maximum(robot.position_upper - np.minimum(between, above), lower)

    def along(self, way: Array, instance: Instance) -> Guess:
        """A motion along a way (N, n) that lasts as long as the task's, within its limits."""
        states = self._timed(way, instance)
        X, U = self.track(instance.x0, states[1:], self.config.policy.blend)
        return Guess(X, np.clip(U, -self.torque_limit, self.torque_limit))

    def cost_along(self, way: Array, instance: Instance) -> float:
        """What a motion along a way (N, n) would cost without limits.

        A limited one overshoots the end of a way with bends: its cost says little about what the solver makes of it.
        """
        X = self._timed(way, instance)
        torques = np.zeros((self.horizon, self.nu))  # the native problem finds them from the states
        if self.config.problem.integrator == "rk2":
            torques, _ = self.robot.linear_torques(X[:-1], np.diff(X[:, self.nu :], axis=0) / self.dt)
        return self.cost(X, torques, instance.target)

    def past_bends(self, way: Array, instance: Instance) -> tuple[Guess, float]:
        """A motion along a way by straight lines (N, n), from rest, and how long it lasts [s].

        Where durations fit it is about the fastest one along it; without limits on accelerations, and where a duration
        was asked for, it lasts as long as that.
        """
        points = rounded(way, self.velocity_limit)
        most = np.where(np.isfinite(self.acceleration_limit), self.acceleration_limit, FAST * self.velocity_limit)
        times = fastest(points, self.velocity_limit, HELD_BACK * most)
        if not self.fits:
            times *= self.duration / times[-1]
        states = passed(points, times, self.horizon)
        view = self.lasting(times[-1]) if self.fits else self
        X, U = view.track(instance.x0, states[1:], self.config.policy.blend)
        return Guess(X, np.clip(U, -self.torque_limit, self.torque_limit)), float(times[-1])

    def _timed(self, way: Array, instance: Instance) -> Array:
        """States (T+1, nx) along a way in the time of the task's motions."""
        states = timed(way, self.velocity_limit, self.acceleration_limit, self.horizon, self.duration)
        return states + self._stopping(instance.x0)

    def cost(self, X: ArrayLike, U: ArrayLike, target: ArrayLike) -> float:
        """Total cost of a trajectory X (T+1, nx), U (T, nu) towards the target (3,) [m], or the pose (7,)."""
        X = np.asarray(X, float)
        start = _native.Start(X[0], np.asarray(target, float), X, np.asarray(U, float))
        return float(self._costs.worker(self).cost(start)) / self.cost_scale
