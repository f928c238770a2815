"""`sobo from-bag`: make a dataset of what was logged."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from sobo_planner.cli.shared import Command, Flag, Overrides, parse_overrides, training_extra
from sobo_planner.errors import ConfigError
from sobo_planner.files import check_output_folder

#: Status when no bag holds anything that can be used.
EXIT_NOTHING = 1


@dataclass(kw_only=True)
class FromBag(Command):
    """Make a dataset of recorded bags: recordings of the planner node, and bags of any arm with the task's joints.

    Plans, motions from rest to rest and goals become instances, each solved with the present task from several starts
    and from what was recorded. The report says what was used, what was not, and why. The same call again goes on where
    an interrupted one stopped. Status 1 if nothing can be used.
    """

    bags: Annotated[Positional[tuple[Path, ...]], arg(metavar="BAG ...")]
    """Bags: MCAP or SQLite files, folders of them, or folders of such folders."""
    task: str
    """Name of a shipped task, such as ur5, or path of a task's YAML file."""
    out: Path
    """Dataset folder; created if it does not exist."""
    overrides: Overrides = field(default_factory=tuple)
    """Override a key of the task's configuration, such as r_init=1; may be repeated."""
    joint_states: str | None = None
    """Topic of the joint states. Default: what a recording says, or every topic named joint_states."""
    goals: str | None = None
    """Topic of goals (PoseStamped, PointStamped, JointState). Default: what a recording says, or all goal_pose."""
    trajectories: str | None = None
    """Topic of JointTrajectory messages. Default: what a recording says, or every topic named joint_trajectory."""
    joints: tuple[str, ...] = ()
    """The arm's joints as the bags name them, in the task's order. Default: what a recording says, or the URDF's."""
    tf_prefix: str = ""
    """What joints and frames of the bags have in front of the URDF's names."""
    begin: Annotated[float | None, arg(name="from")] = None
    """Use messages from this time on: seconds since the beginning of each bag, or UNIX time."""
    end: Annotated[float | None, arg(name="to")] = None
    """Use messages up to this time, given as the one above."""
    status: tuple[Literal["converged", "feasible", "short"], ...] = ("converged", "feasible", "short")
    """Statuses of recorded plans that are used."""
    region: tuple[float, float, float, float, float, float] | None = None
    """Box of tool goals that are used: lower x, y, z, then upper [m], in the task's base frame."""
    tool_error: float | None = None
    """How far plans, motions and solutions may end from their goal [m]. Default: no limit for what was recorded, the
    task's own for solutions."""
    starts: int = 6
    """The task's own starts per instance, beside what was recorded; the cheapest converged solution is kept."""
    seed: int = 0
    """Seed of the starts."""
    threads: int = 2
    """Solver threads; the data does not depend on it."""
    shard_size: int = 10
    """Instances per file."""
    json: Flag = False
    """Print the report as JSON."""

    def run(self) -> int:
        """Read, solve, then print the report."""
        if not self.bags:
            raise ConfigError("name at least one bag: sobo from-bag BAG ... --task TASK --out DATA")
        check_output_folder(self.out)
        with training_extra():
            import numpy as np

            from sobo_training.bags.candidates import Filters
            from sobo_training.bags.conversion import BagOptions, convert
            from sobo_training.bags.topics import Names
            from sobo_training.bags.usable import TimeRange

        from sobo_planner.tasks import load_arm

        task = load_arm(self.task, **parse_overrides(self.overrides))
        if self.joints and len(self.joints) != task.nu:
            raise ConfigError(f"--joints needs one name for each of the {task.nu} joints, got {len(self.joints)}")
        region = None if self.region is None else np.array(self.region).reshape(2, 3)
        if region is not None and (region[0] > region[1]).any():
            raise ConfigError(f"--region needs lower bounds below upper ones, got {self.region}")
        given = {"joint_states": self.joint_states, "goal_pose": self.goals, "joint_trajectory": self.trajectories}
        topics = {role: topic for role, topic in given.items() if topic is not None}
        options = BagOptions(
            Names(topics, self.joints, self.tf_prefix),
            TimeRange(self.begin, self.end),
            Filters(tuple(self.status), region, self.tool_error),
            self.seed,
            self.starts,
            self.threads,
            self.shard_size,
        )
        report = convert(self.bags, task, self.out, options)
        print(json.dumps(report.as_dict(), indent=1) if self.json else report.render())
        return 0 if report.stored else EXIT_NOTHING
