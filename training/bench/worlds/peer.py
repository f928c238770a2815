"""The usual planner of motions among obstacles: OMPL's RRT-Connect and its shortening, timed by toppra.

Both are optional: `pip install ompl toppra`. Configurations are checked by Pinocchio and Coal from Python.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sobo_training.bench.worlds.check import Check

#: CPU time limit of the search and of the shortening [s].
LIMIT, SHORTENING = 5.0, 1.0
#: Configurations checked along a line, as a share of the extent of all joints.
RESOLUTION = 0.004


def plan(check: Check, start: np.ndarray, goal: np.ndarray, speed: float, acceleration: float) -> dict[str, Any] | None:
    """The duration of the motion that OMPL and toppra find [s], and CPU time [ms]; None if they find none."""
    began = time.thread_time()
    way = _way(check, start, goal)
    if way is None:
        return None
    found = time.thread_time()
    duration = _duration(way, speed, acceleration)
    if duration is None:
        return None
    return {"duration": duration, "way_ms": 1e3 * (found - began), "ms": 1e3 * (time.thread_time() - began)}


def _way(check: Check, start: np.ndarray, goal: np.ndarray) -> np.ndarray | None:
    from ompl import base, geometric, util

    util.setLogLevel(util.LOG_NONE)
    n = len(start)
    space, bounds = base.RealVectorStateSpace(n), base.RealVectorBounds(n)
    for i in range(n):
        bounds.setLow(i, -2.0 * np.pi)
        bounds.setHigh(i, 2.0 * np.pi)
    space.setBounds(bounds)
    setup = geometric.SimpleSetup(space)
    information = setup.getSpaceInformation()
    setup.setStateValidityChecker(lambda state: not check.touches(np.array([state[i] for i in range(n)])))
    information.setStateValidityCheckingResolution(RESOLUTION)
    first, last = space.allocState(), space.allocState()
    for i in range(n):
        first[i], last[i] = float(start[i]), float(goal[i])
    setup.setStartAndGoalStates(first, last)
    setup.setPlanner(geometric.RRTConnect(information))
    setup.solve(_within(LIMIT))
    if not setup.haveExactSolutionPath():
        return None
    setup.simplifySolution(_within(SHORTENING))
    path = setup.getSolutionPath()
    return np.array([[path.getState(k)[i] for i in range(n)] for k in range(path.getStateCount())])


def _within(seconds: float) -> Any:
    """What ends OMPL's work once this thread has taken so much CPU time [s], however busy the computer is."""
    from ompl import base

    end = time.thread_time() + seconds
    return base.PlannerTerminationCondition(lambda: time.thread_time() > end)


def _duration(way: np.ndarray, speed: float, acceleration: float) -> float | None:
    import toppra
    import toppra.algorithm as algorithm
    import toppra.constraint as constraint

    toppra.setup_logging("ERROR")
    points = [way[0]]
    for a, b in zip(way[:-1], way[1:], strict=True):
        count = max(1, int(np.abs(b - a).max() / 0.15))
        points += [a + (b - a) * k / count for k in range(1, count + 1)]
    dense = np.array(points)
    length = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1)))
    path = toppra.SplineInterpolator(length / length[-1], dense)
    n = way.shape[1]
    limits = [
        constraint.JointVelocityConstraint(np.tile([-speed, speed], (n, 1))),
        constraint.JointAccelerationConstraint(np.tile([-acceleration, acceleration], (n, 1))),
    ]
    found = algorithm.TOPPRA(limits, path, parametrizer="ParametrizeConstAccel").compute_trajectory()
    return None if found is None else float(found.duration)
