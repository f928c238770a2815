"""`sobo collect`: solve random instances and store the solutions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from sobo_planner.cli.shared import CellCommand, Flag, Instances, training_extra
from sobo_planner.files import check_output_folder


@dataclass(kw_only=True)
class Collect(CellCommand):
    """Solve random instances of a task and store the solutions, for training.

    The same call again goes on where an interrupted one stopped.
    """

    out: Path
    """Dataset folder; created if it does not exist."""
    instances: Instances = 50
    """Instances to solve; a larger number later extends the dataset."""
    seed: int = 0
    """Seed of the instances."""
    starts: int = 6
    """Different starts per instance, of which the cheapest converged solution is kept."""
    threads: int = 2
    """Solver threads; the data does not depend on it."""
    policy: Path | None = None
    """Policy artifact whose rollout is one more start."""
    sampled: int = 0
    """Further starts per instance by sampling (model-based diffusion)."""
    shard_size: int = 10
    """Instances per file."""
    json: Flag = False
    """Print the summary as JSON."""

    def run(self) -> int:
        """Collect, then print the summary."""
        check_output_folder(self.out)
        with training_extra():
            from sobo_training.data.collect import collect
            from sobo_training.data.collection import CollectOptions

        options = CollectOptions(
            count=self.instances,
            seed=self.seed,
            starts=self.starts,
            threads=self.threads,
            shard_size=self.shard_size,
            sampled=self.sampled,
        )
        summary = collect(self.load_task(), self.out, options, self.policy)
        print(json.dumps(asdict(summary), indent=1) if self.json else summary.render())
        return 0
