"""What a run of the interplay loop records about itself: arguments, progress, results."""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from torch.utils.tensorboard import SummaryWriter

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.files import write_json
from sobo_training.data.collection import differences

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class Record:
    """config.json and status.json of a run.

    Args:
        folder: The run's folder.
        iterations: Iterations it will have.
        about: What the status begins with.
        kind: What kind of run it is, for messages.

    Attributes:
        status: As in status.json.
    """

    def __init__(self, folder: Path, iterations: int, about: dict[str, Any], kind: str = "interplay") -> None:
        self.folder, self.iterations, self.kind = folder, iterations, kind
        self.status: dict[str, Any] = {**about, "iterations": []}

    def claim(self, asked: dict[str, Any], room: float) -> None:
        """Records the arguments, or reads the status of an earlier call with the same arguments.

        Args:
            asked: All that the results depend on.
            room: Space that the run may need [bytes].

        Raises:
            ConfigError: The folder holds another run, or something else.
            SoboError: The disk has not enough space for all that will be stored.
        """
        path = self.folder / "config.json"
        if path.exists():
            conflicts = differences(read_json(path), asked)
            if conflicts:
                raise ConfigError(f"{self.folder} holds another run: {'; '.join(conflicts)}")
            if (self.folder / "status.json").exists():
                self.status = read_json(self.folder / "status.json")
                self.status.pop("error", None)
            return
        found = sorted(each.name for each in self.folder.iterdir())
        strange = [name for name in found if not name.startswith(".") and name != "lost+found"]  # of a new file system
        if strange:
            raise ConfigError(f"{self.folder} holds something else than a run of {self.kind}: {', '.join(strange[:5])}")
        free = shutil.disk_usage(self.folder).free
        if free < room:
            raise SoboError(f"{self.folder} has room for {free / 1e6:.0f} MB, the run may need {room / 1e6:.0f} MB")
        write_json(path, asked)

    def phase(self, name: str, work: Callable[..., Result], iteration: int, *arguments: Any) -> Result:
        """Does a phase's work, and says so before."""
        spent = self.status["seconds"] if self.status.get("iteration") == iteration + 1 else {}
        self.say(state="running", iteration=iteration + 1, phase=name, seconds=spent)
        logger.info("iteration %d of %d: %s", iteration + 1, self.iterations, name)
        began = time.perf_counter()
        result = work(iteration, *arguments)
        spent[name] = round(spent.get(name, 0.0) + time.perf_counter() - began, 1)
        return result

    def finish(self, entry: dict[str, Any], curves: SummaryWriter) -> None:
        """Records a finished iteration."""
        for name, value in flat(entry):
            curves.add_scalar(name, value, entry["iteration"])
        curves.flush()
        self.say(iterations=[*self.status["iterations"], entry])

    def say(self, **news: Any) -> None:
        """Writes the status."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.status = {"started": now, **self.status, "updated": now, **news}
        write_json(self.folder / "status.json", self.status)


def flat(entry: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of an entry by path, such as `cost/policy`."""
    for name, value in entry.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and name != "iteration":
            yield prefix + name, float(value)


def read_json(path: Path) -> dict[str, Any]:
    """Contents of a file of the run.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is damaged: {error}") from error
    return content


def render(status: dict[str, Any]) -> str:
    """The status as a table."""
    lines = [
        f"{'iteration':>9} {'solutions':>9} {'rejected':>8} {'teacher':>9} {'policy':>9} {'refined':>9} "
        f"{'solver':>9} {'iterations':>13} {'seconds':>8}"
    ]
    for each in status["iterations"]:
        cost, iterations = each["cost"], each["iterations"]
        lines.append(
            f"{each['iteration']:>9} {each['trajectories']:>9} {each['rejected']:>8} {each['teacher']['cost']:>9.4g} "
            + " ".join(
                f"{math.nan if cost[name] is None else cost[name]:>9.4g}" for name in ("policy", "refined", "solver")
            )
            + f" {iterations['cold']:>5.1f} -> {iterations['warm']:<4.1f} {sum(each['seconds'].values()):>8.0f}"
        )
    return "\n".join(lines)
