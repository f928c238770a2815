"""Where refinement starts: each starter proposes trajectories for an instance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.solver import Budget, Guess, Instance
from sobo_planner.tasks import ArmReach

# Other starts, the interpolation included, that are tried when the first ones do not reach the goal.
MAX_STARTS = 6
GRAVITY = "gravity"


@dataclass(frozen=True)
class Proposal:
    """A start for the solver.

    Attributes:
        source: Where it comes from: `policy`, `interpolation`, `gravity` or `posture`.
        guess: The trajectory, all finite.
        cost: Its total cost; infinite where nobody asked for it.
    """

    source: str
    guess: Guess
    cost: float = np.inf


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
    """The joint interpolation to the nearest posture at the goal."""

    phase = "start"

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `Starter.propose`."""
        return _priced(task, instance, "interpolation", [task.interpolate(instance, budget)])


class PolicyStarter:
    """The cheapest of a policy's rollouts. For a pose, rollouts lead to the position, and are also bent to the pose.

    Args:
        policy: The policy.
        samples: Noise samples that are rolled out.
        seed: Of the diffusion noise, the same for every proposal.

    Attributes:
        failures: How often the policy's output was not finite.
    """

    phase = "policy"

    def __init__(self, policy: Policy, samples: int, seed: int) -> None:
        self._policy, self._samples, self._seed = policy, samples, seed
        self.failures = 0

    def propose(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """See `Starter.propose`."""
        rng = np.random.default_rng(self._seed)
        try:
            found = rollouts(task, self._policy, instance, rng=rng, samples=self._samples, budget=budget)
        except PolicyError:
            self.failures += 1
            return []
        ways = zip(found.guesses, found.costs.tolist(), strict=True)
        proposals = [Proposal("policy", guess, cost) for guess, cost in ways if cost < np.inf]
        if not proposals:
            self.failures += 1
            return []
        if task.goal_type == "pose":
            bent = [task.bend(each.guess, instance, budget) for each in proposals]
            proposals += _priced(task, instance, "policy", [guess for guess in bent if guess is not None])
        return [min(proposals, key=lambda proposal: proposal.cost)]


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
        _, gravity, *postures = task.starts(instance, MAX_STARTS, np.random.default_rng(self._seed), budget)
        found = [(GRAVITY, gravity), *(("posture", guess) for guess in postures)]
        return [Proposal(source, guess) for source, guess in found if guess.finite]


def _priced(task: ArmReach, instance: Instance, source: str, guesses: Iterable[Guess]) -> list[Proposal]:
    """Finite trajectories with their costs."""
    finite = (guess for guess in guesses if guess.finite)
    priced = [Proposal(source, guess, task.cost(guess.X, guess.U, instance.target)) for guess in finite]
    return [proposal for proposal in priced if np.isfinite(proposal.cost)]
