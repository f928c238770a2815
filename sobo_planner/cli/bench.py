"""`sobo bench`: measure the planner beside its alternatives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sobo_planner.cli.shared import Instances, TaskCommand, finish, shipped_policy, training_extra
from sobo_planner.files import check_output, write_json


@dataclass(kw_only=True)
class Bench(TaskCommand):
    """Measure the planner beside its alternatives, as ratios."""

    policy: Path | None = None
    """Policy artifact. Default: the task's shipped policy."""
    rounds: int = 3
    """Repetitions of every timing; more are less noisy."""
    instances: Instances = 30
    """Number of held-out instances that are solved and planned for."""
    seed: int = 0
    """Seed of the instances."""
    json: Path | None = None
    """File for the report."""
    before: Path | None = None
    """Report of an earlier run, whose ratios are printed beside the new ones. Default: what --json holds so far."""

    def run(self) -> int:
        """Measure, print the table, and store the report if asked."""
        if self.json is not None:
            check_output(self.json)
        with training_extra():
            from sobo_planner.policy import Policy
            from sobo_training.bench import BenchOptions, bench, render, stored_ratios

        earlier = self.before or (self.json if self.json is not None and self.json.exists() else None)
        before = None if earlier is None else stored_ratios(earlier)
        options = BenchOptions(rounds=self.rounds, instances=self.instances, seed=self.seed)
        task = self.load_arm()
        if self.policy is not None:
            Policy.load(self.policy, task)  # before minutes of other measurements
        report = bench(task, self.policy or shipped_policy(task), options)
        path = self.json
        finish(render(report, before), None if path is None else lambda: write_json(path, report))
        return 0
