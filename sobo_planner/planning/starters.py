"""Where refinement begins: the policy's rollouts, interpolations, and what else there is, most promising first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sobo_planner.errors import PolicyError
from sobo_planner.planning.budget import Effort
from sobo_planner.planning.refinement import PATIENT, QUICK, Variant
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks import ArmReach

# Starts tried when the first ones do not reach the goal.
MAX_STARTS = 6


class Starts:
    """Starts of the solver.

    Args:
        policy: Proposes starts; without one, interpolation does.
        samples: Noise samples rolled out, the cheapest of which is a start.
        seed: Of the diffusion noise and of random postures.

    Attributes:
        policy_failures: How often the policy's output was not finite.
    """

    def __init__(self, policy: Policy | None, samples: int, seed: int) -> None:
        self._policy, self._samples, self._seed = policy, samples, seed
        self.policy_failures = 0

    def of(self, task: ArmReach, instance: Instance, effort: Effort) -> Iterator[tuple[Variant, str, Guess]]:
        """Variants and starts, most promising first: policy or interpolation, whichever is cheaper, then others.

        With little patience; if none of them does, the first two again with all of it. Starts of plans that leave the
        position limits are refined with these as constraints, which takes long, once those beside them have been tried.
        So are plans that end far from the goal, with more weight on it, once there is nothing else to try quickly.
        Once a plan has collided, links are kept apart in all that comes after the first two.
        """
        proposal = self._propose(task, instance, effort)
        began = time.monotonic()
        interpolation = task.interpolate(instance)
        cost = task.cost(interpolation.X, interpolation.U, instance.target)
        effort.start += time.monotonic() - began
        candidates = [(cost, "interpolation", interpolation)]
        if proposal is not None:
            candidates.append((proposal[0], "policy", proposal[1]))
        candidates.sort(key=lambda candidate: candidate[0])
        for _, source, guess in candidates:
            yield QUICK, source, guess
        yield from tuple(effort.outside)
        others = task.starts(instance, MAX_STARTS, np.random.default_rng(self._seed))[1:]
        if effort.collided:
            effort.outside.clear()
            for guess in _free_first(task, instance, others[1:]):
                yield Variant(clear=1), "posture", guess
            yield from tuple(effort.outside)
        else:
            for source, guess in zip(["gravity"] + ["posture"] * len(others), others, strict=False):
                yield QUICK, source, guess
        yield from tuple(effort.short)
        for _, source, guess in candidates:
            yield PATIENT, source, guess
            yield replace(PATIENT, limited=True), source, guess

    def _propose(self, task: ArmReach, instance: Instance, effort: Effort) -> tuple[float, Guess] | None:
        """The policy's cheapest rollout and its cost; None without a policy or when its output is not finite."""
        if self._policy is None:
            return None
        began = time.monotonic()
        try:
            rng = np.random.default_rng(self._seed)
            found = rollouts(task, self._policy, instance, rng=rng, samples=self._samples)
        except PolicyError:
            self.policy_failures += 1
            return None
        finally:
            effort.policy += time.monotonic() - began
        began = time.monotonic()
        finite = [(float(cost), guess) for cost, guess in zip(found.costs, found.guesses, strict=True) if cost < np.inf]
        if not finite:
            self.policy_failures += 1
            return None
        if task.goal_type == "pose":  # what it proposes are ways to the position
            bent = [task.bend(guess, instance) for _, guess in finite]
            finite += [(task.cost(each.X, each.U, instance.target), each) for each in bent if each is not None]
        effort.start += time.monotonic() - began
        return min(finite, key=lambda candidate: candidate[0])


def _free_first(task: ArmReach, instance: Instance, guesses: list[Guess]) -> list[Guess]:
    """Those that do not collide themselves first, cheap ones first: the solver does not take links past each other."""

    def rank(guess: Guess) -> tuple[bool, float]:
        collides = task.robot.first_collision(guess.X[:, : task.nu]) is not None
        return collides, task.cost(guess.X, guess.U, instance.target)

    return sorted(guesses, key=rank)
