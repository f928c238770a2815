"""Starts that a policy proposes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sobo_planner.errors import PolicyError
from sobo_planner.planning.mending import led_off
from sobo_planner.planning.proposals import Proposal, priced, timed
from sobo_planner.planning.starters import COMPARED
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.solver import Budget, Guess, Instance
from sobo_planner.tasks import ArmReach

# Of the states of a rollout in a cell every fourth is a point of its way: from chunk to chunk rollouts jump a little.
KNOTS = 4


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
        if task.goal_type == "joints":  # the way is known
            return []
        if self._policy.world is not None:
            return self._in_cell(task, instance, budget)
        rng = np.random.default_rng(self._seed)
        try:
            found = rollouts(task.nominal, self._policy, instance, rng=rng, samples=self._samples, budget=budget)
        except PolicyError:
            self.failures += 1
            return []
        ways = zip(found.guesses, found.costs.tolist(), strict=True)
        proposals = [Proposal("policy", guess, cost) for guess, cost in ways if cost < np.inf]
        if not proposals:
            self.failures += 1
            return []
        if task.goal_type == "pose":
            bent = [task.nominal.bend(each.guess, instance, budget) for each in proposals]
            proposals += priced(task.nominal, instance, "policy", [guess for guess in bent if guess is not None])
        if task is not task.nominal:
            proposals = timed(task, instance, "policy", [each.guess for each in proposals])
        return [min(proposals, key=lambda proposal: proposal.cost)] if proposals else []

    def _in_cell(self, task: ArmReach, instance: Instance, budget: Budget) -> list[Proposal]:
        """The cheapest way of a policy that knows a world, led off what it touches, in the time that it takes.

        It has learned from plans whose durations differ (`sobo_training.data.cell`). Its rollouts are slow, so that no
        limit takes them off their ways.
        """
        rng, slow = np.random.default_rng(self._seed), task.slow
        try:
            policy = self._policy.serving(slow)
            found = rollouts(slow, policy, instance, rng=rng, samples=self._samples, budget=budget)
        except PolicyError:
            self.failures += 1
            return []
        order = [int(i) for i in np.argsort(found.costs) if np.isfinite(found.costs[i])]
        ways = [Guess(found.guesses[i].X[::KNOTS], found.guesses[i].U[::KNOTS]) for i in order]
        proposals = timed(task, instance, "policy", led_off(task, instance, ways, budget)[:COMPARED])
        if not proposals:
            self.failures += 1
            return []
        return [replace(min(proposals, key=lambda proposal: proposal.cost), in_cell=True)]
