"""The steps of arXiv:2209.09006: trajectories, then policy, then multipliers, for any class of policies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import SoboError
from sobo_planner.solver import Guess, Instance
from sobo_training.consensus.terms import Ranges, copy_step, copy_terms, policy_terms
from sobo_training.consensus.trajectories import Oracle, Trajectories
from sobo_training.evaluation.closed_loop import roll_out

if TYPE_CHECKING:
    from sobo_planner.solver import StageTerms
    from sobo_planner.tasks import Task
    from sobo_training.consensus.options import ConsensusOptions
    from sobo_training.consensus.policy import Learner

Array = NDArray[np.float64]
#: Gauss-Newton steps of the copies of the states, before and after the policy's fit.
COPY_STEPS = 3
#: Smallest typical size of a state; of a control, in units of half its range.
LEAST_RANGE = 1e-2


@dataclass
class Multipliers:
    """What belongs to the instances besides their trajectories.

    Attributes:
        controls: lambda, (n, T, nu).
        states: gamma, (n, T, nx).
        copies: 2x, (n, T, nx).
    """

    controls: Array
    states: Array
    copies: Array


class Consensus:
    """One run: instances, their trajectories and multipliers, and a policy.

    Args:
        task: The task.
        options: The method and its settings.
        policy: What is learned.
        instances: What is learned from; multipliers belong to them, so they stay the same.

    Attributes:
        step: Steps done.
        ranges: Units of residuals; half the ranges of the controls before the first step, typical sizes after it.
    """

    def __init__(self, task: Task, options: ConsensusOptions, policy: Learner, instances: Sequence[Instance]) -> None:
        self.task, self.options, self.policy, self.instances = task, options, policy, instances
        self.targets = np.array([each.target for each in instances], float)
        self.oracle = Oracle(task, options.bounds, options.threads)
        self.step = 0
        self.trajectories = Trajectories.none(task, len(instances))
        shape = (len(instances), task.horizon)
        self.multipliers = Multipliers(*(np.zeros((*shape, n)) for n in (task.nu, task.nx, task.nx)))
        self.ranges = Ranges(0.5 * (task.control_upper - task.control_lower), np.ones(task.nx))

    @property
    def warm(self) -> bool:
        """Whether the augmented Lagrangian is still off."""
        return self.options.method in ("pddp", "pods") or self.step < self.options.warm_steps

    def advance(self, starts: Sequence[Sequence[Guess]] = ()) -> dict[str, Any]:
        """One step: trajectories, policy, multipliers.

        Args:
            starts: The task's own starts for each instance; the first step of all methods but PODS needs them.

        Returns:
            Figures of the step; `seconds` are CPU times.

        Raises:
            SoboError: There is no trajectory to learn from.
        """
        began = time.process_time()
        diverged = self._improve(starts)
        solved = time.process_time()
        good = self.trajectories.good
        if not good.any():
            reason = next(iter(self.trajectories.kept.values()), "no reason is known")
            raise SoboError(f"step {self.step + 1}: no instance has a trajectory to learn from; the first: {reason}")
        if self.step == 0:
            self.ranges = self._typical(good)
        loss = self._fit(good)
        residual = self._update(good)
        self.step += 1
        return {
            "calls": self.oracle.calls,
            "iterations": self.trajectories.iterations,
            "loss": loss,
            "residual": residual,
            "trajectory_cost": None if self.options.method == "pods" else self._mean_cost(good),
            "diverged": diverged,
            "seconds": {"trajectories": solved - began, "policy": time.process_time() - solved},
            "kept": {str(i): reason for i, reason in self.trajectories.kept.items()},
        }

    # ---------------------------------------------------------------- trajectories

    def _improve(self, starts: Sequence[Sequence[Guess]]) -> int:
        """The trajectory step; returns how many rollouts of the policy diverged."""
        if self.step == 0 and self.options.method != "pods":
            self.trajectories = self.oracle.first(self.instances, starts)
            return 0
        rollouts = [each.guess for each in roll_out(self.task, self.policy.act, self.instances)]
        self.oracle.calls += self.task.horizon * len(rollouts)
        if self.options.method == "pods":
            self.trajectories = self.oracle.newton_step(self.instances, rollouts, self.trajectories)
        else:
            guesses = [each or self._present(i) for i, each in enumerate(rollouts)]
            self._solve(guesses)
        return sum(each is None for each in rollouts)

    def _solve(self, guesses: list[Guess]) -> None:
        linear = not (self.warm or self.options.copies)
        for _ in range(self.options.relinearise if linear else 1):
            terms = None if self.warm else self._terms(guesses)
            self.trajectories = self.oracle.improve(self.instances, guesses, self.trajectories, terms)
            guesses = [self._present(i) for i in range(len(guesses))]

    def _present(self, i: int) -> Guess:
        """The trajectory of an instance as it is; one at rest where there is none yet."""
        if not self.trajectories.good[i]:
            return self.task.interpolate(self.instances[i])
        return Guess(self.trajectories.X[i], self.trajectories.U[i])

    def _terms(self, guesses: Sequence[Guess]) -> list[StageTerms]:
        """The augmented Lagrangian of each instance about its guess."""
        mu, ranges, own = self.options.mu, self.ranges, self.multipliers
        if self.options.copies:
            pi = self.policy.controls(own.copies, self.targets)
            return [
                copy_terms(mu, ranges, *each) for each in zip(own.copies, pi, own.controls, own.states, strict=True)
            ]
        X = np.array([guess.X[:-1] for guess in guesses])
        pi, P = self.policy.controls(X, self.targets), self.policy.jacobians(X, self.targets)
        return [policy_terms(mu, ranges, *each) for each in zip(X, pi, P, own.controls, strict=True)]

    # ---------------------------------------------------------------- policy and multipliers

    def _fit(self, good: NDArray[np.bool_]) -> float:
        """Fits the policy; with copies, these move before and after it."""
        own, found, options = self.multipliers, self.trajectories, self.options
        if self.options.copies and self.warm:
            own.copies = found.X[:, :-1].copy()
        self._move_copies(good)
        points = own.copies if self.options.copies else found.X[:, :-1]
        wanted = found.U + self.ranges.control * own.controls / options.mu
        gains = found.K[good] if options.sobolev else None
        seed = int(np.random.SeedSequence([options.seed, self.step]).generate_state(1)[0])
        loss = self.policy.fit(points[good], self.targets[good], wanted[good], gains, self.ranges, seed)
        self._move_copies(good)
        return loss

    def _move_copies(self, good: NDArray[np.bool_]) -> None:
        if not self.options.copies or self.warm:
            return
        own, found = self.multipliers, self.trajectories
        for _ in range(COPY_STEPS):
            Z = own.copies[good]
            pi, P = self.policy.controls(Z, self.targets[good]), self.policy.jacobians(Z, self.targets[good])
            rows = (Z, pi, P, found.X[good, :-1], found.U[good], own.controls[good], own.states[good])
            moved = copy_step(self.options.mu, self.ranges, *(each.reshape(-1, *each.shape[2:]) for each in rows))
            own.copies[good] = moved.reshape(Z.shape)

    def _update(self, good: NDArray[np.bool_]) -> float:
        """The multipliers' step where the trajectory step succeeded; returns |u - pi(x)|, root mean square over points.

        The norm is over all controls, in the units of `ranges`.
        """
        own, found, mu = self.multipliers, self.trajectories, self.options.mu
        X = found.X[:, :-1]
        apart = (found.U - self.policy.controls(X, self.targets)) / self.ranges.control
        fresh = good & ~np.isin(np.arange(len(good)), list(found.kept))
        if not self.warm:
            if self.options.copies:
                own.states[fresh] += mu * ((X - own.copies) / self.ranges.state)[fresh]
            if self.options.method == "plal":
                at = own.copies if self.options.copies else X
                r = (found.U - self.policy.controls(at, self.targets)) / self.ranges.control
                own.controls[fresh] += mu * r[fresh]
        return float(np.sqrt((apart[good] ** 2).sum(axis=2).mean()))

    def _typical(self, good: NDArray[np.bool_]) -> Ranges:
        """Units from the first trajectories. PODS has seen no good controls then, and keeps half the ranges."""
        half, U = self.ranges.control, self.trajectories.U[good].reshape(-1, self.task.nu)
        control = half if self.options.method == "pods" else np.maximum(U.std(axis=0), LEAST_RANGE * half)
        return Ranges(control, typical_size(self.task, self.trajectories.X[good]))

    def _mean_cost(self, good: NDArray[np.bool_]) -> float:
        rows = [(self.trajectories.X[i], self.trajectories.U[i], self.targets[i]) for i in np.flatnonzero(good)]
        return float(np.mean([self.task.cost(*each) for each in rows]))


def typical_size(task: Task, X: Array) -> Array:
    """Standard deviation of each state (nx,) along trajectories (n, T+1, nx), the same in groups of like unit."""
    out = np.ones(task.nx)
    for group in task.state_groups:
        out[group] = np.sqrt(X[..., group].reshape(-1, X[..., group].shape[-1]).var(axis=0).mean())
    return np.maximum(out, LEAST_RANGE)
