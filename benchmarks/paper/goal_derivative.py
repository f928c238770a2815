"""First-order information in the goal, besides that in the state.

The optimal chunk from a fixed state moves with the goal g as the whole trajectory does, less what its own start moves:

    d x[t+h] / d g at fixed x[t]  =  d x[t+h] / d g  -  Phi_h d x[t] / d g,    Phi_h = d x[t+h] / d x[t]

with the total derivatives by central differences over solving again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from sobo_planner.solver import Guess, Instance, Solver
from sobo_training.learning.chunks import TrainingSet
from sobo_training.learning.jacobians import chunk_transitions, closed_loop
from sobo_training.learning.losses import Batch

#: Step of the differences [m].
STEP = 1e-3
#: Move of the goal [m] that counts as much as a state's normalised unit.
SCALE = 0.1


def totals(task: Any, data: Any, row: int) -> np.ndarray:
    """d X / d g of one solution, (T+1, nx, 3); the columns of a goal that could not be solved again are zero."""
    options = replace(task.solver_options, tol=1e-6, early_stop=0.0, retry=False)
    solver, out = Solver(task, options), np.zeros((*data.X[row].shape, 3))
    for axis in range(3):
        moved = []
        for sign in (1.0, -1.0):
            goal = data.target[row] + sign * STEP * np.eye(3)[axis]
            solution = solver.solve(Instance(data.x0[row], goal), Guess(data.X[row], data.U[row]))
            moved.append(solution.X if solution.converged else None)
        if moved[0] is not None and moved[1] is not None:
            out[..., axis] = (moved[0] - moved[1]) / (2.0 * STEP)
    return out


def chunk_derivatives(task: Any, data: Any, row: int, length: int) -> np.ndarray:
    """d chunk / d g at a fixed first state, (T, length, d_a, 3), for chunks of states."""
    actions, total = task.actions("state"), totals(task, data, row)
    loop, _ = actions.prolong(closed_loop(data.A[row], data.B[row], data.K[row]), data.K[row], length - 2)
    phi = chunk_transitions(loop[None], length)[0]
    held = np.concatenate([total, np.einsum("ij,jk->ik", loop[-1], total[-1])[None].repeat(length - 2, 0)])
    steps = len(data.U[row])
    # Relative positions need no correction: at a fixed first state the origin of the chunk does not move.
    return np.stack([held[t : t + length] - phi[t] @ total[t] for t in range(steps)])


def observation_derivatives(task: Any, x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """d observation / d g, (d_o, 3)."""
    steps = 1e-6 * np.eye(3)
    columns = [(task.observation(x, target + d) - task.observation(x, target - d)) / 2e-6 for d in steps]
    return np.stack(columns, axis=1)


def with_goal(data: TrainingSet, solutions: Any, task: Any, length: int) -> TrainingSet:
    """The chunks with three more columns in every Jacobian, those of the goal."""
    chunks, seen = [], []
    for row in range(len(solutions.X)):
        chunks.append(chunk_derivatives(task, solutions, row, length))
        seen += [observation_derivatives(task, x, solutions.target[row]) for x in solutions.X[row][:-1]]
    scaling, samples = data.normaliser, data.samples
    chunk = SCALE * np.concatenate(chunks) / scaling.action_scale[:, None]
    observation = SCALE * np.stack(seen) / scaling.observation_scale[:, None]
    return TrainingSet(
        Batch(
            samples.observation,
            torch.cat((samples.observation_jacobian, torch.from_numpy(observation).float()), -1),
            samples.chunk,
            torch.cat((samples.chunk_jacobian, torch.from_numpy(chunk).float()), -1),
        ),
        scaling,
        data.trajectories,
    )
