"""Crocoddyl in a process and an environment of its own.

The problem is passed as a file, results come back as JSON. Crocoddyl and Aligator need different versions of
Pinocchio, so they cannot share a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sobo_training.bench.options import NotMeasured

if TYPE_CHECKING:
    from sobo_planner.solver import Guess, Instance
    from sobo_planner.tasks import ArmReach

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "crocoddyl_side.py"
# Another interpreter than that of `make bench`.
PYTHON_VARIABLE = "SOBO_CROCODDYL_PYTHON"
# Tolerances of "the same problem": costs relative, states absolute [rad, rad/s].
COST_TOLERANCE = 1e-9
STEP_TOLERANCE = 1e-10
PROBES = 5
# A sourced ROS distribution leads to its own Pinocchio through these.
FOREIGN_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
ANSWER_LIMIT = 120.0  # [s] that one answer may take


def environment_python() -> Path:
    """The interpreter of Crocoddyl's environment.

    Raises:
        NotMeasured: There is none; the message holds the command that makes it.
    """
    given = os.environ.get(PYTHON_VARIABLE)
    python = Path(given) if given else ROOT / ".venv-crocoddyl" / "bin" / "python"
    if not SCRIPT.is_file():
        raise NotMeasured(f"{SCRIPT.name} belongs to the source tree and is not installed")
    if not python.is_file():
        raise NotMeasured(
            f"Crocoddyl's environment is missing ({python}): "
            f"`make bench` makes it, or set {PYTHON_VARIABLE} to the interpreter of one"
        )
    return python


def probes(
    task: ArmReach, guesses: Sequence[Guess], instances: Sequence[Instance], seed: int
) -> dict[str, NDArray[Any]]:
    """Trajectories on which both sides must agree: what randomly changed torques of the guesses do from changed starts.

    Every term of the cost counts, and states and torques belong together: our torques follow from the states.
    """
    rng = np.random.default_rng(seed)
    chosen = list(zip(guesses, instances, strict=True))[:PROBES]
    U = np.stack([guess.U + rng.normal(0.0, 5.0, guess.U.shape) for guess, _ in chosen])
    starts = [guess.X[0] + rng.normal(0.0, 0.3, guess.X[0].shape) for guess, _ in chosen]
    X = np.stack([task.simulate(*each) for each in zip(starts, U, strict=True)])
    return {"probe_X": X, "probe_U": U, "probe_target": np.stack([instance.target for _, instance in chosen])}


def export_problem(
    task: ArmReach, instances: Sequence[Instance], guesses: Sequence[Guess], path: Path, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """Writes the problem with its instances and guesses as an .npz of numbers and one JSON text.

    Raises:
        NotMeasured: BoxFDDP cannot solve this problem.

    Returns:
        The arrays written.
    """
    problem = task.config.problem
    if problem.velocity_limits:
        raise NotMeasured("BoxFDDP has no bounds on the state, this task has velocity limits")
    if problem.integrator != "semi_implicit_euler":
        raise NotMeasured(f"the comparison is written for semi-implicit Euler, not for {problem.integrator}")
    if problem.terminal.torque:
        raise NotMeasured("Crocoddyl has no control at the end, this task weighs it")
    sections = {"running": problem.running, "terminal": problem.terminal}
    info = {
        "urdf": task.robot.description.text,
        "tool_frame": task.config.robot.tool_frame,
        "locked_joints": task.robot.description.locked,
        "horizon": task.horizon,
        "dt": task.dt,
        "weights": {name: vars(weights) for name, weights in sections.items()},
    }
    arrays = {
        "armature": np.array(task.config.robot.armature, float),
        "torque_limit": task.control_upper,
        "x0": np.stack([instance.x0 for instance in instances]),
        "target": np.stack([instance.target for instance in instances]),
        "guess_X": np.stack([guess.X for guess in guesses]),
        "guess_U": np.stack([guess.U for guess in guesses]),
        **probes(task, guesses, instances, seed),
    }
    np.savez(path, allow_pickle=False, info=np.array(json.dumps(info)), **arrays)
    return arrays


def compare(task: ArmReach, arrays: dict[str, NDArray[Any]], seen: dict[str, Any]) -> dict[str, float]:
    """Compares the problem as both sides see it.

    Args:
        task: Our side.
        arrays: What was exported.
        seen: What the other side says about it.

    Returns:
        Largest relative difference of the costs, largest absolute one of the states after a step.

    Raises:
        NotMeasured: The problems differ; the message names in what.
    """
    if list(seen["joint_names"]) != task.robot.joint_names:
        raise NotMeasured(f"Crocoddyl sees the joints {seen['joint_names']}, the task has {task.robot.joint_names}")
    for name, expected in (("torque_lower", task.control_lower), ("torque_upper", task.control_upper)):
        if not np.array_equal(seen[name], expected):
            raise NotMeasured(f"{name} differs: {seen[name]} in Crocoddyl, {expected.tolist()} here")
    X, U, target = arrays["probe_X"], arrays["probe_U"], arrays["probe_target"]
    ours = np.array([task.cost(*probe) for probe in zip(X, U, target, strict=True)])
    cost_error = float(np.max(np.abs(np.array(seen["costs"]) / ours - 1.0)))
    steps = np.array([task.robot.step(x[0], u[0], task.dt) for x, u in zip(X, U, strict=True)])
    step_error = float(np.max(np.abs(np.array(seen["next_states"]) - steps)))
    # `not <=` refuses a NaN too.
    if not step_error <= STEP_TOLERANCE:
        raise NotMeasured(f"the dynamics differ: one step is off by {step_error:.1e}, allowed is {STEP_TOLERANCE:.0e}")
    if not cost_error <= COST_TOLERANCE:
        raise NotMeasured(f"the costs differ by {cost_error:.1e} (relative), allowed is {COST_TOLERANCE:.0e}")
    return {"cost_relative": cost_error, "step_absolute": step_error}


class CrocoddylSide:
    """The other process, to be used in a `with` block.

    Attributes:
        seen: What it says about the problem.
    """

    def __init__(self, python: Path, problem: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
        self._process = subprocess.Popen(
            [str(python), str(SCRIPT), str(problem)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | {"OMP_NUM_THREADS": "1"},
        )
        self._complaints: list[str] = []
        self._reader = threading.Thread(target=self._collect_complaints, daemon=True)
        self._reader.start()
        try:
            self.seen = self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> CrocoddylSide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, action: str, index: int, max_iterations: int) -> dict[str, Any]:
        """Has an instance solved (`solve`) or traced (`trace`).

        Raises:
            NotMeasured: The process failed.
        """
        assert self._process.stdin is not None
        command = json.dumps({action: index, "max_iterations": max_iterations})
        with suppress(BrokenPipeError):  # the missing answer tells why
            print(command, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(ANSWER_LIMIT, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            self._process.wait()
            self._reader.join(1.0)
            last = "".join(self._complaints[-1:]).strip() or f"exit status {self._process.returncode}"
            raise NotMeasured(f"Crocoddyl's process ended: {last}")
        return dict(json.loads(line))

    def _collect_complaints(self) -> None:
        assert self._process.stderr is not None
        self._complaints.extend(self._process.stderr)

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
