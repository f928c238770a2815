"""The last look at a plan before it leaves for a controller: numbers, limits, boxes, self-collision, gains.

Planner and solver keep the limits themselves. This module does not rely on that: it checks the arrays that are about
to be published, and nothing else.
"""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.robot import Robot
from sobo_planner.robot.frames import Placement, rotate
from sobo_planner.safety.joints import JointLimits
from sobo_planner.safety.limits import Limit, Violation, checked_box, outside
from sobo_planner.safety.points import Trajectory, sampled
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.instances import touching

Array = NDArray[np.float64]

# Configurations compared for self-collision are at most this far apart in any joint [rad]: a point 0.85 m away (the
# UR5's reach) then moves 4 cm, less than its links are thick. At pi rad/s knots of 20 ms are 0.063 rad apart.
COLLISION_STEP = 0.05


class _Passed:
    """In what nothing was found last, and the robot in its world: shared by a task's checkers in all worlds.

    Attributes:
        points: Points, torques and gains.
        configurations: Those that are free of self-collision.
    """

    def __init__(self) -> None:
        self.points: tuple[Robot, bytes] | None = None
        self.configurations: tuple[Robot, bytes] | None = None


class PlanChecker:
    """Checks whole plans of one task; fast enough for every cycle of a receding horizon.

    What is checked are the points that a controller gets, the braking at their end included (`safety.points`). `check`
    builds the points of a plan, to learn before publishing whether they may be; `check_points` takes those that are
    published.

    A start outside a limit or a box does not condemn a plan, so that an arm that is outside can get back in: a later
    point is refused when it is outside by more than `TOLERANCE` and further out than the start. In the same way bodies
    that touch at the start may do so on the way out: they come no nearer again, and stay apart once they are.

    Limits of joints are checked at the points. A controller that interpolates with cubic splines goes further between
    two of them by at most dt |v' - v| 4/27 where it turns round: 3 mrad for 1 rad/s in 20 ms; while braking it does
    not turn round. For a task with limits on accelerations, whose motions are those splines, their extremes between
    the points are checked instead, accelerations with a tolerance of 1 %. The tool's box and self-collision are always
    checked along the splines, in steps of `COLLISION_STEP`.

    Args:
        task: The task that is planned for.
        joint_box: Lower and upper joint positions, (n,) each [rad, m]. None: the robot's limits alone.
        tool_box: Lower and upper tool positions, (3,) each [m]. None: anywhere.
        box_frame: Frame that `tool_box` is given in, in that of the robot's root link. None: the root link's.
        gain_cap: Largest absolute entry in each joint's row of K, (n,), or one for all [Nm/rad, Nm s/rad]. None:
            `GAIN_CAP` times the joint's torque limit.

    Attributes:
        position_lower: Joint positions that a plan must not go below, (n,): robot's limits and box together.
        position_upper: Joint positions that a plan must not go above, (n,).

    Raises:
        ConfigError: A box has the wrong size, holds a NaN or is empty, or a cap is not positive.
    """

    def __init__(
        self,
        task: ArmReach,
        *,
        joint_box: tuple[ArrayLike, ArrayLike] | None = None,
        tool_box: tuple[ArrayLike, ArrayLike] | None = None,
        box_frame: Placement | None = None,
        gain_cap: ArrayLike | None = None,
    ) -> None:
        robot = task.robot
        self._task, self._robot, self._n = task, robot, task.nu
        self._joint_box = None if joint_box is None else checked_box("joint_box", joint_box, robot.joint_names)
        base = box_frame or Placement.identity()
        self._box_origin, self._box_axes = base.position, np.array([rotate(base.quaternion, e) for e in np.eye(3)])
        self._tool_box = None if tool_box is None else checked_box("tool_box", tool_box, "xyz")
        self._joints = JointLimits(task, self._joint_box, gain_cap)
        self.position_lower, self.position_upper = robot.position_lower, robot.position_upper
        if self._joint_box is not None:
            self.position_lower = np.maximum(self.position_lower, self._joint_box[0])
            self.position_upper = np.minimum(self.position_upper, self._joint_box[1])
        self._passed = _Passed()

    def check(self, time: ArrayLike, X: ArrayLike, U: ArrayLike, K: ArrayLike) -> Violation | None:
        """The first violation found in a plan as it would be published, or None.

        Args:
            time: Times of the states [s], (T+1,).
            X: States [q, v], (T+1, 2n).
            U: Torques [Nm], (T, n).
            K: Feedback gains du/dx, (T, n, 2n).
        """
        times, states, torques, gains = (np.asarray(values, float) for values in (time, X, U, K))
        found = self._shapes(times, states, torques, gains)
        return found or self._points(Trajectory.of(times, states, torques), torques, gains)

    def check_points(self, points: Trajectory, U: ArrayLike, K: ArrayLike) -> Violation | None:
        """The first violation found in what is about to be published, or None.

        Args:
            points: The points.
            U: Torques [Nm], (T, n).
            K: Feedback gains du/dx, (T, n, 2n).
        """
        times, Q, V = points.knots()
        torques, gains = np.asarray(U, float), np.asarray(K, float)
        braking = int(len(times) == len(torques) + 2)  # such a point has no control of its own
        found = self._shapes(times, np.hstack([Q, V]), torques, gains, braking)
        return found or self._points(points, torques, gains)

    def _points(self, points: Trajectory, U: Array, K: Array) -> Violation | None:
        """A planner has the same arrays checked a moment before they are published: those are compared only."""
        times, Q, V = points.knots()
        steps = np.diff(times).round(9)  # whole nanoseconds: the same whatever times count from
        data = self._robot, b"".join(np.ascontiguousarray(each).tobytes() for each in (steps, Q, V, U, K))
        if data == self._passed.points:
            return None
        found = _increasing(times)
        if found is None and not self._joints.kept(times, Q, V, U, K):  # find out what is violated, if anything
            found = (
                self._joints.bounds(times, Q, V, U) or self._joints.gains(times, K) or self._joints.between(times, Q, V)
            )
        found = found or self._curve(times, Q, V)
        if found is None:
            self._passed.points = data
        return found

    def _in_box_frame(self, points: Array) -> Array:
        """Points (N, 3) [m] of the root link's frame in that of the box."""
        moved: Array = (points - self._box_origin) @ self._box_axes.T
        return moved

    def _curve(self, time: Array, Q: Array, V: Array) -> Violation | None:
        """What the splines between the points run into."""
        found = None
        if self._robot.world.everything:
            found = self.contact(time, Q, V)
            if found is None and self._tool_box is None:
                return None
        times, curve = sampled(time, Q, V, COLLISION_STEP)
        if found is None and self._tool_box is not None:
            axes = ["tool x", "tool y", "tool z"]
            path = self._in_box_frame(self._robot.tool_positions(curve))
            found = outside(Limit.TOOL_BOX, axes, "m", times, path, *self._tool_box)
        if found is not None or self._robot.world.everything:
            return found
        touching = self.self_collision(times, curve)
        return touching and (self.contact(time, Q, V) if self._robot.contact(Q[0]) else touching)

    def of(self, task: ArmReach) -> PlanChecker:
        """The same checks for the same arm in another world: that of the robot of a task (`ArmReach.with_world`)."""
        other = copy.copy(self)
        other._robot = task.robot
        return other

    def contact(self, time: Array, Q: Array, V: Array, *, leaving: bool = True) -> Violation | None:
        """The first contact with what surrounds the arm or of its links, of which none is missed between points.

        What touches at the beginning may do so on the way out, unless `leaving` is false.
        """
        contact = self._robot.first_contact(time, Q, V, leaving=leaving)
        if contact is None:
            return None
        limit = Limit.COLLISION if contact.object else Limit.SELF_COLLISION
        return Violation(limit, f"{touching(contact, self._robot.margin)} at {contact.time:.3f} s")

    def self_collision(self, time: Array, Q: Array) -> Violation | None:
        """The first contact of two links at configurations Q (N, n), which takes most of the time of a check.

        A planner has the same ones checked a moment before they are published: those are not searched twice.
        """
        data = self._robot, np.ascontiguousarray(Q).tobytes()
        if data == self._passed.configurations:
            return None
        contact = self._robot.first_collision(Q)
        if contact is None:
            self._passed.configurations = data
            return None
        k, first, second = contact
        return Violation(Limit.SELF_COLLISION, f"{first} touches {second} at {time[k]:.3f} s")

    def _shapes(self, time: Array, X: Array, U: Array, K: Array, more: int = 0) -> Violation | None:
        """Sizes and finite numbers, of T controls and T + 1 states and `more`."""
        n, T = self._n, len(U) if U.ndim else 0
        N = T + 1 + more
        arrays = {"time": (time, (N,)), "X": (X, (N, 2 * n)), "U": (U, (T, n)), "K": (K, (T, n, 2 * n))}
        for name, (values, shape) in arrays.items():
            if values.shape != shape or T == 0:
                return Violation(Limit.SHAPE, f"{name} has shape {values.shape}, expected {shape} with T > 0")
        for name, (values, _) in arrays.items():
            if not np.isfinite(values).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
                return Violation(Limit.FINITE, f"{name}{list(where)} is {values[where]}")
        return None


def _increasing(time: Array) -> Violation | None:
    if (time[1:] > time[:-1]).all():
        return None
    k = int(np.argmin(np.diff(time)))
    return Violation(Limit.SHAPE, f"time[{k + 1}] = {time[k + 1]} s does not come after {time[k]} s")
