"""What is kept, dropped, counted and done again while solutions are collected, with a scripted solver."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sobo_planner.errors import DatasetError, TaskError
from sobo_planner.solver import Guess, Instance, Solution, SolverStatus
from sobo_planner.tasks import load_task
from sobo_training.data import collect as module
from sobo_training.data.collect import SOLUTION_TENSORS, Collector, cause_of_failure, cheapest, collect, fill, split
from sobo_training.data.collection import CollectOptions, CollectSummary
from sobo_training.data.dataset import load, locked, shard_paths
from sobo_training.data.instances import Stream, draw, draw_starts
from sobo_training.data.shards import LAYOUT, read_shard

LQR = load_task("lqr")
CONFIG = {"config": {"scripted": True}}
FAILED = next(status for status in SolverStatus if status is not SolverStatus.CONVERGED)


def solution(cost: float = 1.0, status: SolverStatus = SolverStatus.CONVERGED, **changes: Any) -> Solution:
    T, nx, nu = LQR.horizon, LQR.nx, LQR.nu
    shapes = {"X": (T + 1, nx), "U": (T, nu), "K": (T, nu, nx), "k": (T, nu), "A": (T, nx, nx), "B": (T, nx, nu)}
    return Solution(
        **{name: np.full(shape, cost) for name, shape in shapes.items()},
        initial_cost=2 * cost,
        cost=cost,
        iterations=int(cost),
        primal_residual=0.0,
        dual_residual=0.0,
        status=status,
        message="",
        time_ms=1.0,
        cpu_ms=1.0,
        **changes,
    )


class ScriptedSolver:
    """Answers in turn with the solutions of a script, then with converged ones of cost 1; keeps what it was asked."""

    def __init__(self, *script: Solution) -> None:
        self.script = list(script)
        self.batches: list[list[tuple[Instance, Guess]]] = []
        self.threads: list[int] = []

    def solve_batch(self, instances: Sequence[Instance], guesses: Sequence[Guess], threads: int) -> list[Solution]:
        self.batches.append(list(zip(instances, guesses, strict=True)))
        self.threads.append(threads)
        return [self.script.pop(0) if self.script else solution() for _ in instances]


def collector(solver: ScriptedSolver, **options: Any) -> Collector:
    settings = {"count": 4, "seed": 3, "starts": 2, "threads": 1, "shard_size": 2}
    return Collector(LQR, solver, CollectOptions(**(settings | options)))  # type: ignore[arg-type]


def run(folder: Path, *script: Solution, **options: Any) -> tuple[CollectSummary, ScriptedSolver]:
    solver = ScriptedSolver(*script)
    return fill(folder, collector(solver, **options), CONFIG, progress=False), solver


# -------------------------------------------------------------------- which solution is kept


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


# -------------------------------------------------------------------- what is solved


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


# -------------------------------------------------------------------- what is stored


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


# -------------------------------------------------------------------- how a folder is filled


def test_shards_are_of_the_size_asked_for(tmp_path: Path) -> None:
    summary, _ = run(tmp_path, count=5)
    infos = [read_shard(path)[1] for path in shard_paths(tmp_path)]
    assert [each.indices for each in infos] == [(0, 1), (2, 3), (4,)]
    assert all(each.config == CONFIG for each in infos)
    assert (summary.folder, summary.attempted, summary.resumed) == (str(tmp_path), 5, 0)


def test_a_shard_tells_its_own_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 11.0, 14.0, 100.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    summary, _ = run(tmp_path)
    assert [read_shard(path)[1].seconds for path in shard_paths(tmp_path)] == [1.0, 3.0]
    assert summary.seconds == 4.0


def test_what_a_folder_holds_is_not_solved_again(tmp_path: Path) -> None:
    run(tmp_path, count=3)
    summary, solver = run(tmp_path, count=5)
    assert sum(len(batch) for batch in solver.batches) == 2 * 2
    assert (summary.attempted, summary.collected, summary.resumed) == (5, 5, 3)
    assert len(load(tmp_path)) == 5


def test_instances_that_cannot_be_solved_are_replaced_until_enough_are_stored(tmp_path: Path) -> None:
    failures = [solution(1, FAILED) for _ in range(2 * 3)]
    summary, solver = run(tmp_path, *failures, count=20, wanted=3)
    assert (summary.collected, summary.rejected, summary.attempted) == (3, 3, 6)
    assert [len(batch) for batch in solver.batches] == [4, 2, 4, 2]
    enough, solver = run(tmp_path, count=20, wanted=3)
    assert solver.batches == [] and enough.collected == 3


@pytest.mark.parametrize(("failures", "count", "stored"), [(2, 4, 3), (4, 4, 2)])
def test_too_few_solutions_are_an_error_with_the_causes(failures: int, count: int, stored: int, tmp_path: Path) -> None:
    script = [solution(1, FAILED) for _ in range(failures)]
    with pytest.raises(DatasetError) as refused:
        run(tmp_path, *script, count=count, wanted=4)
    message = f"{tmp_path}: 4 instances gave only {stored} of the 4 solutions wanted; causes of their failed starts: "
    assert str(refused.value) == message + str({FAILED.value: failures})
    assert len(load(tmp_path)) == stored, "what was solved is stored"


def test_another_writer_and_other_arguments_are_refused_before_anything_is_solved(tmp_path: Path) -> None:
    solver = ScriptedSolver()
    with locked(tmp_path), pytest.raises(DatasetError, match="another process"):
        fill(tmp_path, collector(solver), CONFIG, progress=False)
    fill(tmp_path, collector(ScriptedSolver()), CONFIG, progress=False)
    with pytest.raises(DatasetError, match="config.scripted: the folder has True, this call asks for False"):
        fill(tmp_path, collector(solver, count=9), {"config": {"scripted": False}}, progress=False)
    assert solver.batches == []


def test_another_executor_gets_the_shards_and_moves_the_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[list[list[int]]] = []
    own = collector(ScriptedSolver(), count=5)

    def elsewhere(shards: list[list[int]], advance: Any) -> Any:
        asked.append(shards)
        return own.solve_shards(shards, advance)

    fill(tmp_path, own, CONFIG, elsewhere, progress=True)
    assert asked == [[[0, 1], [2, 3], [4]]]
    shown = capsys.readouterr().err
    assert "collect: 100%" in shown and "5/5" in shown and "rejected=0" in shown and "cost=1" in shown


def test_the_bar_counts_what_the_folder_held_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, count=2)
    assert capsys.readouterr().err == ""
    fill(tmp_path, collector(ScriptedSolver(), count=6), CONFIG)
    assert "6/6" in capsys.readouterr().err


def test_collect_solves_with_the_tasks_solver_and_the_policys_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[Any] = []
    solver = ScriptedSolver()
    monkeypatch.setattr(module, "Solver", lambda task: made.append(task) or solver)
    monkeypatch.setattr(module, "_load_policy", lambda folder, task: made.append((folder, task)))
    monkeypatch.setattr(module, "resolved_config", lambda *arguments: {"arguments": str(arguments[1:])})
    options = CollectOptions(count=1, starts=1)
    summary = collect(LQR, tmp_path, options, "policy", progress=False)
    assert summary.collected == 1 and made == [("policy", LQR), LQR] and capsys.readouterr().err == ""
    assert read_shard(shard_paths(tmp_path)[0])[1].config == {"arguments": str((options, "policy"))}
    made.clear()
    assert collect(LQR, tmp_path / "more").collected == CollectOptions().count
    assert made == [LQR] and "50/50" in capsys.readouterr().err


def test_a_policy_is_loaded_for_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sobo_planner.policy.Policy.load", lambda *arguments: arguments)
    assert module._load_policy("folder", LQR) == ("folder", LQR)


def test_ray_solves_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sobo_training.data import ray_executor

    made: list[Any] = []

    class FakeRay:
        def __init__(self, *arguments: Any) -> None:
            made.append(arguments)

        def solve_shards(self, shards: list[list[int]], advance: Any) -> Any:
            return collector(ScriptedSolver()).solve_shards(shards, advance)

    monkeypatch.setattr(ray_executor, "RayCollector", FakeRay)
    monkeypatch.setattr(module, "Solver", lambda task: None)
    options = CollectOptions(count=2)
    assert collect(LQR, tmp_path, options, progress=False, executor="ray").collected == 2
    assert made == [(LQR, options, None)]
