"""Where refinement starts: each starter proposes trajectories for an instance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import DeadlineError, PolicyError, TaskError
from sobo_planner.planning.mending import led_off
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.sampling import ChainSettings, SamplingSettings, diffuse
from sobo_planner.solver import Budget, Guess, Instance
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]

# Other starts, the interpolation included, that are tried when the first ones do not reach the goal.
MAX_STARTS = 6
GRAVITY = "gravity"
GLOBAL = "global"
# Interpolations that are timed and compared: their order before is that of slow motions.
COMPARED = 3
# Of the states of a rollout in a cell every fourth is a point of its way: from chunk to chunk rollouts jump a little.
KNOTS = 4
# Takes 0.05 s for the UR5. From the cheaper motions of longer chains the solver ends at the same optima.
SAMPLING = SamplingSettings("motions", 6, 3.0, chain=ChainSettings(samples=96, steps=25))
# With chains of 256 samples and 50 steps, the cheapest of three leads the UR5 to an optimum as good as the
# interpolation's on 93 of 100 instances, a single one on 84 to 92.
SAMPLINGS = 3


@dataclass(frozen=True)
class Proposal:
    """A start for the solver.

    Attributes:
        source: Where it comes from: `policy`, `interpolation`, `gravity`, `posture`, `global` or `sampling`.
        guess: The trajectory, all finite.
        cost: Its total cost; infinite where nobody asked for it.
        duration: Of the trajectory [s]; None: the task's.
        way: Positions (N, n) that it was made along, if it was: within the limits it may leave them at bends.
        in_cell: Whether it is of a policy that knows a world.
    """

    source: str
    guess: Guess
    cost: float = np.inf
    duration: float | None = None
    way: Array | None = None
    in_cell: bool = False


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
            cheapest_first = sorted(
                _ways(task, instance, self._lines(task, instance, budget)), key=lambda way: way.cost
            )
            return list(itertools.islice(_motions(instance, "interpolation", cheapest_first), 1))
        found = _priced(task, instance, "interpolation", task.interpolations(instance, budget)[:COMPARED])
        return [min(found, key=lambda proposal: proposal.cost)] if found else []

    def _lines(self, task: ArmReach, instance: Instance, budget: Budget) -> Iterable[Array]:
        """Ways to postures at the goal: the nearest, and those with the cheapest slow motions at a pose."""
        if task.goal_type != "pose" and not instance.x0[task.nu :].any():
            return task.slow.lines(instance, budget)
        slow = task.slow.interpolations(instance, budget)[:COMPARED]
        return (guess.X[:, : task.nu] for guess in slow)


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
            proposals += _priced(task.nominal, instance, "policy", [guess for guess in bent if guess is not None])
        if task is not task.nominal:
            proposals = _timed(task, instance, "policy", [each.guess for each in proposals])
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
        proposals = _timed(task, instance, "policy", led_off(task, instance, ways, budget)[:COMPARED])
        if not proposals:
            self.failures += 1
            return []
        return [replace(min(proposals, key=lambda proposal: proposal.cost), in_cell=True)]


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
        still = replace(_fitted(task, instance, GRAVITY, way), guess=gravity)
        found = [still, *(_fitted(task, instance, "posture", guess) for guess in postures if guess.finite)]
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
        proposals = _priced if task is task.nominal else _timed
        return proposals(task, instance, "sampling", [cheapest.guess])


def _priced(task: ArmReach, instance: Instance, source: str, guesses: Iterable[Guess]) -> list[Proposal]:
    """Finite trajectories with their costs."""
    if task.fits:
        return _timed(task, instance, source, guesses)
    found = ((guess, task.cost(guess.X, guess.U, instance.target)) for guess in guesses if guess.finite)
    return [Proposal(source, guess, cost) for guess, cost in found if np.isfinite(cost)]


@dataclass(frozen=True)
class _Way:
    """The way of a trajectory, the task for motions along it, and what one would cost without limits."""

    positions: Array
    view: ArmReach
    duration: float | None
    cost: float


def _ways(task: ArmReach, instance: Instance, ways: Iterable[Array]) -> Iterator[_Way]:
    """Of finite ways (N, n), those with finite costs.

    Limited motions overshoot the end of a way with bends: their cost says little about what the solver makes of them.
    """
    for way in ways:
        if not np.isfinite(way).all():
            continue
        duration = task.duration_of(way, instance.x0) if task.fits else None
        view = task if duration is None else task.lasting(duration)
        cost = view.cost_along(way, instance)
        if np.isfinite(cost):
            yield _Way(way, view, duration, cost)


def _motions(instance: Instance, source: str, ways: Iterable[_Way]) -> Iterator[Proposal]:
    """Finite motions along ways."""
    for way in ways:
        motion = way.view.along(way.positions, instance)
        if motion.finite:
            yield Proposal(source, motion, way.cost, way.duration, way.positions)


def _timed(task: ArmReach, instance: Instance, source: str, guesses: Iterable[Guess]) -> list[Proposal]:
    """Motions along the ways of trajectories, with what they would cost without limits."""
    ways = (guess.X[:, : task.nu] for guess in guesses)
    return list(_motions(instance, source, _ways(task, instance, ways)))


def _fitted(task: ArmReach, instance: Instance, source: str, guess: Guess) -> Proposal:
    """A trajectory as a proposal; where durations fit, one along its way that lasts as long as that takes."""
    if not task.fits:
        return Proposal(source, guess)
    way = guess.X[:, : task.nu]
    duration = task.duration_of(way, instance.x0)
    return Proposal(source, task.lasting(duration).along(way, instance), duration=duration)
