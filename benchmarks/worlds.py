"""Plans of the UR5 among the obstacles of MotionBenchMaker, checked independently, beside OMPL and toppra.

    python benchmarks/worlds.py --data mbm_ur5.json.gz --problems 10 --goal joints --json worlds.json

Data of MotionBenchMaker (Chamzas et al. 2022, BSD-3-Clause) as distributed with VAMP (Thomason et al. 2024,
Apache-2.0). A problem counts as solved if the plan reaches the goal within the time limit, and `worlds_check` finds no
contact and no limit exceeded along its splines. The peer (`--peer`) needs `pip install ompl toppra`. Times are CPU
times of one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from worlds_check import Check, goal_near, read_problems, world_of

from sobo_planner.errors import SoboError
from sobo_planner.planning import Planner
from sobo_planner.safety import PlanChecker
from sobo_planner.safety.curve import extremes
from sobo_planner.tasks import ArmReach, load_task

SPEED, ACCELERATION = 3.14, 12.0  # [rad/s, rad/s^2]
DEADLINE = 5.0  # [s] of CPU time


def exceeded(plan: Any, n: int) -> str:
    """Which limit the splines of a plan exceed; empty if none."""
    peaks = extremes(plan.time, plan.X[:, :n], plan.X[:, n:])
    for name, sides, most in (("speed", peaks.velocity, SPEED), ("acceleration", peaks.acceleration, ACCELERATION)):
        largest = max(np.abs(side).max() for side in sides)
        if largest > 1.01 * most:
            return f"{name} {largest:.2f}"
    return ""


def solve(planner: Planner, task: ArmReach, problem: dict[str, Any], args: argparse.Namespace, spheres: Any) -> dict:
    """One problem; `valid` is false if its start or goal touches something."""
    start = np.array(problem["start"])
    goal, world = goal_near(start, np.array(problem["goals"][0])), world_of(problem, spheres)
    check = Check(str(task.robot.path), problem, spheres)
    if check.touches(start) or check.touches(goal):
        return {"valid": False}
    target = {"joints": goal} if args.goal == "joints" else {"goal": task.robot.tool_pose(goal)}
    out: dict[str, Any] = {"valid": True, "solved": False, "why": ""}
    began = time.thread_time()
    try:
        state = np.concatenate([start, np.zeros(task.nu)])
        plan = planner.plan(state, world=world, velocity_scaling=SPEED / task.robot.velocity_limit.max(), **target)
    except SoboError as error:
        out["why"] = f"{type(error).__name__}: {error}"
    out["ms"] = 1e3 * (time.thread_time() - began)
    if not out["why"]:
        out |= {"duration": plan.duration, "source": plan.source, "iterations": plan.iterations}
        contact = check.contact(plan.time, plan.X[:, : task.nu], plan.X[:, task.nu :])
        if not plan.reached:
            out["why"] = plan.reason
        elif contact is not None:
            out["why"] = f"contact at {contact:.3f} s"
        else:
            out["why"] = exceeded(plan, task.nu) or ("late" if out["ms"] > 1e3 * DEADLINE else "")
        out["solved"] = not out["why"]
    if args.peer:
        import worlds_peer

        out["peer"] = worlds_peer.plan(check, start, goal, SPEED, ACCELERATION)
    return out


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of some problems."""
    valid = [each for each in records if each["valid"]]
    times = [each["ms"] for each in valid] or [0.0]
    out = {
        "valid": len(valid),
        "solved": sum(each["solved"] for each in valid),
        "ms_p50": float(np.median(times)),
        "ms_p95": float(np.percentile(times, 95)),
        "ms_max": float(np.max(times)),
    }
    pairs = [each for each in valid if each["solved"] and each.get("peer")]
    if pairs:
        out["peer_solved"] = sum(bool(each.get("peer")) for each in valid)
        out["duration_over_peer"] = float(np.median([each["duration"] / each["peer"]["duration"] for each in pairs]))
        out["ms_over_peer"] = float(np.median([each["ms"] / each["peer"]["ms"] for each in pairs]))
        out["peer_ms_p50"] = float(np.median([each["peer"]["ms"] for each in pairs]))
    return out


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("SOBO_MBM_UR5"), help="the problems")
    parser.add_argument("--problems", type=int, default=10, help="of each scene")
    parser.add_argument("--goal", choices=("joints", "pose"), default="joints")
    parser.add_argument("--gripper", action="store_true", help="with the 17 spheres at the tool")
    parser.add_argument("--peer", action="store_true", help="OMPL and toppra on the same problems")
    parser.add_argument("--scenes", nargs="*")
    parser.add_argument("--json", type=Path, help="file for the report")
    args = parser.parse_args()
    if args.data is None:
        parser.error("--data or SOBO_MBM_UR5 must name the file with the problems")
    data = read_problems(args.data)
    spheres = data["tool"]["spheres"] if args.gripper else []
    task = load_task("ur5", **{"robot.acceleration_limits": [ACCELERATION]})
    planner = Planner(task, checker=PlanChecker(task))
    planner.prepare(args.goal)
    records: dict[str, list[dict[str, Any]]] = {}
    for scene in args.scenes or data["problems"]:
        chosen = list(data["problems"][scene].items())[: args.problems]
        records[scene] = [{"problem": k, **solve(planner, task, each, args, spheres)} for k, each in chosen]
        print(scene, json.dumps(summary(records[scene])), flush=True)
        for each in records[scene]:
            if each.get("why"):
                print("   ", each["problem"], each["why"][:200])
    everything = summary([each for some in records.values() for each in some])
    print("all", json.dumps(everything))
    if args.json:
        options = {"goal": args.goal, "gripper": args.gripper, "problems": args.problems}
        scenes = {scene: summary(some) for scene, some in records.items()}
        report = {"options": options, "all": everything, "scenes": scenes, "problems": records}
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
