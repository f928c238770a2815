"""A motion: states, torques and gains from a moment on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.robot.kinematics import minimum_jerk
from sobo_planner.safety import Trajectory
from sobo_planner.solver import Guess
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Time within which a deviation from a motion fades when another one begins there [s].
JOIN = 0.4
# Share of an interval before a knot that counts as the knot: as a double, ROS time has steps of 0.2 us.
KNOT_ROUNDING = 1e-4
# Share of the rated speeds that following makes use of: torques at their limits may let a joint go a little faster.
SPEED_SHARE = 0.99


@dataclass(frozen=True)
class Optimum:
    """What the solver found, before it became a motion: controls and gains of the optimal control problem.

    Attributes:
        U: Controls, (T, n).
        K: Gains du/dx, (T, n, 2n).
    """

    U: Array
    K: Array


@dataclass(frozen=True)
class Motion:
    """States, torques and gains from a moment on.

    Attributes:
        begin: Time of the first state [s], on the clock of the planner's caller.
        dt: Time between states [s].
        X: States [q, v], (T+1, 2n).
        U: Torques [Nm], (T, n).
        K: Feedback gains du/dx, (T, n, 2n).
        optimum: The solution that it was made of; None where it was not made of one.
    """

    begin: float
    dt: float
    X: Array
    U: Array
    K: Array
    optimum: Optimum | None = None

    @property
    def time(self) -> Array:
        """Times of the states after the beginning [s], (T+1,)."""
        out: Array = self.dt * np.arange(len(self.X), dtype=np.float64)
        return out

    @property
    def end(self) -> float:
        """Time of the last state [s]; the arm stays there."""
        return self.begin + self.dt * len(self.U)

    def trajectory(self, lead: float, moving_end: bool = False) -> Trajectory:
        """The points by which it leaves for a controller, beginning `lead` [s] after the stamp."""
        return Trajectory.of(self.time, self.X, self.U, lead=lead, moving_end=moving_end)

    def states(self, times: Array) -> Array:
        """Desired states (N, 2n) at times (N,) [s], along splines between knots; at rest after the end."""
        out = splined(self.time, self.X, times - self.begin)
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


def splined(knots: Array, states: Array, times: Array) -> Array:
    """States (N, 2n) at times (N,) along the cubic splines through states [q, v] (K, 2n) at knots (K,).

    They are what a controller makes of the points, and exact where accelerations are constant from knot to knot. Before
    the first knot and after the last one states are those there.
    """
    return _native.splined(knots, states, times)


def follow(task: ArmReach, x: Array, states: Array) -> Guess:
    """A trajectory of the task's length that follows desired states (T, 2n) from x (2n,), by inverse dynamics."""
    X, U = task.track(x, states, task.config.policy.blend, SPEED_SHARE)
    return Guess(X, U)
