"""Where a cycle of the receding horizon lets the solver begin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlanningError
from sobo_planner.motion import Motion
from sobo_planner.receding.proposer import Proposer
from sobo_planner.receding.solver import RecedingSolver
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]


class CycleStarts:
    """Shifted motion, interpolation, the policy's proposal: the cheapest of those that there are.

    Args:
        task: The task.
        checker: CycleStarts that it refuses come last while a motion to a new goal is sought.
        proposer: The policy in another thread, or None.
        propose_every: Cycles between two proposals of the policy while the goal stays.
    """

    def __init__(self, task: ArmReach, checker: PlanChecker, proposer: Proposer | None, propose_every: int) -> None:
        self._task, self._checker, self._proposer, self._propose_every = task, checker, proposer, propose_every
        self._no_gains = np.zeros((task.horizon, task.nu, task.nx))
        self._cycles = 0
        self._rng = np.random.default_rng(0)

    def adopt(self, task: ArmReach, checker: PlanChecker) -> None:
        """Starts are motions of a view of the task from now on: at another pace, or in another world."""
        self._task, self._checker = task, checker
        if self._proposer is not None:
            self._proposer.adopt(task)

    def best(
        self,
        before: Motion,
        instance: Instance,
        handover: float,
        solver: RecedingSolver,
        tries: int | None,
        budget: Budget = UNLIMITED,
    ) -> tuple[str, Guess]:
        """The cheapest start.

        While a motion to a new target is sought, or where the policy's proposal is cheapest, the cheapest of those
        that the checker passes, if there is one.

        Args:
            before: The motion to shift.
            instance: Where the arm will be at the hand-over, and the target.
            handover: When that is [s].
            solver: Computes the costs.
            tries: Consecutive cycles without a motion to this target; None once one was found.
            budget: Looked at by inverse kinematics.

        Returns:
            Where it comes from, and the start. It begins at the instance's state, and agrees with the dynamics and the
            torque limits.

        Raises:
            PlanningError: Every start diverged.
        """
        starts = [start for start in self._all(before, instance, handover, tries, budget) if start[1].finite]
        self._cycles += 1
        if not starts:
            raise PlanningError("every start of this cycle diverged; check the robot's inertias and armature")
        if len(starts) > 1:
            starts.sort(key=lambda start: solver.cost(start[1], instance.target))
        if tries is not None or starts[0][0] == "policy":
            times = self._task.dt * np.arange(self._task.horizon + 1, dtype=np.float64)
            for start in starts:
                if self._checker.check(times, start[1].X, start[1].U, self._no_gains) is None:
                    return start
        return starts[0]

    def _all(
        self, before: Motion, instance: Instance, handover: float, tries: int | None, budget: Budget
    ) -> Iterator[tuple[str, Guess]]:
        task, x = self._task, instance.x0
        yield "shifted", before.from_time(task, handover, x)
        if tries is not None:  # to the nearest posture at first, then to others
            if tries == 0:
                yield "interpolation", task.interpolate_near(instance, budget)
            elif (other := task.elsewhere(instance, self._rng, budget)) is not None:
                yield "interpolation", other
        if self._proposer is None:
            return
        proposal = self._proposer.take(instance.target)
        if proposal is not None:
            yield "policy", proposal.from_time(task, handover, x)
        if tries is not None or self._cycles % self._propose_every == 0:
            self._proposer.ask(instance, handover)
