"""`sobo learn-control`: an agent that learns a latent model of an environment and plans with it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from sobo_planner.cli.shared import Command, Flag, training_extra
from sobo_planner.files import check_output_folder


@dataclass(kw_only=True)
class LearnControl(Command):
    """Learn a task of dm_control from its states: TD-MPC, or DiffTORI's planner in its place."""

    task: Annotated[Positional[str], arg(metavar="TASK")]
    """pendulum-swingup, cartpole-swingup or reacher-easy."""
    out: Path | None = None
    """Folder for checkpoint and record; a stopped run in it is resumed."""
    planner: Literal["mppi", "difftori"] = "mppi"
    """mppi: sampling, as TD-MPC does; difftori: Newton's method, through which the actor's loss is differentiated."""
    actor_loss: bool = True
    """Whether difftori uses the actor's loss."""
    episodes: int = 40
    """Episodes of 1000 frames to learn from."""
    parallel: int = 4
    """Episodes that run at once."""
    evaluations: int = 8
    """Episodes without exploration at the end."""
    horizon: int = 5
    """Steps that are planned."""
    width: int = 96
    """Units of hidden layers."""
    seed: int = 0
    """Of weights, noise and starts."""
    max_minutes: float | None = None
    """Stop after this time; the same command goes on."""
    json: Flag = False
    """Print the record as JSON."""

    def run(self) -> int:
        """Learn, with a line for each round on stderr, then print what came of it."""
        if self.out is not None:
            check_output_folder(self.out)
        with training_extra():
            import torch

            from sobo_training.latent.environments import ControlSuite
            from sobo_training.latent.learning import Learning, LearnSettings
            from sobo_training.latent.settings import AgentSettings

        torch.set_num_threads(1)  # of networks this small, more make it slower
        agent = replace(AgentSettings(planner=self.planner), horizon=self.horizon, width=self.width)
        agent = replace(agent, actor_loss=self.actor_loss)
        names = ("episodes", "parallel", "evaluations", "seed", "max_minutes")
        settings = LearnSettings(random=self.parallel, **{name: getattr(self, name) for name in names})
        learning = Learning(ControlSuite(self.task), agent, settings, self.out)
        record = learning.run(lambda line: print(line, file=sys.stderr, flush=True))
        print(json.dumps(record) if self.json else describe(record))
        return 0


def describe(record: dict[str, Any]) -> str:
    """A run in words."""
    head = f"{record['task']}: {record['episodes']} episodes, {record['frames']} frames, {record['minutes']:.1f} min"
    if record["return"] is None:
        return f"{head}; not finished: the same command goes on"
    lowest, highest = min(record["evaluations"]), max(record["evaluations"])
    return (
        f"{head}; return {record['return']:.0f}, {lowest:.0f} to {highest:.0f} in {len(record['evaluations'])} episodes"
    )
