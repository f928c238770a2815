"""`sobo interplay`: collect and train in turns.

It needs the extra `train`, and the extra `ray` for `--executor ray`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from sobo_planner.cli.shared import CellCommand, Flag, training_extra
from sobo_planner.files import check_output_folder


@dataclass(kw_only=True)
class Interplay(CellCommand):
    """Collect solutions with the policy's help and train on them, in turns (Algorithm 1 of arXiv:2604.19011).

    The section `interplay` of the task file says how often and how much; --set changes it, such as --set iterations=2.
    The same call again goes on where an interrupted one stopped.
    """

    out: Path
    """Folder of the run: status.json, one folder an iteration, the final policy."""
    method: Literal["sob_diff", "diff", "mlp", "sob_mlp"] | None = None
    """What is trained, as in `sobo train`. Default: the task's configuration."""
    policy: Path | None = None
    """Policy artifact to go on from: its weights are the first, and its rollouts the first extra starts."""
    from_data: Annotated[tuple[Path, ...], arg(metavar="DIR ...")] = ()
    """Dataset folders of logged solutions, such as those of `sobo from-bag`, to learn from. A fifth of them, at most
    interplay.instances, is kept for evaluation."""
    logged_share: float = 0.5
    """Share of each batch that is drawn from the logged solutions and new pairs of their starts and goals. The rest are
    sampled instances of the task: with --policy its own rollouts, so that what it could do before stays, else
    solutions."""
    seed: int = 0
    """Seed of instances, weights, batches and noise."""
    threads: int = 2
    """Solver threads; no result depends on it."""
    executor: Literal["threads", "ray"] = "threads"
    """Where instances are solved: on threads of this process, or in a Ray cluster; the data is the same."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the network is trained; cuda needs a GPU and a build of PyTorch for it."""
    json: Flag = False
    """Print the status as JSON."""

    def run(self) -> int:
        """Run the loop, then print its figures."""
        check_output_folder(self.out)
        with training_extra():
            from sobo_training.interplay import verdicts
            from sobo_training.interplay.loop import interplay
            from sobo_training.interplay.options import InterplayOptions
            from sobo_training.interplay.record import render

        options = InterplayOptions(
            method=self.method,
            seed=self.seed,
            threads=self.threads,
            executor=self.executor,
            device=self.device,
            policy=self.policy,
            from_data=self.from_data,
            logged_share=self.logged_share,
        )
        status = interplay(self.load_task(), self.out, options)
        if self.json:
            print(json.dumps(status, indent=1))
        else:
            found = verdicts.render(self.out, len(status["iterations"]))
            print(f"{render(status)}\n{found}\npolicy: {self.out / 'policy'}")
        return 0
