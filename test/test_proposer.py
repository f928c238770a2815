"""The policy's thread: who gets which answer, and what becomes of a policy gone wrong."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from sobo_planner.motion import Motion
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import Rollouts, rollouts
from sobo_planner.receding import proposer as proposer_module
from sobo_planner.receding.proposer import Proposer
from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks import ArmReach

N = 6
LONG = 60.0  # [s] after which a test fails instead of waiting on


class Engine:
    """The policy's engine behind a gate; afterwards its answer is changed by `spoil`."""

    name = "gated"

    def __init__(self, policy: Policy, spoil: Callable[[np.ndarray], np.ndarray] = lambda chunk: chunk) -> None:
        self._engine, self._spoil = policy.engine, spoil
        self.entered, self.gate = threading.Semaphore(0), threading.Event()
        self.gate.set()

    def sample(self, *arguments: np.ndarray) -> np.ndarray:
        self.entered.release()
        assert self.gate.wait(LONG)
        return self._spoil(self._engine.sample(*arguments))  # type: ignore[attr-defined]


@pytest.fixture
def engine(policy: Policy) -> Engine:
    return Engine(policy)


@pytest.fixture
def proposer(task: ArmReach, policy: Policy, engine: Engine) -> Iterator[Proposer]:
    proposer = Proposer(task, Policy(policy.artifact, engine, task))
    yield proposer
    engine.gate.set()
    proposer.close()


@pytest.fixture
def instances(task: ArmReach, home: np.ndarray) -> list[Instance]:
    x = np.concatenate([home, np.zeros(N)])
    return [Instance(x, task.robot.tool_position(home + offset)) for offset in (0.2, -0.2, 0.4)]


def until(what: Callable[[], object]) -> None:
    limit = time.monotonic() + LONG
    while not what():
        assert time.monotonic() < limit
        time.sleep(1e-3)


def answer(proposer: Proposer, target: np.ndarray) -> Motion:
    """The answer for a target, once it is there."""
    until(lambda: proposer._answer is not None)
    motion = proposer.take(target)
    assert motion is not None
    return motion


def test_a_proposal_is_the_rollout_from_the_instance(
    task: ArmReach, policy: Policy, proposer: Proposer, instances: list[Instance]
) -> None:
    assert proposer.take(instances[0].target) is None
    proposer.ask(instances[0], 17.5)
    motion = answer(proposer, instances[0].target)
    expected = rollouts(task, policy, instances[0], rng=np.random.default_rng(0)).best
    assert motion.begin == 17.5 and motion.dt == task.dt
    np.testing.assert_array_equal(motion.X, expected.X)
    np.testing.assert_array_equal(motion.U, expected.U)
    assert not motion.K.any() and motion.K.shape == (task.horizon, N, 2 * N)
    assert proposer.failures == 0 and proposer.last_ms > 0.0


