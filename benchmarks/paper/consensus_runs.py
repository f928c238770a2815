"""Runs of consensus learning and of its references, each once, and their figures over seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cells import fingerprint
from originals import paper_task
from records import mean, remember

from sobo_training.consensus import loop
from sobo_training.consensus.options import MODEL_FREE, ConsensusOptions
from sobo_training.consensus.report import calls_to_reach
from sobo_training.reinforcement import learn as reference

#: Names as in the paper, and the options that they stand for.
METHODS: dict[str, dict[str, Any]] = {
    "PDDP": {"method": "pddp", "sobolev": False},
    "PDDP+S": {"method": "pddp"},
    "PDDP+S-C": {"method": "pddp", "bounds": False},
    "PLAL": {"sobolev": False},
    "PLAL+S": {},
    "PLAL+M": {"shooting": True, "sobolev": False},
    "PLAL+M+S": {"shooting": True},
    "PLAL+S-C": {"bounds": False},
    "DPL": {"method": "dpl"},
    "PODS": {"method": "pods", "sobolev": False, "bounds": False},
    "PPO": {"method": "ppo"},
    "SAC": {"method": "sac"},
}


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        task: Task file.
        overrides: Keys of its configuration that differ, as pairs.
        method: One of `METHODS`.
        options: Fields of `ConsensusOptions` or `ReferenceOptions` that differ for the task, as pairs.
        seed: Seed of everything but the held-out instances.
        evaluate: Held-out instances.
    """

    task: str
    overrides: tuple[tuple[str, Any], ...]
    method: str
    options: tuple[tuple[str, Any], ...]
    seed: int
    evaluate: int

    def load_task(self) -> Any:
        """The task."""
        return paper_task(self.task, **dict(self.overrides))

    @property
    def settings(self) -> ConsensusOptions | reference.ReferenceOptions:
        """All options."""
        given = METHODS[self.method] | dict(self.options) | {"seed": self.seed}
        if given.get("method") in MODEL_FREE:
            return reference.ReferenceOptions(**given)
        return ConsensusOptions(**given, evaluate=self.evaluate)

    def place(self, folder: Path) -> Path:
        """Folder of the run, named by a hash of every setting."""
        digest = fingerprint(self.load_task().hash, asdict(self), json.loads(json.dumps(asdict(self.settings))))
        return folder / "consensus" / f"{self.task}-{self.method}-s{self.seed}-{digest}"


def run_job(job: Job, folder: Path) -> dict[str, Any]:
    """Runs or resumes one run; returns its record."""
    place = job.place(folder)
    return remember(place.with_suffix(".json"), lambda: _run(job, place))


def _run(job: Job, place: Path) -> dict[str, Any]:
    task, settings = job.load_task(), job.settings
    if isinstance(settings, ConsensusOptions):
        status = loop.learn(task, place, settings)
    else:
        beside = loop.reference(task, job.evaluate, 1)
        status = reference.learn(task, place, settings, lambda act: loop.measure(task, act, job.evaluate), beside)
    kept = ("calls", "cost", "failed", "reason", "residual", "iterations", "seconds")
    entries = [{name: each[name] for name in kept if name in each} for each in status["iterations"]]
    return {"job": asdict(job), "reference": status["reference"], "iterations": entries}


def summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Figures of one method, a list over seeds: costs over the best known, None where a rollout diverged."""
    last = [record["iterations"][-1] for record in records]
    best = [record["reference"]["best"] for record in records]
    over = [None if each["cost"] is None else each["cost"] / b for each, b in zip(last, best, strict=True)]
    lowest = [
        min((mean([each["cost"]]) / b for each in record["iterations"]), default=float("inf"))
        for record, b in zip(records, best, strict=True)
    ]
    return {
        "over_best": over,
        "lowest": lowest,
        "residual": [each.get("residual") for each in last],
        "calls": [each["calls"] for each in last],
        "calls_within_5": [calls_to_reach(record["iterations"], b) for record, b in zip(records, best, strict=True)],
        "first_measured_at": [record["iterations"][0]["calls"] for record in records],
        "trajectory_seconds": [seconds_of(record, "trajectories") for record in records],
        "policy_seconds": [seconds_of(record, "policy") for record in records],
        "curves": [[(each["calls"], each["cost"]) for each in record["iterations"]] for record in records],
    }


def seconds_of(record: dict[str, Any], phase: str) -> float | None:
    """CPU time of a phase in the steps after the warm ones, None for methods without it."""
    each = [entry["seconds"][phase] for entry in record["iterations"] if phase in entry.get("seconds", {})]
    return float(np.mean(each[len(each) // 2 :])) if each else None
