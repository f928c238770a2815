"""`sobo train`: learn a policy from collected solutions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from sobo_planner.cli.shared import CellCommand, Verdict, check_verdict, parse_overrides, training_extra
from sobo_planner.errors import ConfigError
from sobo_planner.files import check_output_folder

#: Options that override the task's configuration of training.
CONFIG_OPTIONS = ("method", "mode", "steps", "batch", "lr", "seed", "device", "max_minutes")


@dataclass(kw_only=True)
class Train(CellCommand):
    """Train a diffusion policy on collected solutions and their feedback gains."""

    data: Annotated[tuple[Path, ...], arg(metavar="DIR ...")]
    """Dataset folder, or several."""
    out: Path
    """Folder of the run: configuration, checkpoints, TensorBoard log; a stopped run in it is resumed."""
    method: Literal["sob_diff", "diff", "mlp", "sob_mlp"] | None = None
    """sob_diff: diffusion, on trajectories and first-order information; diff: on trajectories alone; mlp, sob_mlp: the
    same for a direct policy. Default: the task's configuration."""
    mode: Literal["auto", "vjp", "jvp", "augment"] | None = None
    """How sob_diff and sob_mlp get first-order information: double backward, forward mode, data augmentation, or (auto)
    what suits the number of solutions. Default: the task's configuration."""
    steps: int | None = None
    """Gradient steps."""
    batch: int | None = None
    """Chunks per gradient step."""
    lr: float | None = None
    """Peak learning rate."""
    seed: int | None = None
    """Seed of the weights and batches."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the network is trained; cuda needs a GPU and a build of PyTorch for it."""
    max_minutes: float | None = None
    """Stop, with a finished schedule, after this time [min]."""
    limit: int | None = None
    """Train on the first solutions only, this many."""
    verdict: Verdict = 20
    """Fresh instances on which to compare the policy with none at the end; 0: do not."""

    def run(self) -> int:
        """Train, with a progress bar, then print where the run lies."""
        check_output_folder(self.out)
        with training_extra():
            from sobo_training.config import TrainConfig
            from sobo_training.data.dataset import load
            from sobo_training.evaluation.evaluate import quick_verdict
            from sobo_training.export.exporter import live_policy
            from sobo_training.learning.train import check_device, train

        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, got {self.limit}")
        check_verdict(self.verdict)
        check_device(self.device)
        task = self.load_task()
        given = {name: getattr(self, name) for name in CONFIG_OPTIONS}
        config = TrainConfig.from_task(task, **{name: value for name, value in given.items() if value is not None})
        data = load(self.data, task).select(slice(self.limit))
        about = {
            "task": self.task,
            "overrides": parse_overrides(self.overrides),
            "data": [str(folder.resolve()) for folder in self.data],
            "solutions": len(data),
        }
        result = train(data, task, self.out, config, about=about)
        figures = ", ".join(f"{name} {value:.4g}" for name, value in result.summary.items())
        print(f"trained on {len(data)} solutions: {figures}\nrun: {self.out}", flush=True)
        if reason := config.explain_mode(len(data)):
            print(reason, flush=True)
        if self.verdict:
            print(quick_verdict(task, live_policy(result, task), self.verdict))
        return 0
