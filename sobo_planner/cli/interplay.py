"""What `sobo interplay` does; it needs the extra `train`, and the extra `ray` for `--executor ray`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sobo_planner.cli.plan import task_of
from sobo_planner.cli.training import training_extra

if TYPE_CHECKING:
    from sobo_planner.cli import commands


def interplay(command: commands.Interplay) -> int:
    """Run the loop, print its figures."""
    with training_extra():
        from sobo_training.interplay.loop import InterplayOptions
        from sobo_training.interplay.loop import interplay as run
        from sobo_training.interplay.record import render

    options = InterplayOptions(command.method, command.seed, command.threads, command.executor)
    status = run(task_of(command), command.out, options)
    print(json.dumps(status, indent=1) if command.json else f"{render(status)}\npolicy: {command.out / 'policy'}")
    return 0
