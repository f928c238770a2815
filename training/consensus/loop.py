"""Whole runs of consensus learning: fixed instances, a number of steps, resumable.

    folder/config.json     the arguments; a call with other arguments is refused
    folder/status.json     the figures of every finished step
    folder/reference.json  what the solver alone reaches on the held-out instances
    folder/state.npz       trajectories, multipliers and policy after the last finished step
    folder/policy.npz      the policy, once all steps are done

The same call resumes after the last finished step, and ends with the same policy bit by bit.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.files import write_bytes, write_json
from sobo_planner.solver import Instance, Solver
from sobo_training.consensus.admm import Consensus, Multipliers
from sobo_training.consensus.options import ConsensusOptions
from sobo_training.consensus.policy import NetworkPolicy
from sobo_training.consensus.terms import Ranges
from sobo_training.consensus.trajectories import Trajectories
from sobo_training.data.dataset import locked
from sobo_training.data.instances import Stream, draw, draw_starts
from sobo_training.evaluation.closed_loop import Act, roll_out
from sobo_training.interplay.options import seed_of
from sobo_training.interplay.record import Record, read_json

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

logger = logging.getLogger(__name__)
Array = NDArray[np.float64]
#: Starts of the task's own that the best known cost of a held-out instance comes from.
REFERENCE_STARTS = 6
#: Held-out instances are the same for all seeds.
HELD_OUT_SEED = 0


def learn(task: Task, folder: str | Path, options: ConsensusOptions) -> dict[str, Any]:
    """Learn a policy with one of the methods that use the model, or go on with a run that was stopped.

    Args:
        task: The task.
        folder: Receives everything; see the head of this file.
        options: Method and settings.

    Returns:
        The status, as in status.json.

    Raises:
        ConfigError: A folder that holds something else, or a damaged state.
        SoboError: No instance can be solved, or the disk refused.
    """
    folder = Path(folder)
    with locked(folder):
        run = Run(task, folder, options)
        run.claim()
        try:
            return run.run()
        except SoboError as error:
            with contextlib.suppress(SoboError):
                run.record.say(state="failed", error=str(error))
            raise


class Run:
    """One run.

    Args:
        task: The task.
        folder: Its folder.
        options: Method and settings.
    """

    def __init__(self, task: Task, folder: Path, options: ConsensusOptions) -> None:
        self.task, self.folder, self.options = task, folder, options
        about = {"task": task.name, "method": options.label}
        self.record = Record(folder, options.steps, about, "consensus")
        drawn = [draw(task, Stream.COLLECT, seed_of(options.seed, 0), i) for i in range(options.instances)]
        self.starts = [draw_starts(task, instance, options.starts, rng) for instance, rng in drawn]
        self.policy = NetworkPolicy(task, options)
        self.consensus = Consensus(task, options, self.policy, [instance for instance, _ in drawn])
        if options.method == "pods":  # its first rollouts may be far from all that matters
            lines = np.array([task.interpolate(instance).X[:-1] for instance, _ in drawn])
            self.policy.look(lines, self.consensus.targets)

    def claim(self) -> None:
        """Takes the folder; see `Record.claim`."""
        asked = {"task_hash": self.task.hash, "robot_hash": self.task.robot_hash}
        settings = {name: each for name, each in asdict(self.options).items() if name not in ("threads", "steps")}
        asked |= json.loads(json.dumps(settings | {"steps": self.options.steps}))
        self.record.claim(asked, 1e6)

    def run(self) -> dict[str, Any]:
        """All steps that are not finished yet; returns the status."""
        entries = self.resume()
        reference = self.reference()
        self.record.say(state="running", reference=reference, iterations=entries)
        for step in range(len(entries), self.options.steps):
            figures = self.consensus.advance(self.starts)
            entry = {"iteration": step + 1, **figures, **measure(self.task, self.policy.act, self.options.evaluate)}
            entries.append(entry)
            self.store(entries)
            self.record.say(iterations=entries)
            logger.info(
                "%s, step %d of %d: %s", self.options.label, step + 1, self.options.steps, brief(entry, reference)
            )
        write_bytes(self.folder / "policy.npz", packed(self.policy.state()))
        self.record.say(state="finished")
        return self.record.status

    def reference(self) -> dict[str, Any]:
        """What the solver alone reaches on the held-out instances."""
        path = self.folder / "reference.json"
        if not path.exists():
            write_json(path, reference(self.task, self.options.evaluate, self.options.threads))
        return read_json(path)

    def store(self, entries: list[dict[str, Any]]) -> None:
        """Writes all that the next step needs."""
        found, own = self.consensus.trajectories, self.consensus.multipliers
        arrays = {name: getattr(found, name) for name in ("X", "U", "K", "good")}
        arrays |= {"duals": own.controls, "copy_duals": own.states, "copies": own.copies}
        arrays |= {"control_size": self.consensus.ranges.control, "state_size": self.consensus.ranges.state}
        arrays |= {f"policy.{name}": value for name, value in self.policy.state().items()}
        arrays["entries"] = np.array(json.dumps(entries))
        write_bytes(self.folder / "state.npz", packed(arrays))

    def resume(self) -> list[dict[str, Any]]:
        """Takes up the state of an earlier call; returns the figures of its steps."""
        path = self.folder / "state.npz"
        if not path.exists():
            return []
        kept = unpacked(path)
        consensus, entries = self.consensus, json.loads(str(kept["entries"]))
        consensus.trajectories = Trajectories(kept["X"], kept["U"], kept["K"], kept["good"])
        consensus.multipliers = Multipliers(kept["duals"], kept["copy_duals"], kept["copies"])
        consensus.ranges = Ranges(kept["control_size"], kept["state_size"])
        consensus.step, consensus.oracle.calls = len(entries), entries[-1]["calls"]
        self.policy.restore({name[7:]: value for name, value in kept.items() if name.startswith("policy.")})
        return list(entries)


def load_policy(folder: Path, task: Task, options: ConsensusOptions) -> NetworkPolicy:
    """The policy that a finished run left.

    Raises:
        ConfigError: There is none, or it is damaged.
    """
    policy = NetworkPolicy(task, options)
    policy.restore(unpacked(folder / "policy.npz"))
    return policy


def held_out(task: Task, count: int) -> list[tuple[Instance, np.random.Generator]]:
    """Instances that no method learns from, the same for all methods and seeds."""
    return [draw(task, Stream.EVALUATE, HELD_OUT_SEED, i) for i in range(count)]


def measure(task: Task, act: Act, count: int) -> dict[str, Any]:
    """What a policy does on held-out instances.

    Returns:
        `cost`: mean cost of its rollouts, None where one diverged; `failed`: how many did; `reason`: the first's.
    """
    instances = [instance for instance, _ in held_out(task, count)]
    rollouts = roll_out(task, act, instances)
    pairs = zip(rollouts, instances, strict=True)
    costs = [task.cost(each.guess.X, each.guess.U, instance.target) for each, instance in pairs if each.guess]
    reasons = [each.reason for each in rollouts if each.reason]
    whole = bool(costs) and not reasons and bool(np.isfinite(costs).all())
    return {
        "cost": float(np.mean(costs)) if whole else None,
        "failed": len(reasons),
        "reason": reasons[0] if reasons else "",
    }


def reference(task: Task, count: int, threads: int) -> dict[str, Any]:
    """Mean costs of the solver alone on the held-out instances: from interpolation, and the best of several starts."""
    drawn = held_out(task, count)
    guesses = [draw_starts(task, instance, REFERENCE_STARTS, rng) for instance, rng in drawn]
    flat = [(i, guess) for i, each in enumerate(guesses) for guess in each]
    solutions = Solver(task).solve_batch([drawn[i][0] for i, _ in flat], [guess for _, guess in flat], threads)
    costs: list[list[float]] = [[] for _ in drawn]
    for (i, _), solution in zip(flat, solutions, strict=True):
        costs[i].append(float(solution.cost) if solution.converged else np.inf)
    first, best = np.array([each[0] for each in costs]), np.array([min(each) for each in costs])
    return {
        "interpolation": float(first[np.isfinite(first)].mean()) if np.isfinite(first).any() else None,
        "interpolation_solved": float(np.isfinite(first).mean()),
        "best": float(best[np.isfinite(best)].mean()) if np.isfinite(best).any() else None,
    }


def brief(entry: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """One line about a step."""
    if entry["cost"] is None:
        return f"{entry['failed']} rollouts diverged ({entry['reason']}); {entry['calls']} simulator calls"
    beside = f", {entry['cost'] / reference['best']:.3f} of the solver's" if reference["best"] else ""
    return f"cost {entry['cost']:.4g}{beside}; {entry['calls']} simulator calls"


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Arrays as the content of an .npz file."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def unpacked(path: Path) -> dict[str, Any]:
    """The arrays in an .npz file.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise ConfigError(f"{path} is damaged or missing: {error}") from error
