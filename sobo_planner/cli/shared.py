"""What all sub-commands of `sobo` share.

The module of a sub-command declares its arguments and does its work. What the work needs is imported when it is done,
so that `sobo --help` starts at once and the run-time commands never import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from sobo_planner.errors import ConfigError

if TYPE_CHECKING:
    from sobo_planner.policy import Policy
    from sobo_planner.tasks import ArmReach, Task

Flag = FlagCreatePairsOff[bool]
TaskName = Annotated[Positional[str], arg(metavar="TASK")]
Overrides = Annotated[UseAppendAction[tuple[str, ...]], arg(name="set", metavar="KEY=VALUE")]
Instances = Annotated[int, arg(aliases=("-n",))]
Verdict = Annotated[int, arg(metavar="N")]


@dataclass(kw_only=True)
class Command:
    """What every sub-command accepts."""

    debug: Flag = False
    """Show the Python traceback of an error."""

    def run(self) -> int:
        """Do the work; returns the exit code."""
        raise NotImplementedError


@dataclass(kw_only=True)
class TaskCommand(Command):
    """What every sub-command on a task accepts."""

    task: TaskName
    """Name of a shipped task, such as ur5, or path of a task's YAML file."""
    overrides: Overrides = field(default_factory=tuple)
    """Override a key of the task's configuration, such as r_init=1; may be repeated."""

    def load_task(self) -> Task:
        """The task, with the overrides."""
        from sobo_planner.tasks import load_task

        return load_task(self.task, **parse_overrides(self.overrides))

    def load_arm(self) -> ArmReach:
        """The same for commands that plan."""
        from sobo_planner.tasks import load_arm

        return load_arm(self.task, **parse_overrides(self.overrides))


@dataclass(kw_only=True)
class CellCommand(TaskCommand):
    """What sub-commands on a task accept that may take place among the objects of a world."""

    world: Path | None = None
    """World file: the policy is to know its objects. Starts and goals have the tool near them, and touch nothing."""
    margin: float = 0.0
    """Distance to be kept from the objects of --world [m]."""

    def load_task(self) -> Task:
        """The task, in the world if there is one."""
        from sobo_planner.world import read_world

        if self.world is None:
            return super().load_task()
        task = self.load_arm()
        return task.in_cell(read_world(self.world, task.robot.root_link), self.world.stem, self.margin)


def check_verdict(count: int) -> None:
    """Refuse a number of instances that is none.

    Raises:
        ConfigError: It is negative.
    """
    if count < 0:
        raise ConfigError(f"verdict must not be negative, got {count}")


def finish(results: str, store: Callable[[], None] | None = None) -> None:
    """Print results, then store them; what fails does not keep the other from being done."""
    try:
        print(results, flush=True)
    finally:
        if store is not None:
            store()


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse `key=value` pairs; values are read as YAML.

    Raises:
        ConfigError: A pair has no `=` or no key, a value is not YAML, or a key occurs twice.
    """
    from sobo_planner.yaml_reader import parse_yaml

    overrides: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set expects KEY=VALUE, got {pair!r}")
        if key in overrides:
            raise ConfigError(f"--set {key} is given twice, as {overrides[key]!r} and as {text!r}; give it once")
        try:
            overrides[key] = parse_yaml(text)
        except ConfigError as error:
            raise ConfigError(f"--set {key}: {text!r} is {error}") from error
    return overrides


def shipped_policy(task: Task) -> Path | None:
    """Folder of the policy that is shipped for a task, None if there is none."""
    from sobo_planner.paths import share_path

    try:
        return share_path(f"config/policies/{task.name}")
    except ConfigError:
        return None


def policy_of(task: Task, choice: str) -> Policy | None:
    """The policy that `--policy` asks for: "none", "shipped", or an artifact's folder."""
    from sobo_planner.policy import Policy

    folder = shipped_policy(task) if choice == "shipped" else Path(choice)
    return None if choice == "none" or folder is None else Policy.load(folder, task)


@contextmanager
def training_extra(extra: str = "train") -> Iterator[None]:
    """Say how to install what training needs, where it is missing.

    Args:
        extra: The extra that has what may be missing.

    Raises:
        ConfigError: A module outside this project cannot be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("sobo_planner", "sobo_training"):
            raise ConfigError(f"{error.name} is not part of this installation") from error
        hint = f'training needs more packages; install them with: pip install "sobo_planner[{extra}]"'
        raise ConfigError(f"cannot import {missing}: {hint}") from error
