"""Where refinement starts: each starter proposes trajectories for an instance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import DeadlineError, TaskError
from sobo_planner.planning.mending import is_free
from sobo_planner.planning.proposals import GRAVITY, Proposal, fitted, motions, priced, timed, ways
from sobo_planner.sampling import ChainSettings, SamplingSettings, diffuse
from sobo_planner.solver import Budget, Instance
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Other starts, the interpolation included, that are tried when the first ones do not reach the goal.
MAX_STARTS = 6
# Interpolations that are timed and compared: their order before is that of slow motions.
COMPARED = 3
# Takes 0.05 s for the UR5. From the cheaper motions of longer chains the solver ends at the same optima.
SAMPLING = SamplingSettings("motions", 6, 3.0, chain=ChainSettings(samples=96, steps=25))
# With chains of 256 samples and 50 steps, the cheapest of three leads the UR5 to an optimum as good as the
# interpolation's on 93 of 100 instances, a single one on 84 to 92.
SAMPLINGS = 3


class Starter(Protocol):
    """Proposes starts.

    Attributes:
        phase: Where its time is accounted for: `policy` or `start`.
    """

    phase: str

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """Starts for an instance, most promising first; none where there is none, or the time does not suffice.

        Raises:
            DeadlineError: The budget ran out.
            PlanInterruptedError: Planning was interrupted.
        """
        ...


class InterpolationStarter:
    """The cheapest of the joint interpolations to postures at the goal."""

    phase = "start"

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `Starter.propose`."""
        if task.fits:
            cheapest_first = sorted(ways(task, instance, self._lines(task, instance, budget)), key=lambda way: way.cost)
            return list(itertools.islice(motions(instance, "interpolation", cheapest_first), 1))
        found = priced(task, instance, "interpolation", task.interpolations(instance, budget)[:COMPARED])
        return [min(found, key=lambda proposal: proposal.cost)] if found else []

    def _lines(self, task: ArmReach, instance: Instance, budget: Budget) -> Iterable[Array]:
        """Ways to postures at the goal: the nearest, and those with the cheapest slow motions at a pose.

        Among objects those that touch nothing; failing that, one: costs of lying within objects take long to find.
        """
        from_rest = not instance.x0[task.nu :].any()
        if from_rest and task.least_clearance > 0.0:
            lines = task.slow.lines(instance, budget)
            return [line for line in lines if is_free(task, line[[0, -1]])] or lines[:1]
        if from_rest and task.goal_type != "pose":
            return task.slow.lines(instance, budget)
        slow = task.slow.interpolations(instance, budget)[:COMPARED]
        return (guess.X[:, : task.nu] for guess in slow)


class AlternativeStarter:
    """Holding still against gravity, and interpolations to other postures at the goal.

    Args:
        seed: Of the postures.
    """

    phase = "start"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `Starter.propose`."""
        rng = np.random.default_rng(self._seed)
        nearest, gravity, *postures = task.slow.starts(instance, MAX_STARTS, rng, budget)
        way = nearest if nearest.finite else gravity  # that of the interpolation: to stay has none to take a time from
        still = replace(fitted(task, instance, GRAVITY, way), guess=gravity)
        found = [still, *(fitted(task, instance, "posture", guess) for guess in postures if guess.finite)]
        return [proposal for proposal in found if proposal.guess.finite]


class SamplingStarter:
    """The cheapest motion that model-based diffusion finds from standing still, without inverse kinematics.

    Args:
        seed: Of its noise, the same for every proposal. It is run `SAMPLINGS` times, as time allows.
        settings: What is sampled, and how.
    """

    phase = "start"

    def __init__(self, seed: int, settings: SamplingSettings = SAMPLING) -> None:
        self._seed, self._settings = seed, settings

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `Starter.propose`."""
        rng, found = np.random.default_rng(self._seed), []
        for _ in range(SAMPLINGS):
            try:
                found.append(diffuse(task.nominal, instance, self._settings, rng=rng, budget=budget))
            except TaskError:
                return []
            except DeadlineError:
                if not found:
                    raise
                break
        cheapest = min(found, key=lambda each: each.chain.cost)
        proposals = priced if task is task.nominal else timed
        return proposals(task, instance, "sampling", [cheapest.guess])
