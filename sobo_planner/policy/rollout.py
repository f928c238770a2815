"""Policy rollout (Algorithm 2 of arXiv:2604.19011): chunk after chunk through the true dynamics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Policy
from sobo_planner.policy.native_rollout import can_roll_out, native_rollouts
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance
from sobo_planner.tasks import Task

Array = NDArray[np.float64]

SUBJECT = "the policy's rollout"


@dataclass(frozen=True)
class Rollouts:
    """Rollouts of several noise samples from one instance.

    Attributes:
        guesses: One trajectory a sample.
        costs: Their total costs, (samples,); infinite where a trajectory is not finite.
    """

    guesses: list[Guess]
    costs: Array

    @property
    def best(self) -> Guess:
        """The cheapest of them."""
        return self.guesses[int(np.argmin(self.costs))]


def rollouts(
    task: Task,
    policy: Policy,
    instance: Instance,
    *,
    rng: np.random.Generator,
    T_a: int | None = None,
    samples: int = 1,
    budget: Budget = UNLIMITED,
) -> Rollouts:
    """Rolls the policy out over the task's horizon, all samples in one batch.

    Each chunk predicts states, which inverse dynamics within the limits tracks through the discrete dynamics, or
    controls. After T_a of its slots the policy predicts again, from the state that was reached.

    Args:
        task: The task.
        policy: A policy made for it.
        instance: Initial state and target.
        rng: Source of the diffusion noise; fixes the result.
        T_a: Steps executed of each chunk; the policy's own by default.
        samples: Noise samples.
        budget: Looked at before each chunk.

    Raises:
        PolicyError: T_a out of range, or a prediction that is not finite.
        DeadlineError: The budget ran out.
        PlanInterruptedError: Planning was interrupted.
    """
    T_a = policy.T_a if T_a is None else T_a
    if not 1 <= T_a <= policy.T_h - policy.T_o:
        raise PolicyError(f"T_a={T_a} must lie in 1 ... {policy.T_h - policy.T_o}, what a chunk holds")
    found = _natively(task, policy, instance, rng, T_a, samples, budget)
    X, U = _chunk_by_chunk(task, policy, instance, rng, T_a, samples, budget) if found is None else found
    guesses = [Guess(x, u) for x, u in zip(X, U, strict=True)]
    costs = [task.cost(g.X, g.U, instance.target) if g.finite else np.inf for g in guesses]
    return Rollouts(guesses, np.array(costs))


def _natively(
    task: Task, policy: Policy, instance: Instance, rng: np.random.Generator, T_a: int, samples: int, budget: Budget
) -> tuple[Array, Array] | None:
    """States and controls; None where the native extension does not know the task or the network."""
    if not can_roll_out(policy):
        return None
    budget.check(SUBJECT)
    found = native_rollouts(policy, instance, task.horizon, T_a, rng, samples, budget)
    if found is None:
        budget.check(SUBJECT)
    return found


def _chunk_by_chunk(
    task: Task, policy: Policy, instance: Instance, rng: np.random.Generator, T_a: int, samples: int, budget: Budget
) -> tuple[Array, Array]:
    """States (samples, T + 1, nx) and controls (samples, T, nu), for any task and engine; `native_rollouts` is tested
    against this."""
    X = np.empty((samples, task.horizon + 1, task.nx))
    U = np.empty((samples, task.horizon, task.nu))
    X[:, 0] = instance.x0
    for t in range(0, task.horizon, T_a):
        budget.check(SUBJECT)
        steps = min(T_a, task.horizon - t)
        if t == 0:
            chunks = policy.sample(X[0, 0], instance.target, rng, samples)
        else:
            chunks = policy.sample(X[:, t], instance.target, rng, t=t, controls=U[:, t - 1])
        for i, chunk in enumerate(chunks):
            actions = chunk[policy.T_o : policy.T_o + steps]
            X[i, t : t + steps + 1], U[i, t : t + steps] = policy.actions.follow(X[i, t], actions)
    return X, U


def rollout(
    task: Task,
    policy: Policy,
    instance: Instance,
    T_a: int | None = None,
    *,
    rng: np.random.Generator,
    samples: int = 1,
) -> Guess:
    """The cheapest of `samples` rollouts; see `rollouts`."""
    return rollouts(task, policy, instance, rng=rng, T_a=T_a, samples=samples).best
