"""The way out of a contact that the arm is in: its links then only come further apart from what they touch.

A few short steps in joint space open the gaps of all pairs that touch, to first order, and close no other one. What
they lead to is checked as every motion is (`PlanChecker`): a pair that touches at the beginning never comes nearer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.errors import StartError
from sobo_planner.motion import follow
from sobo_planner.planning.plan import LeftContact, Plan
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands
from sobo_planner.tasks.arm.instances import touching

Array = NDArray[np.float64]

# Bodies that overlap further than this [m] may be anywhere: which way leads out is a guess.
DEEPEST = 0.03
# A contact is left from rest: at most so fast is an arm that rests [rad/s].
RESTING = 0.05
# Gap [m] that is made, for the motion that follows to have room, and the least one that will do.
ROOM = 0.01
LEAST_ROOM = 0.001
# A pair that is this near [m] touches, and what lies within so much of touching is looked at.
TOUCHES = 1e-4
NEAR = 0.04
# Largest step of a joint [rad or m], how much a gap is to grow in one [m], and how many there are.
STEP = 0.05
GROWTH = 0.004
STEPS = 40
# Share of its speed and acceleration limits that an arm leaves with.
SHARE = 0.5
# Acceleration [rad/s^2] where there is no limit.
ACCELERATION = 10.0
# Of the quadratic program: rounds at most, and the change of the step [rad] that ends it.
ROUNDS = 100
ENOUGH = 1e-5


@dataclass(frozen=True)
class WayOut:
    """A way out of a contact.

    Attributes:
        contact: What touches what at its beginning: the pair that lacks most.
        corners: From where the arm is to where it is free, in straight lines, (N, n).
    """

    contact: LeftContact
    corners: Array

    @property
    def end(self) -> Array:
        """State (2n,) at its end, at rest."""
        return np.concatenate([self.corners[-1], np.zeros(self.corners.shape[1])])

    def motion(self, task: ArmReach, dt: float) -> tuple[Array, Array, Array]:
        """The motion along it, from rest to rest at each corner: X (N+1, 2n), U (N, n), K (N, n, 2n).

        Args:
            task: The arm, at the pace of the motion.
            dt: Step [s].
        """
        view = task.lasting(dt * task.horizon)
        legs = [_leg(task, a, b, dt) for a, b in zip(self.corners[:-1], self.corners[1:], strict=True)]
        begin = np.concatenate([self.corners[0], np.zeros(task.nu)])
        guess = follow(view, begin, np.vstack(legs))
        return (guess.X, *commands(view, Gains.TRACKING, guess.X, guess.U, None))

    def before(self, plan: Plan, task: ArmReach) -> Plan:
        """A plan from its end, with it before."""
        dt = float(plan.time[1])
        X, U, K = self.motion(task, dt)
        whole = np.vstack([X[:-1], plan.X])
        return replace(
            plan,
            time=dt * np.arange(len(whole), dtype=np.float64),
            X=whole,
            U=np.vstack([U, plan.U]),
            K=np.concatenate([K, plan.K]),
            optimum=None,
            left=replace(self.contact, steps=len(U)),
        )


def way_out(task: ArmReach, x: Array) -> WayOut:
    """The way out of the contacts that an arm in state x (2n,) is in.

    Raises:
        StartError: The arm moves, bodies overlap by more than `DEEPEST`, or no way out was found.
    """
    q, v = x[: task.nu], x[task.nu :]
    native, margin = task.robot.native, task.robot.margin
    touched = [each for each in native.near(q, NEAR) if each.gap <= TOUCHES]
    worst = min(touched, key=lambda each: each.gap)
    kind = "in collision" if worst.contact.object else "in self-collision"
    what = f"the start is {kind}: {touching(worst.contact, margin)}"
    if np.abs(v).max() > RESTING:
        raise StartError(f"{what}; the arm moves at {np.abs(v).max():.2f} rad/s, and can leave that once it rests")
    depth = max(-each.contact.distance for each in touched)
    if depth > DEEPEST:
        raise StartError(f"{what}; what overlaps by more than {1e3 * DEEPEST:g} mm is not left: move the arm by hand")
    corners = _corners(native, _opened(task, q))
    if corners is None:
        raise StartError(f"{what}; no way out was found on which all that touches comes apart: move the arm by hand")
    contact = worst.contact
    return WayOut(LeftContact(contact.first, contact.second, contact.distance), corners)


def _opened(task: ArmReach, q: Array) -> list[Array]:
    """Configurations (n,) from q on, along which the gaps open."""
    robot, places, before = task.robot, [q], -np.inf
    mine = {(each.contact.first, each.contact.second) for each in robot.native.near(q, TOUCHES)}
    for _ in range(STEPS):
        near = robot.native.near(places[-1], NEAR)
        gaps = [each.gap for each in near if (each.contact.first, each.contact.second) in mine]
        least = min(gaps, default=np.inf)
        if least >= ROOM or least < before + 1e-5:
            break
        before = least
        places.append(np.clip(places[-1] + _step(near), robot.position_lower, robot.position_upper))
    return places


def _step(near: list[_native.NearBodies]) -> Array:
    """The smallest step (n,) that opens gaps below `ROOM`, and closes others by no more than half."""
    A = np.array([each.slope for each in near])
    wanted = np.array([min(ROOM - e.gap, GROWTH) if e.gap < ROOM else 0.5 * (ROOM - e.gap) for e in near])
    # Of min |d|^2 / 2 with A d >= wanted, d = A' y with y >= 0: the dual, the y that lacks most after the other.
    y, products = np.zeros(len(near)), A @ A.T
    squared, lacks = np.maximum(np.diag(products), 1e-12), wanted.copy()
    for _ in range(ROUNDS):
        changes = np.maximum(lacks / squared, -y)
        k = int(np.argmax(np.abs(changes) * np.sqrt(squared)))
        if abs(changes[k]) * np.sqrt(squared[k]) < ENOUGH:
            break
        y[k] += changes[k]
        lacks -= changes[k] * products[k]
    step = A.T @ y
    largest = np.abs(step).max()
    return step if largest <= STEP else step * (STEP / largest)


def _corners(native: _native.Robot, places: list[Array]) -> Array | None:
    """The fewest of the places that straight lines lead over to one that is free; None where they do not."""
    free = [k for k, q in enumerate(places) if not any(each.gap < LEAST_ROOM for each in native.near(q, LEAST_ROOM))]
    if not free:
        return None
    still, at, end = np.zeros((2, len(places[0]))), 0, free[-1]
    out = [places[0]]
    while at < end:
        lines = (k for k in range(end, at, -1) if _leaves(native, np.array([places[at], places[k]]), still))
        following = next(lines, None)
        if following is None:
            return None
        at = following
        out.append(places[at])
    return np.array(out)


def _leaves(native: _native.Robot, line: Array, still: Array) -> bool:
    return native.first_contact(np.array([0.0, 1.0]), line, still, True) is None


def _leg(task: ArmReach, begin: Array, end: Array, dt: float) -> Array:
    """States (N, 2n) after the beginning, from rest to rest along a straight line.

    Velocities are (1 - cos) over the time: they add up to the way exactly, in either integrator.
    """
    way, robot = np.abs(end - begin), task.robot
    acceleration = np.where(np.isfinite(task.acceleration_limit), task.acceleration_limit, ACCELERATION)
    duration = max(
        float((2.0 * way / (SHARE * task.velocity_limit)).max()),
        float(np.sqrt(2.0 * np.pi * way / (SHARE * acceleration)).max()),
        float(np.cbrt(4.0 * np.pi**2 * way / (SHARE * robot.jerk_limit)).max()),
    )
    steps = max(math.ceil(duration / dt), 4)
    V = np.outer(1.0 - np.cos(2.0 * np.pi * np.arange(1, steps + 1) / steps), (end - begin) / (steps * dt))
    average = task.integrator == "constant_acceleration"
    moved = np.cumsum(0.5 * (V + np.vstack([0.0 * V[:1], V[:-1]])) if average else V, axis=0)
    return np.hstack([begin + dt * moved, V])
