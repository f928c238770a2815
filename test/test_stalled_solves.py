"""Solves that get stuck end at once, instead of trying ever shorter steps up to their last iteration."""

from __future__ import annotations

import numpy as np

from sobo_planner.solver import Instance, Refinement, RefinementSolvers
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.world import Box, Pose, World, WorldObject

MOST = 200
#: Sizes and places of boxes [m]. On the straight way to the goal, links lie between them.
BOXES = (
    ((0.14, 0.3, 0.2), (0.47, -0.16, 0.36)),
    ((0.07, 0.05, 0.26), (0.54, -0.17, 0.58)),
    ((0.24, 0.05, 0.09), (0.2, 0.48, 0.68)),
    ((0.07, 0.09, 0.17), (0.62, -0.07, 0.54)),
    ((0.27, 0.08, 0.15), (0.58, 0.04, 0.17)),
)
GOAL = np.array([0.5, -0.08, 0.1])


def test_a_solve_that_takes_short_steps_alone_ends(task: ArmReach, home: np.ndarray) -> None:
    world = World(tuple(WorldObject(f"box {i}", Box(size), Pose(place)) for i, (size, place) in enumerate(BOXES)))
    among = task.with_world(world)
    instance = Instance(np.concatenate([home, np.zeros(6)]), GOAL)
    line = next(iter(among.slow.lines(instance)))
    view = among.from_rest_to_rest(Pace(), instance.x0)
    paced = view.lasting(view.duration_of(line, instance.x0))
    solver = RefinementSolvers(task).of(paced).solver(Refinement(clearance=among.least_clearance, iterations=MOST))
    solution = solver.solve(instance, paced.along(line, instance))
    assert not solution.converged and solution.iterations < MOST
    assert "no acceptable step" in solution.message
