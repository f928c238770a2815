"""`sobo evaluate`: measure a policy on held-out instances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sobo_planner.cli.shared import Instances, TaskCommand, finish, training_extra
from sobo_planner.files import check_output, write_json


@dataclass(kw_only=True)
class Evaluate(TaskCommand):
    """Evaluate a policy on held-out instances: alone, as a warm start, and beside the naive start."""

    policy: Path
    """Policy artifact."""
    instances: Instances = 50
    """Number of held-out instances; never instances of collected data, whatever the seeds."""
    seed: int = 0
    """Seed of the instances."""
    starts: int = 6
    """Different starts per instance of the best-of-starts reference; 0 leaves it out."""
    action_horizon: int | None = None
    """Steps executed of each chunk. Default: the artifact's."""
    samples: int | None = None
    """Noise samples per rollout, of which the cheapest is kept. Default: the task's configuration."""
    threads: int = 2
    """Solver threads of the best-of-starts reference; what is timed runs on one."""
    json: Path | None = None
    """File for the whole report, with one row per instance."""

    def run(self) -> int:
        """Evaluate, print the table, and store the report if asked."""
        if self.json is not None:
            check_output(self.json)
        with training_extra():
            from sobo_training.evaluation.evaluate import EvaluateOptions, evaluate
            from sobo_training.evaluation.report import render

        options = EvaluateOptions(
            instances=self.instances,
            seed=self.seed,
            starts=self.starts,
            action_horizon=self.action_horizon,
            samples=self.samples,
            threads=self.threads,
        )
        report = evaluate(self.load_task(), self.policy, options)
        path = self.json
        finish(render(report), None if path is None else lambda: write_json(path, report))
        return 0
