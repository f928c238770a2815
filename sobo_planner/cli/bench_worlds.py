"""`sobo bench worlds`: plan the problems of MotionBenchMaker, and check the plans independently."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from sobo_planner.cli.shared import Command, Flag, finish, training_extra
from sobo_planner.errors import ConfigError
from sobo_planner.files import check_output

DATA = "SOBO_MBM_UR5"


@dataclass(kw_only=True)
class BenchWorlds(Command):
    """Plan the problems of MotionBenchMaker among obstacles (UR5), and check the plans independently.

    Times are CPU times of one thread. docs/worlds.md says where the problems come from, and what is counted.
    """

    data: Path | None = None
    """File of the problems. Default: what the environment variable SOBO_MBM_UR5 names."""
    problems: int = 0
    """Problems of each scene, the first ones; 0 for all."""
    scenes: Annotated[tuple[str, ...], arg(metavar="SCENE ...")] = ()
    """Scenes, such as box cage. Default: all."""
    goal: Literal["joints", "pose"] = "joints"
    """Goals as they are, or as the tool's pose there, for which the planner picks the posture."""
    gripper: Flag = False
    """With the 17 spheres of a gripper at the tool."""
    peer: Flag = False
    """OMPL's RRT-Connect, shortened and timed by toppra, on the same problems (pip install ompl toppra)."""
    json: Path | None = None
    """File for the report, written after each scene; the same call again goes on where an interrupted one stopped."""

    def run(self) -> int:
        """Plan, print the table, and store the report if asked; 0 if all problems are solved, else 1."""
        data = self.data or Path(os.environ.get(DATA, ""))
        if not data.is_file():
            raise ConfigError(f"no file of problems: --data or {DATA} must name it, got {str(data)!r}")
        if self.json is not None:
            check_output(self.json)
        with training_extra():
            from sobo_training.bench.worlds.run import WorldsOptions, bench_worlds, render

        options = WorldsOptions(data, self.problems, self.scenes, self.goal, self.gripper, self.peer)
        report = bench_worlds(options, self.json)
        finish(render(report))
        return 0 if report["all"]["solved"] == report["all"]["valid"] else 1
