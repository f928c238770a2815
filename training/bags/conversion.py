"""Bags to a dataset: read, select, solve, report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sobo_planner.errors import DatasetError
from sobo_planner.files import write_json
from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Filters, Found
from sobo_training.bags.contents import Contents
from sobo_training.bags.decoding import decoder
from sobo_training.bags.demonstrations import LoggedCollector, config_of
from sobo_training.bags.files import Bag, digest, find_bags
from sobo_training.bags.report import Report, describe, results
from sobo_training.bags.selection import Selection
from sobo_training.bags.survey import Survey
from sobo_training.bags.topics import Names
from sobo_training.bags.usable import TimeRange
from sobo_training.data.collection import CollectOptions
from sobo_training.data.filling import fill

#: Name of the report that is stored beside the shards.
REPORT = "bags.json"


@dataclass(frozen=True)
class BagOptions:
    """How bags are read and solved.

    Attributes:
        names: How things are named, beside what a recording says itself.
        time_range: The part of each bag that is read.
        filters: What of it is used.
        seed: Of the task's own starts.
        starts: The task's own starts of each instance.
        threads: Solver threads; the data does not depend on it.
        shard_size: Instances a file.
    """

    names: Names = field(default_factory=Names)
    time_range: TimeRange = field(default_factory=TimeRange)
    filters: Filters = field(default_factory=Filters)
    seed: int = 0
    starts: int = 6
    threads: int = 2
    shard_size: int = 10


def survey(paths: Sequence[Path], task: ArmReach, options: BagOptions, progress: bool = True) -> Iterator[Contents]:
    """Reads bags, one after the other; a file that is a copy of one before is left out.

    Raises:
        DatasetError: At a path is no bag.
        ConfigError: `rosbags` is not installed.
    """
    decode = decoder()
    bags = [bag for path in paths for bag in find_bags(path)]
    known: dict[str, Path] = {}
    size = sum(path.stat().st_size for bag in bags for path in bag.files)
    with tqdm(desc="read", total=size, unit="B", unit_scale=True, disable=not progress) as bar:
        for bag in bags:
            files, notes = [], []
            for path in bag.files:
                first = known.setdefault(_digest(path), path)
                if first is path:
                    files.append(path)
                else:
                    notes.append(f"{path.name} is a copy of {first}, which counts once")
                    bar.update(path.stat().st_size)
            contents = Survey(
                Bag(bag.path, tuple(files)), task, options.names, decode, options.time_range, bar.update
            ).run()
            contents.notes += notes
            yield contents


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error.strerror}") from error


def convert(
    paths: Sequence[Path], task: ArmReach, out: Path, options: BagOptions | None = None, progress: bool = True
) -> Report:
    """Makes a dataset of what was logged, or goes on with one that stopped.

    Args:
        paths: Bags: files, folders, or folders of such folders.
        task: The present task, for positions of the tool.
        out: Dataset folder; not made where nothing can be used.
        options: How to read and solve.
        progress: Show progress bars on stderr.

    Returns:
        What was used, and what not.

    Raises:
        DatasetError: At a path is no bag, or the folder holds other data.
        ConfigError: `rosbags` is not installed.
    """
    options = options or BagOptions()
    selection, bags = Selection(task, options.filters), []
    for contents in survey(paths, task, options, progress):
        selection.add(contents)
        bags.append(describe(contents))
        del contents
    report = Report(task.name, str(out), bags, selection.found)
    if selection.found.candidates:
        _solve(task, selection.found, out, options, progress, report)
    return report


def _solve(task: ArmReach, found: Found, out: Path, options: BagOptions, progress: bool, report: Report) -> None:
    candidates = found.candidates
    tool_error = task.success_distance if options.filters.tool_error is None else options.filters.tool_error
    collect = CollectOptions(len(candidates), options.seed, options.starts, options.threads, options.shard_size)
    collector = LoggedCollector(task, candidates, collect, tool_error)
    config = config_of(task, candidates, collect, tool_error)
    report.summary = fill(out, collector, config, progress=progress)
    report.outcomes = results(out, task, candidates)
    write_json(out / REPORT, json.loads(json.dumps(report.as_dict(), default=str)))


def load_report(out: Path) -> dict[str, Any]:
    """The report that is stored in a dataset."""
    report: dict[str, Any] = json.loads((out / REPORT).read_text(encoding="utf-8"))
    return report
