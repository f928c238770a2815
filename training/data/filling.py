"""Folders filled with shards of solutions.

Shards are written as they fill, so an interrupted collection loses at most the shard in progress; the same
call again resumes there and ends with the same data as an uninterrupted one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sobo_planner.errors import DatasetError
from sobo_training.data.collection import CollectSummary, finished
from sobo_training.data.collector import Collector, Outcome, split
from sobo_training.data.dataset import ShardWriter

#: Solves the instances of several shards, and says after each batch how many that were.
SolveShards = Callable[[list[list[int]], Callable[[int], Any]], Iterator[list[Outcome]]]


def fill(
    folder: str | Path,
    collector: Collector,
    config: dict[str, Any],
    solve_shards: SolveShards | None = None,
    progress: bool = True,
) -> CollectSummary:
    """Write shards until the folder holds all that is asked for.

    Args:
        folder: Dataset folder.
        collector: Says what is asked for, and makes shards of what was solved.
        config: All that the solutions depend on; the folder may hold no others.
        solve_shards: Solves; the collector itself by default.
        progress: Show a progress bar on stderr.

    Returns, Raises:
        As `collect.collect`.
    """
    options, solve_shards = collector.options, solve_shards or collector.solve_shards
    summary = CollectSummary(folder=str(folder))
    with ShardWriter(folder) as writer:
        done = finished(Path(folder), config, summary)
        with tqdm(initial=len(done), desc=collector.label, unit="inst", disable=not progress) as bar:
            while numbers := options.remaining(done, summary.collected):
                bar.total = len(done) + len(numbers)
                began = time.perf_counter()
                for outcomes in solve_shards(split(numbers, options.shard_size), bar.update):
                    now = time.perf_counter()
                    tensors, info = collector.tensors(outcomes), collector.info(outcomes, config, now - began)
                    writer.write(tensors, info)
                    summary.add(tensors, info)
                    done.update(each.number for each in outcomes)
                    bar.set_postfix(rejected=summary.rejected, cost=summary.mean_cost)
                    began = now
    if options.wanted and summary.collected < options.wanted:
        raise DatasetError(
            f"{folder}: {summary.attempted} instances gave only {summary.collected} of the {options.wanted} solutions "
            f"wanted; causes of their failed starts: {summary.causes}"
        )
    return summary
