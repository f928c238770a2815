"""TD-MPC with MPPI and with DiffTORI's planner, with and without the actor's loss, on dm_control from states.

    python benchmarks/control_suite.py --runs FOLDER [--tasks ...] [--seeds 3] [--max-minutes M] [--json FILE]

Runs lie in FOLDER/task/variant/seed; what is finished there or in the record FILE is not repeated, and what was stopped
goes on. Needs the extra `control-suite`, in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sobo_planner.errors import ConfigError
from sobo_planner.files import write_json
from sobo_training.latent.environments import ACTION_REPEAT, ControlSuite
from sobo_training.latent.learning import RECORD, Learning, LearnSettings
from sobo_training.latent.settings import AgentSettings

VARIANTS = {
    "mppi": AgentSettings(planner="mppi"),
    "difftori": AgentSettings(planner="difftori"),
    "difftori, no actor loss": AgentSettings(planner="difftori", actor_loss=False),
}
Cell = tuple[str, str, int]
FIGURES = ("task", "seed", "episodes", "frames", "updates", "minutes", "returns", "evaluations", "return")


def folder_of(runs: Path, task: str, variant: str, seed: int) -> Path:
    """Where a run lies."""
    return runs / task / variant.replace(", ", "-").replace(" ", "-") / str(seed)


def finished(folder: Path, episodes: int) -> dict[str, Any] | None:
    """The record of a finished run."""
    if not (folder / RECORD).exists():
        return None
    record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return record if record["episodes"] >= episodes and record["return"] is not None else None


def earlier_rows(path: Path | None, episodes: int) -> dict[Cell, dict[str, Any]]:
    """The runs of a record that exists already, by task, variant and seed.

    Raises:
        ConfigError: The record was made with other settings of the agents, or another number of episodes.
    """
    if path is None or not path.exists():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["settings"] != settings_of():
        raise ConfigError(f"{path} was recorded with other settings: store the new record in another file")
    for row in record["runs"]:
        if row["episodes"] != episodes:
            raise ConfigError(f"{path} has runs of {row['episodes']} episodes, not {episodes}: name another file")
    return {(row["task"], row["variant"], row["seed"]): row for row in record["runs"]}


def settings_of() -> dict[str, Any]:
    """The settings of every variant, as they are stored in a record."""
    settings: dict[str, Any] = json.loads(json.dumps({name: agent.to_dict() for name, agent in VARIANTS.items()}))
    return settings


def collect(runs: Path, earlier: dict[Cell, dict[str, Any]], cells: list[Cell], episodes: int) -> dict[str, Any]:
    """The record of all finished runs, and means over their seeds."""
    rows = dict(earlier)
    for task, variant, seed in cells:
        record = finished(folder_of(runs, task, variant, seed), episodes)
        if record is not None:
            rows[task, variant, seed] = {"variant": variant, **{name: record[name] for name in FIGURES}}
    table = {}
    for task in ACTION_REPEAT:
        for variant in VARIANTS:
            done = [row for key, row in sorted(rows.items()) if key[:2] == (task, variant)]
            if done:
                means = [record["return"] for record in done]
                table[f"{task}, {variant}"] = {"seeds": len(done), "mean": float(np.mean(means)), "returns": means}
    return {"table": table, "runs": [rows[cell] for cell in sorted(rows)], "settings": settings_of()}


def main(arguments: list[str] | None = None) -> int:
    """Runs what is not finished, in turns; 3 if there is more to do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", default=list(ACTION_REPEAT), choices=list(ACTION_REPEAT))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--max-minutes", type=float, default=float("inf"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * options.max_minutes
    cells = [(task, variant, seed) for seed in range(options.seeds) for task in options.tasks for variant in VARIANTS]
    earlier = earlier_rows(options.json, options.episodes)
    for task, variant, seed in cells:
        folder = folder_of(options.runs, task, variant, seed)
        left = (end - time.monotonic()) / 60
        stored = (task, variant, seed) in earlier or finished(folder, options.episodes) is not None
        if stored or left <= 0:
            continue
        settings = LearnSettings(episodes=options.episodes, seed=seed)
        settings = replace(settings, max_minutes=None if left == float("inf") else left)
        learning = Learning(ControlSuite(task), VARIANTS[variant], settings, folder)
        learning.run(lambda line, name=f"{task}, {variant}, {seed}": print(f"{name}: {line}", file=sys.stderr))
        if options.json is not None:
            write_json(options.json, collect(options.runs, earlier, cells, options.episodes))
    record = collect(options.runs, earlier, cells, options.episodes)
    for name, row in record["table"].items():
        print(f"{name}: {row['mean']:.0f}, {row['seeds']} seeds: {row['returns']}")
    if options.json is not None:
        write_json(options.json, record)
    ran = {(row["task"], row["variant"], row["seed"]) for row in record["runs"]}
    return 0 if ran.issuperset(cells) else 3


if __name__ == "__main__":
    raise SystemExit(main())
