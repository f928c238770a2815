"""What a cycle publishes: the solver's result or its start, the cheaper one that the checker passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import SolverError
from sobo_planner.motion import Motion
from sobo_planner.receding.current_task import CurrentTask
from sobo_planner.receding.cycle import Cycle
from sobo_planner.receding.solver import RecedingSolver
from sobo_planner.solver import Guess, Instance, Solution
from sobo_planner.tasks.arm.commands import Gains, commands

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """Where the solver began.

    Attributes:
        source: Where it comes from, as in `Cycle`.
        guess: The trajectory.
        gains: Its own gains (T, nu, nx); None: it has the solver's.
    """

    source: str
    guess: Guess
    gains: Array | None


def choose(
    current: CurrentTask,
    solver: RecedingSolver,
    kind: Gains,
    instance: Instance,
    handover: float,
    start: Start,
    start_cost: float,
    solution: Solution | None,
) -> Cycle:
    """The cheaper of the solver's result and its start that may be published.

    Args:
        current: The task, and the checker that passes the motion.
        solver: Says what of the solution can be executed, and hears of collisions.
        kind: Which gains the motion has.
        instance: What was solved.
        handover: When the motion begins [s].
        start: Where the solver began.
        start_cost: What that costs.
        solution: What the solver made of it; None while it is still at work.
    """
    task = current.task
    options = [(start_cost, False, start.guess)]
    refined = None if solution is None else solver.executable(solution, instance)
    if refined is not None:
        options.append((refined[0], True, refined[1]))
    options.sort(key=lambda option: option[0])
    iterations = 0 if solution is None else solution.iterations
    gains = None if solution is None else solution.K
    if kind is Gains.TASK and (gains is None or not np.isfinite(gains).all()):
        try:
            gains = solver.gains(instance, start.guess)
        except SolverError as missing:
            return Cycle(None, start.source, iterations=iterations, objection=str(missing))
    objections: list[str] = []
    for cost, is_refined, guess in options:
        own = gains if is_refined or start.gains is None else start.gains
        motion = Motion(handover, task.dt, guess.X, *commands(task, kind, guess.X, guess.U, own))
        violation = current.checker.check(motion.time, motion.X, motion.U, motion.K)
        if violation is None:
            return Cycle(
                motion,
                start.source,
                is_refined,
                cost,
                solution.primal_residual if solution is not None and is_refined else 0.0,
                iterations,
                objection="; ".join(objections),
                tool_error=task.final_error(guess.X, instance.target),
            )
        solver.collided(violation)
        objections.append(f"{'refined' if is_refined else 'start'}: {violation.detail}")
    return Cycle(None, start.source, iterations=iterations, objection="; ".join(objections))
