"""`sobo evaluate`: measure a policy on held-out instances, or on logged ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from sobo_planner.cli.shared import CellCommand, finish, training_extra
from sobo_planner.errors import ConfigError
from sobo_planner.files import check_output, write_json

if TYPE_CHECKING:
    from sobo_planner.sampling import SamplingSettings
    from sobo_planner.tasks import Task


@dataclass(kw_only=True)
class Evaluate(CellCommand):
    """Evaluate a policy on instances that it was not trained on: alone, as a warm start, and beside the naive start.

    With --planner, planning by sampling stands in the place of the policy.
    """

    policy: Path | None = None
    """Policy artifact."""
    planner: str | None = None
    """Planner by sampling to evaluate instead, as it suits the task: mbd (model-based diffusion), mppi, cem or cma-es.
    """
    instances: Annotated[int | None, arg(aliases=("-n",))] = None
    """Number of held-out instances; never instances of collected data, whatever the seeds. Default: 50, or none with
    --instances-from."""
    instances_from: Annotated[tuple[Path, ...], arg(metavar="DIR ...")] = ()
    """Evaluate on the instances of these dataset folders, such as those of `sobo from-bag`; beside held-out ones if
    --instances is given."""
    most: int = 200
    """Instances of --instances-from at most, spread evenly."""
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
    """File for the whole report, with one row per instance. With both kinds of instances it is that of the held-out
    ones, and that of the logged ones is its key `on_logged`."""

    def run(self) -> int:
        """Evaluate, print tables and verdicts, and store the report if asked."""
        if self.json is not None:
            check_output(self.json)
        with training_extra():
            from sobo_training.data.dataset import load
            from sobo_training.evaluation.evaluate import EvaluateOptions, evaluate
            from sobo_training.evaluation.report import render

        sampled = self.instances if self.instances is not None or self.instances_from else 50
        options = EvaluateOptions(
            instances=self.most if sampled is None else sampled,
            seed=self.seed,
            starts=self.starts,
            action_horizon=self.action_horizon,
            samples=self.samples,
            threads=self.threads,
        )
        task = self.load_task()
        what = self._what(task)
        data = load(self.instances_from, task) if self.instances_from else None
        reports = [] if sampled is None else [evaluate(task, what, options)]
        if data is not None:
            reports.append(evaluate(task, what, replace(options, instances=self.most), data=data))
        stored = reports[0] | ({"on_logged": reports[1]} if len(reports) > 1 else {})
        path = self.json
        finish("\n\n".join(map(render, reports)), None if path is None else lambda: write_json(path, stored))
        return 0

    def _what(self, task: Task) -> Path | SamplingSettings:
        """What is evaluated.

        Raises:
            ConfigError: Both or neither were given, or there is no such planner.
        """
        from sobo_planner.sampling import SamplingSettings

        if self.policy is not None and self.planner is None:
            return self.policy
        if self.policy is not None or self.planner is None:
            raise ConfigError("give either --policy or --planner")
        suits = SamplingSettings.of(task)
        return replace(suits, chain=replace(suits.chain, update=self.planner))
