"""`sobo imitate`: cost weights from demonstrations."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from sobo_planner.cli.shared import Flag, TaskCommand, training_extra
from sobo_planner.errors import ConfigError


@dataclass(kw_only=True)
class Imitate(TaskCommand):
    """Find the cost weights with which an arm moves as it was shown."""

    demonstrations: Annotated[tuple[Path, ...], arg(metavar="DATA|BAG ...")]
    """Dataset folders (`sobo collect`, `sobo from-bag`) and bags with motions."""
    limit: int | None = None
    """Learn from the first demonstrations only, this many; the others are for comparison."""
    held_out: int = 10
    """Most demonstrations to compare with, of those that are not learned from."""
    steps: int = 15
    """Most steps of the search."""
    threads: int = 2
    """Solver threads; the result does not depend on it."""
    json: Flag = False
    """Print the result as JSON."""

    def run(self) -> int:
        """Learn, with the error of each step on stderr, then print the weights."""
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit must be at least 1, got {self.limit}")
        with training_extra():
            from sobo_training.imitation.demonstrations import read_demonstrations
            from sobo_training.imitation.report import report
            from sobo_training.imitation.weights import FitSettings, WeightFit

        task = self.load_arm()
        found = read_demonstrations(self.demonstrations, task)
        shown = found[: self.limit]
        search = WeightFit(task, shown, FitSettings(self.steps, threads=self.threads))
        fit = search.run(lambda line: print(line, file=sys.stderr, flush=True))
        result = report(task, fit, len(shown), found[len(shown) :][: self.held_out])
        print(json.dumps(result.as_dict()) if self.json else result.render())
        return 0
