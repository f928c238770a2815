"""How a folder is filled with solutions, and what is done again, with a scripted solver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_collecting import CONFIG, FAILED, ScriptedSolver, collector, run, solution

from sobo_planner.errors import DatasetError
from sobo_training.data import filling as module
from sobo_training.data.dataset import load, locked, shard_paths
from sobo_training.data.filling import fill
from sobo_training.data.shards import read_shard


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
