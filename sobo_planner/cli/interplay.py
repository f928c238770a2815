"""`sobo interplay`: collect and train in turns.

It needs the extra `train`, and the extra `ray` for `--executor ray`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sobo_planner.cli.shared import Flag, TaskCommand, training_extra
from sobo_planner.files import check_output_folder


@dataclass(kw_only=True)
class Interplay(TaskCommand):
    """Collect solutions with the policy's help and train on them, in turns (Algorithm 1 of arXiv:2604.19011).

    The section `interplay` of the task file says how often and how much; --set changes it, such as --set iterations=2.
    The same call again goes on where an interrupted one stopped.
    """

    out: Path
    """Folder of the run: status.json, one folder an iteration, the final policy."""
    method: Literal["sob_diff", "diff", "mlp", "sob_mlp"] | None = None
    """What is trained, as in `sobo train`. Default: the task's configuration."""
    seed: int = 0
    """Seed of instances, weights, batches and noise."""
    threads: int = 2
    """Solver threads; no result depends on it."""
    executor: Literal["threads", "ray"] = "threads"
    """Where instances are solved: on threads of this process, or in a Ray cluster; the data is the same."""
    json: Flag = False
    """Print the status as JSON."""

    def run(self) -> int:
        """Run the loop, then print its figures."""
        check_output_folder(self.out)
        with training_extra():
            from sobo_training.interplay.loop import InterplayOptions, interplay
            from sobo_training.interplay.record import render

        options = InterplayOptions(self.method, self.seed, self.threads, self.executor)
        status = interplay(self.load_task(), self.out, options)
        print(json.dumps(status, indent=1) if self.json else f"{render(status)}\npolicy: {self.out / 'policy'}")
        return 0
