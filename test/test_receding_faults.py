"""Receding horizon with a solver or a policy gone wrong: what is published may be executed, or nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from closed_loop import Loop, PromptProposer, receding

from sobo_planner.errors import SolverError
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Guess, Instance, Solution, Solver
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains

N = 6


@pytest.fixture
def start(home: np.ndarray) -> np.ndarray:
    return np.concatenate([home, np.zeros(N)])


@pytest.fixture
def target(task: ArmReach, home: np.ndarray) -> np.ndarray:
    return task.robot.tool_position(home + 0.4)


def spoiled(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Solution], Solution]) -> None:
    """From here on, whatever the solver finds is spoiled. Gains are still asked for in vain."""
    solve = Solver.solve

    def wrong(self: Solver, instance: Instance, guess: Guess, *limits: object) -> Solution:
        return spoil(solve(self, instance, guess, *limits))

    monkeypatch.setattr(Solver, "solve", wrong)


SPOILERS: dict[str, Callable[[Solution], Solution]] = {
    "all nan": lambda s: replace(s, X=s.X * np.nan, U=s.U * np.nan, K=s.K * np.nan, primal_residual=np.nan),
    "one nan": lambda s: replace(s, X=np.where(np.arange(s.X.size).reshape(s.X.shape) == 700, np.nan, s.X)),
    "infinite torques": lambda s: replace(s, U=s.U + np.inf),
    "far off": lambda s: replace(s, X=s.X + 1e6),
    "absurd": lambda s: replace(s, X=s.X * 1e300, U=s.U * 1e300),
    "wild torques that claim to fit": lambda s: replace(s, U=1e9 * np.sign(s.U), primal_residual=0.0),
    "states that claim to fit": lambda s: replace(s, X=s.X[::-1].copy(), primal_residual=0.0),
    "nan residual": lambda s: replace(s, primal_residual=np.nan),
}


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_solver_gone_wrong_does_not_harm(
    task: ArmReach,
    start: np.ndarray,
    target: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Solution], Solution],
) -> None:
    """The loop checks whatever is published; starts alone lead to the goal."""
    loop = Loop(task, receding(task), start)
    loop.run(target, 3)
    spoiled(monkeypatch, spoil)
    cycles = loop.run(target, 20)
    assert all(cycle.motion is not None or cycle.objection for cycle in cycles)
    assert sum(cycle.motion is not None for cycle in cycles) >= 15
    assert cycles[-1].tool_error < 0.02
    monkeypatch.undo()
    assert any(cycle.refined for cycle in loop.run(target, 20)), "and the solver is made use of again"


def test_absurd_gains_are_not_published(
    task: ArmReach, start: np.ndarray, target: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(task, receding(task, gains=Gains.TASK), start)
    loop.run(target, 3)
    spoiled(monkeypatch, lambda s: replace(s, K=s.K * 1e6))
    cycles = loop.run(target, 10)
    assert all(cycle.motion is None and "gain" in cycle.objection for cycle in cycles)
    for motion in loop.motions:
        assert np.abs(motion.K).max() < 2e4
    monkeypatch.undo()
    assert loop.run(target, 3)[-1].motion is not None


def test_gains_that_cannot_be_had_are_an_objection(
    task: ArmReach, start: np.ndarray, target: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = Loop(task, receding(task, gains=Gains.TASK), start)
    loop.run(target, 3)
    spoiled(monkeypatch, lambda s: replace(s, K=s.K * np.nan))

    def none(self: Solver, instance: Instance, trajectory: Guess) -> np.ndarray:
        raise SolverError("there are no gains along this trajectory: diverged")

    monkeypatch.setattr(Solver, "gains", none)
    cycle = loop.run(target, 1)[0]
    assert cycle.motion is None and "no gains" in cycle.objection
    monkeypatch.undo()
    assert loop.run(target, 1)[0].motion is not None


class Broken:
    """An engine whose chunks are all `value`."""

    name = "broken"

    def __init__(self, value: float) -> None:
        self.value = value

    def denoise(self, sample: np.ndarray, step: np.ndarray, observation: np.ndarray) -> np.ndarray:
        return np.full_like(sample, self.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30, 1e3, -5.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_policy_gone_wrong_does_not_harm(
    task: ArmReach, policy: Policy, start: np.ndarray, target: np.ndarray, value: float
) -> None:
    proposer = PromptProposer(task, Policy(policy.artifact, Broken(value), task))
    loop = Loop(task, receding(task, proposer, propose_every=5), start)
    cycles = loop.run(target, 20)
    assert all(cycle.motion is not None for cycle in cycles)
    assert cycles[-1].tool_error < 0.01
    assert np.isfinite(value) or (proposer.failures >= 4 and not any(cycle.source == "policy" for cycle in cycles))
    proposer.close()


def test_no_time_at_all_publishes_starts(task: ArmReach, start: np.ndarray, target: np.ndarray) -> None:
    """A budget that is spent before the solver begins."""
    planner = receding(task)
    planner._budget = 1e-9
    loop = Loop(task, planner, start)
    cycles = loop.run(target, 30)
    assert all(cycle.motion is not None and cycle.iterations <= 1 for cycle in cycles)
    assert cycles[-1].tool_error < 0.02


def test_what_the_checker_refuses_is_not_returned(task: ArmReach, start: np.ndarray, target: np.ndarray) -> None:
    """With a box around the start that every way leaves, the arm stays where it is and every cycle says why."""
    box = (start[:N] - 0.05, start[:N] + 0.05)
    loop = Loop(task, receding(task, checker=PlanChecker(task, joint_box=box)), start)
    for cycle in loop.run(target, 10):
        assert (cycle.motion is None) == (cycle.objection.count("_joint is") >= 2)
        if cycle.motion is not None:
            assert (
                PlanChecker(task, joint_box=box).check(
                    cycle.motion.time, cycle.motion.X, cycle.motion.U, cycle.motion.K
                )
                is None
            )
    assert np.abs(loop.x[:N] - start[:N]).max() < 0.06
