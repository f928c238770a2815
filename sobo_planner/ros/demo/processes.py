"""Child processes of the demo: each with a log file, watched, and ended in any case."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from sobo_planner.errors import SoboError

TAIL_LINES = 15
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class DemoError(SoboError):
    """The demo cannot continue."""


class Processes:
    """Starts Python modules as processes and ends them on leaving the `with` block.

    Args:
        log_folder: where each process writes `<name>.log`.
        environment: variables added to those of this process.
    """

    def __init__(self, log_folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = log_folder
        self._environment = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, module: str, arguments: Sequence[str] = ()) -> int:
        """Runs `python -m module arguments...` and returns its process id."""
        with self.log_path(name).open("wb") as log:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # Ctrl-C in the terminal goes to the demo alone, which then ends its children in order.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        return self._children[name].pid

    def log_path(self, name: str) -> Path:
        """Log file of a process."""
        return self._folder / f"{name}.log"

    def check(self) -> None:
        """Raises DemoError, with the end of its log, when a process has ended."""
        for name, child in self._children.items():
            status = child.poll()
            if status is not None:
                raise DemoError(
                    f"process {name} ended with status {status}; the end of {self.log_path(name)}:\n"
                    + self.log_tail(name)
                )

    def log_tail(self, name: str) -> str:
        """Last lines of a process's log, indented."""
        lines = self.log_path(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])

    def stop(self, grace: float = 5.0) -> None:
        """Ends all: SIGINT, and SIGKILL for what is still there after `grace` seconds."""
        running = [child for child in self._children.values() if child.poll() is None]
        for child in running:
            child.send_signal(signal.SIGINT)
        for child in running:
            try:
                child.wait(grace)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _die_with_parent() -> None:
    """Has the kernel end the child when the demo itself is killed and can no longer do so."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
