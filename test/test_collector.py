"""Which solutions are kept, dropped and counted while instances are solved, with a scripted solver."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_collecting import CONFIG, FAILED, LQR, ScriptedSolver, collector, run, solution

from sobo_planner.errors import TaskError
from sobo_planner.solver import Guess, SolverStatus
from sobo_training.data import collector as module
from sobo_training.data.collector import SOLUTION_TENSORS, cause_of_failure, cheapest, split
from sobo_training.data.dataset import shard_paths
from sobo_training.data.instances import Stream, draw, draw_starts
from sobo_training.data.shards import LAYOUT, read_shard


@pytest.mark.parametrize("status", [status for status in SolverStatus if status is not SolverStatus.CONVERGED])
def test_a_solve_that_did_not_converge_is_a_failure(status: SolverStatus) -> None:
    assert cause_of_failure(solution(status=status)) == status.value
    assert cause_of_failure(solution()) is None


@pytest.mark.parametrize("name", [name for name in SOLUTION_TENSORS if name != "iterations"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_a_failure(name: str, value: float) -> None:
    """One is enough, the last one too."""
    bad = solution()
    array = np.array(getattr(bad, name), float)
    array.reshape(-1)[-1] = value
    assert cause_of_failure(dataclasses.replace(bad, **{name: array if array.ndim else float(array)})) == "not_finite"


def test_the_cheapest_usable_solution_wins() -> None:
    bad = solution(0.5, FAILED)
    worst = dataclasses.replace(solution(0.1), U=np.full((LQR.horizon, LQR.nu), np.nan))
    assert cheapest([solution(3.0), solution(1.0), solution(2.0)]) == (1, ())
    assert cheapest([bad, solution(3.0), worst, solution(2.0)]) == (3, (FAILED.value, "not_finite"))
    assert cheapest([solution(2.0), solution(2.0)]) == (0, ())
    assert cheapest([bad, worst]) == (None, (FAILED.value, "not_finite"))
    assert cheapest([]) == (None, ())


def test_all_starts_of_a_batch_are_solved_at_once_and_go_back_to_their_instances() -> None:
    solver = ScriptedSolver(
        solution(4), solution(2), solution(1, FAILED), solution(1, FAILED), solution(5), solution(6)
    )
    outcomes = collector(solver, threads=3).solve([7, 9, 8])
    assert [each.number for each in outcomes] == [7, 9, 8]
    assert [each.start for each in outcomes] == [1, None, 0]
    assert [each.solution.cost if each.solution else None for each in outcomes] == [2, None, 5]
    assert [each.causes for each in outcomes] == [(), (FAILED.value, FAILED.value), ()]
    (batch,) = solver.batches
    assert solver.threads == [3]
    for place, number in enumerate([7, 9, 8]):
        instance, rng = draw(LQR, Stream.COLLECT, 3, number)
        expected = draw_starts(LQR, instance, 2, rng)
        np.testing.assert_array_equal(outcomes[place].instance.x0, instance.x0)
        for (asked, guess), wanted in zip(batch[2 * place : 2 * place + 2], expected, strict=True):
            np.testing.assert_array_equal(asked.x0, instance.x0)
            np.testing.assert_array_equal(guess.X, wanted.X)


def test_an_instance_without_starts_is_rejected_and_the_others_are_solved(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = module.draw_starts
    calls: list[int] = []

    def no_second(*arguments: Any) -> list[Guess]:
        calls.append(1)
        if len(calls) == 2:
            raise TaskError("no way to the target")
        return real(*arguments)

    monkeypatch.setattr(module, "draw_starts", no_second)
    solver = ScriptedSolver(solution(1), solution(2), solution(4), solution(3))
    with caplog.at_level(logging.WARNING):
        outcomes = collector(solver).solve([0, 1, 2])
    assert [each.start for each in outcomes] == [0, None, 1]
    assert outcomes[1].causes == ("no_start",) and outcomes[1].solution is None
    assert "no way to the target" in caplog.text and len(solver.batches[0]) == 4


def test_the_policys_start_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(module, "draw_starts", lambda *arguments: given.append(arguments) or [])
    with_policy = dataclasses.replace(collector(ScriptedSolver(), starts=5), policy="the policy")  # type: ignore[arg-type]
    with_policy.solve([0])
    assert given[0][0] is LQR and given[0][2] == 5 and given[0][4] == "the policy"


@pytest.mark.parametrize(("threads", "sizes"), [(1, [2, 2, 1, 2]), (2, [4, 1, 2]), (3, [5, 2])])
def test_batches_keep_the_threads_busy_and_end_with_the_shard(threads: int, sizes: list[int]) -> None:
    """Ctrl-C is seen between batches, so they are no larger than two instances a thread."""
    solver, seen = ScriptedSolver(), []
    shards = list(collector(solver, threads=threads, starts=1).solve_shards([[0, 1, 2, 3, 4], [5, 6]], seen.append))
    assert seen == [len(batch) for batch in solver.batches] == sizes
    assert [[each.number for each in outcomes] for outcomes in shards] == [[0, 1, 2, 3, 4], [5, 6]]


def test_split() -> None:
    assert split([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert split([1, 2], 2) == [[1, 2]]
    assert split([], 2) == []


def test_a_shard_holds_the_winners_and_says_why_others_are_missing() -> None:
    solver = ScriptedSolver(
        solution(4), solution(2), solution(1, FAILED), solution(1, FAILED), solution(5), solution(6)
    )
    own = collector(solver)
    outcomes = own.solve([7, 9, 8])
    tensors, info = own.tensors(outcomes), own.info(outcomes, CONFIG, 1.5)
    assert set(tensors) == set(LAYOUT)
    assert tensors["cost"].tolist() == [2, 5] and tensors["start"].tolist() == [1, 0]
    np.testing.assert_array_equal(tensors["X"][:, 0, 0], [2, 5])
    np.testing.assert_array_equal(tensors["x0"], [outcomes[0].instance.x0, outcomes[2].instance.x0])
    np.testing.assert_array_equal(tensors["target"], [outcomes[0].instance.target, outcomes[2].instance.target])
    assert (info.indices, info.rejected) == ((7, 8), {9: [FAILED.value, FAILED.value]})
    assert (info.task, info.task_hash, info.robot_hash) == ("lqr", LQR.hash, LQR.robot_hash)
    assert (info.seed, info.config, info.seconds) == (3, CONFIG, 1.5)


def test_a_shard_without_solutions_is_stored_so_that_its_instances_are_not_tried_again(tmp_path: Path) -> None:
    failures = [solution(1, FAILED) for _ in range(4)]
    summary, _ = run(tmp_path, *failures, count=2)
    assert (summary.attempted, summary.collected, summary.rejected) == (2, 0, 2)
    tensors, info = read_shard(shard_paths(tmp_path)[0])
    shapes = {name: tensors[name].shape for name in ("X", "U", "K", "A", "B", "target", "cost")}
    T, nx, nu = LQR.horizon, LQR.nx, LQR.nu
    assert shapes == {
        "X": (0, T + 1, nx),
        "U": (0, T, nu),
        "K": (0, T, nu, nx),
        "A": (0, T, nx, nx),
        "B": (0, T, nx, nu),
        "target": (0, 3),
        "cost": (0,),
    }
    assert info.indices == () and set(info.rejected) == {0, 1}
    again, solver = run(tmp_path, count=2)
    assert solver.batches == [] and again.resumed == 2
