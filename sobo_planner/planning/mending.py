"""Policies' ways that touch something are led off it: bands from the start to the goal, pulled straight and pushed off
what is near (Quinlan, Khatib 1993: Elastic bands)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.solver import Budget, Guess, Instance
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Gap [m] that points of a way are pushed to, and the least one that ends it: the solver keeps 2 cm where it can.
ROOM, ENOUGH = 0.02, 0.01
# Rounds at most, and in how many of them, the first ones, the band is also pulled straight.
ROUNDS, PULLED = 15, 5
# How hard: shares of the differences of neighbours.
TENSION = 5.0
# How far a push at one point takes its neighbours along. Ways with dents take the solver more iterations.
STIFFNESS = 20.0
# Largest change of a joint in a round [rad or m], and overlap [m] beyond which depth says little.
STEP, DEEP = 0.1, 0.05
# Rounds to find an end at the goal where nothing is near, and how far from the goal that may be [m].
END_ROUNDS, AT_GOAL = 30, 1e-3
# Of slopes and Jacobians, squared: what hardly moves is left alone.
LEAST_SLOPE, DAMPING = 0.02, 1e-3
# Distance [m] from the goal beyond which a way is mended, as one that touches something is.
FAR = 0.02


def is_free(task: ArmReach, way: Array) -> bool:
    """Whether a way (N, n) touches nothing."""
    return task.robot.first_contact(np.arange(float(len(way))), way, np.gradient(way, axis=0)) is None


def led_off(task: ArmReach, instance: Instance, ways: Sequence[Guess], budget: Budget) -> list[Guess]:
    """Those of a policy's ways that touch nothing and end near the goal; among objects, where none does, all mended.

    Of the mended ones again those that touch nothing; failing that, those that did not before, wherever they end. Once
    the time is over none is mended any more.
    """
    n, goal = task.nu, instance.target[:3]
    free = [way for way in ways if is_free(task, way.X[:, :n])]
    if not task.robot.world.everything:
        return free or list(ways)
    near = [way for way in free if np.linalg.norm(task.robot.tool_position(way.X[-1, :n]) - goal) <= FAR]
    if near:
        return near
    bent = []
    for way in ways:
        if budget.over():
            break
        bent.append(replace(way, X=np.hstack([mended(task, way.X[:, :n], goal), way.X[:, n:]])))
    return [way for way in bent if is_free(task, way.X[:, :n])] or free or bent or list(ways)


def mended(task: ArmReach, way: Array, target: Array) -> Array:
    """A way like another one that keeps away from objects and links as far as was possible, and ends at a goal.

    It may still touch something, or end elsewhere.

    Args:
        task: The arm in its world.
        way: Positions (N, n), N > 2, equally far apart in time.
        target: Of the tool, (3,) [m].
    """
    share = np.linspace(0.0, 1.0, len(way))[:, None]
    way = way + share**2 * (_end(task, way[-1], target) - way[-1])
    lower, upper = task.robot.position_lower, task.robot.position_upper
    pull, spread = _matrices(len(way) - 2)
    for k in range(ROUNDS):
        if k < PULLED:
            inner = way[1:-1].copy()
            inner[0] += TENSION * way[0]
            inner[-1] += TENSION * way[-1]
            way[1:-1] = pull @ inner
        pushes, gaps = zip(*(_push(task, q) for q in way[1:-1]), strict=True)
        if k >= PULLED and min(gaps) >= ENOUGH:
            break
        way[1:-1] = np.clip(way[1:-1] + _capped(spread @ np.array(pushes)), lower, upper)
    return way


def _end(task: ArmReach, q: Array, target: Array) -> Array:
    """A configuration (n,) near q with the tool at a target (3,), and nothing near."""
    robot = task.robot
    for _ in range(END_ROUNDS):
        error = target - robot.tool_position(q)
        push, gap = _push(task, q)
        if gap >= ENOUGH and np.linalg.norm(error) < AT_GOAL:
            break
        J = robot.tool_jacobian(q)
        inverse = J.T @ np.linalg.inv(J @ J.T + DAMPING * np.eye(3))
        step = inverse @ error + push - inverse @ (J @ push)
        q = np.clip(q + _capped(step), robot.position_lower, robot.position_upper)
    return q


def _push(task: ArmReach, q: Array) -> tuple[Array, float]:
    """The change (n,) that opens gaps below `ROOM`, to first order and each for itself, and the smallest of them."""
    near = task.robot.native.near(q, ROOM)
    if not near:
        return np.zeros(len(q)), ROOM
    gaps, slopes = np.array([each.gap for each in near]), np.array([each.slope for each in near])
    lacks = np.minimum(ROOM - gaps, DEEP) / np.maximum((slopes**2).sum(axis=1), LEAST_SLOPE)
    push: Array = lacks @ slopes
    return push, float(gaps.min())


def _capped(step: Array) -> Array:
    """A step, shorter if a joint would change by more than `STEP`."""
    return step * min(1.0, STEP / max(float(np.abs(step).max()), 1e-12))


@functools.lru_cache(maxsize=4)
def _matrices(points: int) -> tuple[Array, Array]:
    """What pulls points between two ends straight, and what spreads pushes: (points, points) each."""
    bend = 2.0 * np.eye(points) - np.eye(points, k=1) - np.eye(points, k=-1)
    pull = np.asarray(np.linalg.inv(np.eye(points) + TENSION * bend), float)
    spread = np.asarray(np.linalg.inv(np.eye(points) + STIFFNESS * bend @ bend), float)
    return pull, spread / np.diag(spread)[:, None]
