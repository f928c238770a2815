"""The policy in a thread of its own, which rolls it out while the control loop runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError
from sobo_planner.motion import Motion
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.receding.priority import give_way
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Question:
    instance: Instance
    begin: float


class Proposer:
    """Rolls the policy out for the latest question; outdated answers are dropped.

    Args:
        task: The task.
        policy: A policy made for it.
        samples: Noise samples a proposal, the cheapest of which is proposed.
        seed: Of the diffusion noise, the same for every proposal.

    Attributes:
        failures: Rollouts that were not finite, or raised.
        problem: What was wrong with the last of these; empty before.
        last_ms: Wall time of the last one [ms].
    """

    def __init__(self, task: ArmReach, policy: Policy, *, samples: int = 1, seed: int = 0) -> None:
        self._serving, self._samples, self._seed = (task, policy), samples, seed
        self._condition = threading.Condition()
        self._question: _Question | None = None
        self._answer: tuple[Array, Motion] | None = None
        self._closed = False
        self.failures, self.problem = 0, ""
        self.last_ms = 0.0
        self._thread = threading.Thread(target=self._run, name="policy", daemon=True)
        self._thread.start()

    def ask(self, instance: Instance, begin: float) -> None:
        """Asks for a rollout from an instance whose state is that of a time; it replaces what was asked before."""
        with self._condition:
            self._question = _Question(instance, begin)
            self._condition.notify()

    def adopt(self, task: ArmReach) -> None:
        """From the next question on, the motions of a view of the task at another pace are proposed."""
        with self._condition:
            self._serving, self._answer = (task, self._serving[1].serving(task)), None

    def take(self, target: Array) -> Motion | None:
        """The latest proposal, once, if it leads to this target."""
        with self._condition:
            answer, self._answer = self._answer, None
        return answer[1] if answer is not None and np.array_equal(answer[0], target) else None

    def close(self) -> None:
        """Ends the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        self._thread.join(5.0)

    def _run(self) -> None:
        give_way()
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closed or self._question is not None)
                if self._closed:
                    return
                question, self._question = self._question, None
            assert question is not None
            began = time.monotonic()
            motion = self._roll_out(question)
            self.last_ms = 1e3 * (time.monotonic() - began)
            with self._condition:
                self._answer = None if motion is None else (question.instance.target, motion)

    def _roll_out(self, question: _Question) -> Motion | None:
        rng, (task, policy) = np.random.default_rng(self._seed), self._serving
        try:
            found = rollouts(task, policy, question.instance, rng=rng, samples=self._samples)
            if not np.isfinite(found.costs).any():
                raise PolicyError("no rollout of the policy is finite")
        except Exception as error:  # engines raise what they like, and the thread is to answer the next question
            self.problem = f"{type(error).__name__}: {error}"
            self.failures += 1
            return None
        guess = found.best
        no_gains = np.zeros((len(guess.U), guess.U.shape[1], guess.X.shape[1]))
        return Motion(question.begin, task.dt, guess.X, guess.U, no_gains)
