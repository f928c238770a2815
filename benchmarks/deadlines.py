"""How long a plan with a deadline takes to answer, with a plan or with the reason why there is none.

Random goals of the UR5 with several deadlines, and poses out of reach. Run it on an idle machine as

    python benchmarks/deadlines.py --instances 100 --json out/deadlines.json

A table goes to standard output: how late the answers came (wall time) and how many of them are plans.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from sobo_planner.errors import SoboError
from sobo_planner.paths import share_path
from sobo_planner.planning import Planner
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Instance
from sobo_planner.tasks import load_task
from sobo_training.bench import machine

DEADLINES = (0.001, 0.005, 0.02, 0.1)  # [s]
AWAY = np.array([3.0, 0.0, 0.0])  # [m], out of reach of a UR5


def answers(planner: Planner, instances: list[Instance], deadline: float) -> dict[str, Any]:
    """Times of all answers to one deadline [ms], and what they were."""
    times, kinds = [], []
    for instance in instances:
        began = time.monotonic()
        try:
            kinds.append(planner.plan(instance.x0, instance.target, deadline).status.value)
        except SoboError as error:
            kinds.append(type(error).__name__)
        times.append(1e3 * (time.monotonic() - began))
    quantiles = {name: float(np.percentile(times, q)) for name, q in (("p50", 50), ("p99", 99), ("max", 100))}
    return {
        "deadline_ms": 1e3 * deadline,
        **quantiles,
        "answers": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }


def main() -> None:
    """Measures, prints the table, stores the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=100, help="random goals a deadline")
    parser.add_argument("--seed", type=int, default=0, help="of the goals")
    parser.add_argument("--json", type=Path, help="file for the record")
    options = parser.parse_args()

    task = load_task("ur5", r_init=1, r_tgt=1)
    planner = Planner(task, Policy.load(share_path("config/policies/ur5"), task), PlanChecker(task))
    planner.prepare("position")
    planner.prepare("pose")
    rng = np.random.default_rng(options.seed)
    goals = [task.sample(rng) for _ in range(options.instances)]
    poses = [task.with_orientation().sample(rng) for _ in range(options.instances)]
    beyond = [Instance(each.x0, np.concatenate([AWAY, each.target[3:]])) for each in poses]
    answers(planner, [*goals[:3], *poses[:3]], 1.0)  # warm
    record: dict[str, Any] = {"machine": machine.describe(), "load": machine.load()}
    for name, instances in (("goal", goals), ("pose", poses), ("unreachable pose", beyond)):
        record[name] = [answers(planner, instances, deadline) for deadline in DEADLINES]
        for row in record[name]:
            times = "  ".join(f"{key} {row[key]:7.1f} ms" for key in ("p50", "p99", "max"))
            print(f"{name:17} deadline {row['deadline_ms']:5.0f} ms: answers after {times}  {row['answers']}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