def test_the_time_that_a_proposal_took_is_told(
    proposer: Proposer, instances: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proposer.last_ms == 0.0
    monkeypatch.setattr(proposer_module, "time", SimpleNamespace(monotonic=iter([70.0, 70.25]).__next__))
    proposer.ask(instances[0], 0.0)
    answer(proposer, instances[0].target)
    assert proposer.last_ms == 250.0


@pytest.mark.parametrize("second, failures", [(np.inf, 1), (3.0, 0)])
def test_one_finite_rollout_of_several_is_enough(
    proposer: Proposer, instances: list[Instance], monkeypatch: pytest.MonkeyPatch, second: float, failures: int
) -> None:
    guesses = [Guess(np.full((3, 4), mark), np.zeros((2, 2))) for mark in (np.inf, 1.0)]
    found = Rollouts(guesses, np.array([np.inf, second]))
    monkeypatch.setattr(proposer_module, "rollouts", lambda *_, **__: found)
    motion = proposer._roll_out(proposer_module._Question(instances[0], 5.0))
    assert proposer.failures == failures
    if failures:
        assert motion is None and "no rollout of the policy is finite" in proposer.problem
    else:
        assert motion is not None and motion.X is guesses[1].X and motion.K.shape == (2, 2, 4)


def test_an_answer_is_handed_out_once_and_for_its_target(proposer: Proposer, instances: list[Instance]) -> None:
    proposer.ask(instances[0], 0.0)
    answer(proposer, instances[0].target)
    assert proposer.take(instances[0].target) is None
    proposer.ask(instances[0], 0.0)
    until(lambda: proposer._answer is not None)
    assert proposer.take(instances[1].target) is None
    assert proposer.take(instances[0].target) is None, "nobody waited for it any more"


def test_the_latest_question_is_answered(proposer: Proposer, engine: Engine, instances: list[Instance]) -> None:
    """While the first rollout runs, two more questions come: the second is never rolled out."""
    engine.gate.clear()
    proposer.ask(instances[0], 0.0)
    assert engine.entered.acquire(timeout=LONG)
    proposer.ask(instances[1], 1.0)
    proposer.ask(instances[2], 2.0)
    engine.gate.set()
    begins = []
    while 2.0 not in begins:
        until(lambda: proposer._answer is not None)
        begins.append(proposer._answer[1].begin)  # type: ignore[index]
        proposer.take(instances[0].target)
    assert 1.0 not in begins
    assert proposer.failures == 0


@pytest.mark.parametrize(
    "spoil", [lambda chunk: np.full_like(chunk, np.nan), lambda chunk: np.full_like(chunk, np.inf)]
)
def test_proposals_that_are_not_finite_are_counted(
    task: ArmReach, policy: Policy, instances: list[Instance], spoil: Callable[[np.ndarray], np.ndarray]
) -> None:
    proposer = Proposer(task, Policy(policy.artifact, Engine(policy, spoil), task))
    for failures in (1, 2):
        proposer.ask(instances[0], 0.0)
        until(lambda failures=failures: proposer.failures == failures)
        assert proposer.take(instances[0].target) is None
        assert "not finite" in proposer.problem
    proposer.close()


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ValueError("wrong size"), MemoryError()])
def test_an_engine_that_throws_does_not_end_the_thread(
    task: ArmReach, policy: Policy, instances: list[Instance], error: Exception
) -> None:
    sound = threading.Event()

    def spoil(chunk: np.ndarray) -> np.ndarray:
        if not sound.is_set():
            raise error
        return chunk

    proposer = Proposer(task, Policy(policy.artifact, Engine(policy, spoil), task))
    proposer.ask(instances[0], 0.0)
    until(lambda: proposer.failures == 1 or not proposer._thread.is_alive())
    assert proposer.failures == 1 and proposer._thread.is_alive()
    assert type(error).__name__ in proposer.problem
    sound.set()
    proposer.ask(instances[0], 0.0)
    answer(proposer, instances[0].target)
    proposer.close()


def test_absurd_chunks_give_a_finite_proposal_or_none(
    task: ArmReach, policy: Policy, instances: list[Instance]
) -> None:
    proposer = Proposer(task, Policy(policy.artifact, Engine(policy, lambda chunk: chunk + 1e30), task))
    proposer.ask(instances[0], 0.0)
    until(lambda: proposer.failures == 1 or proposer._answer is not None)
    motion = proposer.take(instances[0].target)
    assert motion is None or (np.isfinite(motion.X).all() and np.isfinite(motion.U).all())
    proposer.close()


def test_close_ends_the_thread(
    task: ArmReach, policy: Policy, proposer: Proposer, engine: Engine, instances: list[Instance]
) -> None:
    """Also with a question that waits, which is not rolled out, and twice."""
    engine.gate.clear()
    proposer.ask(instances[0], 0.0)
    assert engine.entered.acquire(timeout=LONG)
    proposer.ask(instances[1], 0.0)
    closing = threading.Thread(target=proposer.close)
    closing.start()
    until(lambda: proposer._closed)
    engine.gate.set()
    closing.join(LONG)
    assert proposer._thread.daemon and not proposer._thread.is_alive()
    calls = math.ceil(task.horizon / policy.T_a)  # of one rollout, the first of which was seen above
    assert sum(engine.entered.acquire(blocking=False) for _ in range(2 * calls)) == calls - 1
    proposer.close()


def test_poses_are_proposed_for_too(task: ArmReach, policy: Policy, home: np.ndarray) -> None:
    proposer = Proposer(task.with_orientation(), policy)
    target = task.robot.tool_pose(home + 0.2)
    proposer.ask(Instance(np.concatenate([home, np.zeros(N)]), target), 0.0)
    motion = answer(proposer, target)
    assert np.linalg.norm(task.robot.tool_position(motion.X[-1, :N]) - target[:3]) < 0.1
    proposer.close()
