"""`sobo export`: make a policy artifact from a training run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from sobo_planner.cli.shared import Command, Verdict, check_verdict, training_extra


@dataclass(kw_only=True)
class Export(Command):
    """Write the policy artifact of a training run, after checking that its engine agrees with torch."""

    run_folder: Annotated[Path, arg(name="run")]
    """Folder of a training run."""
    out: Path
    """Folder of the artifact: new, empty, or that of an older artifact, which is replaced."""
    verdict: Verdict = 20
    """Fresh instances on which to compare the policy with none; 0: do not."""

    def run(self) -> int:
        """Export, then print where the artifact lies and what the policy is worth."""
        check_verdict(self.verdict)
        with training_extra():
            from sobo_training.export.placing import check_place
            from sobo_training.learning.runs import task_of_run

        check_place(self.out)  # before the seconds that importing torch takes
        task = task_of_run(self.run_folder)
        with training_extra():
            from sobo_training.evaluation.evaluate import quick_verdict
            from sobo_training.export.exporter import export, load_run

        artifact = export(load_run(self.run_folder, task), task, self.out)
        print(f"policy: {artifact.folder}", flush=True)
        if self.verdict:
            print(quick_verdict(task, artifact.folder, self.verdict))
        return 0
