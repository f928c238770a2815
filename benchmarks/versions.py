"""Plans of this version beside those of another checkout, in turns, instance by instance.

    python benchmarks/versions.py --before DIR [--task ur5] [--goal position|pose|joints] [--policy] [--instances 300]

DIR is a checkout of this project with its extension built in place (`python setup.py build_ext --inplace`). Both
versions plan for the same instances in processes of their own, with their own task file, policy and checker, on one
thread. CPU time of the planning thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from sobo_planner.errors import ConfigError
from sobo_planner.files import write_json
from sobo_planner.tasks import load_task
from sobo_training.bench import machine
from sobo_training.data.instances import held_out

HERE = Path(__file__).resolve().parents[1]
SEED = 21
#: What each version runs: a task and whether it has a policy, then a goal a line. It names what all versions have.
SERVE = """
import json, sys, time
from sobo_planner.errors import SoboError
from sobo_planner.paths import share_path
from sobo_planner.planner import Planner
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import load_task
task = load_task(sys.argv[1])
policy = Policy.load(share_path("config/policies/" + task.name), task) if sys.argv[2] == "policy" else None
planner = Planner(task, policy, PlanChecker(task))
print("ready", flush=True)
for line in sys.stdin:
    state, goal = json.loads(line)
    began = time.thread_time()
    try:
        plan = planner.plan(state, **goal)
    except SoboError as error:
        print(json.dumps({"failed": str(error)[:200], "ms": 1e3 * (time.thread_time() - began)}), flush=True)
        continue
    ms = 1e3 * (time.thread_time() - began)
    found = {"ms": ms, "policy_ms": plan.phases_ms["policy"], "iterations": plan.iterations, "cost": plan.cost}
    print(json.dumps(found | {"seconds": float(plan.time[-1])}), flush=True)
"""


class Version:
    """A process that plans with a checkout."""

    def __init__(self, folder: Path, task: str, policy: bool) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", SERVE, task, "policy" if policy else "none"]
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ConfigError("a version ended: see above; is its extension built in place?")
        return line

    def plan(self, state: list[float], goal: dict[str, list[float]]) -> dict[str, Any]:
        """What it says of a plan."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([state, goal]) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._answer())
        return found

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def goal_of(task: Any, kind: str, index: int) -> tuple[list[float], dict[str, list[float]]]:
    """State and goal of an instance; joints and poses are those of another instance's start."""
    instance, other = (held_out(task, SEED + k)(index)[0] for k in (0, 1))
    state, q = instance.x0.tolist(), other.x0[: task.nu]
    if kind == "position":
        return state, {"goal": instance.target.tolist()}
    return state, {"joints": q.tolist()} if kind == "joints" else {"goal": task.robot.tool_pose(q).tolist()}


def summary(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Figures of both versions over the instances that both have a plan for, and their ratios."""
    pairs = [pair for pair in zip(rows["now"], rows["before"], strict=True) if "failed" not in {*pair[0], *pair[1]}]
    if not pairs:
        raise SystemExit("there is no instance that both versions have a plan for")
    out: dict[str, Any] = {"both": len(pairs)}
    for k, name in enumerate(("now", "before")):
        ms = np.array([pair[k]["ms"] for pair in pairs])
        out[name] = {
            "plans": sum("failed" not in row for row in rows[name]),
            **{key: float(np.mean([pair[k][key] for pair in pairs])) for key in ("iterations", "cost", "seconds")},
            "policy_ms_p50": float(np.median([pair[k]["policy_ms"] for pair in pairs])),
            "ms": float(ms.mean()),
            **{f"ms_p{p}": float(np.quantile(ms, 0.01 * p)) for p in (50, 95, 99)},
        }
    keys = ("ms", "ms_p50", "ms_p95", "ms_p99", "policy_ms_p50", "iterations", "seconds")
    out["now_over_before"] = {key: out["now"][key] / out["before"][key] for key in keys if out["before"][key] > 0.0}
    return out


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="checkout to compare with, built in place")
    parser.add_argument("--task", default="ur5", help="name of a shipped task, or absolute path of a file")
    parser.add_argument("--goal", choices=("position", "pose", "joints"), default="position")
    parser.add_argument("--policy", action="store_true", help="with each version's own policy")
    parser.add_argument("--instances", type=int, default=300)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (args.before / "sobo_planner").is_dir():
        parser.error(f"--before {args.before} is no checkout of this project")
    if args.instances < 1:
        parser.error(f"--instances must be at least 1, got {args.instances}")
    task = load_task(args.task)
    folders = {"now": HERE, "before": args.before}
    versions = {name: Version(folder, args.task, args.policy) for name, folder in folders.items()}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in versions}
    for index in tqdm(range(-3, args.instances)):  # first plans allocate
        state, goal = goal_of(task, args.goal, index % args.instances)
        for name in sorted(versions, reverse=bool(index % 2)):
            found = versions[name].plan(state, goal)
            if index >= 0:
                rows[name].append(found)
    for version in versions.values():
        version.close()
    asked = {"task": Path(args.task).stem, "goal": args.goal, "policy": args.policy, "instances": args.instances}
    result = {"machine": machine.describe(), **asked, **summary(rows)}
    print(json.dumps(result, indent=1))
    if args.json is not None:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
