"""How near to a plan a start among objects has to be: plans from plans that were bent, beside the planner alone.

    python benchmarks/near_starts.py [--scenes box] [--instances 50] [--data mbm_ur5.json.gz] [--json FILE]

The worlds and instances are those of `cell_policies.py`. Each plan is bent smoothly between its ends (three sines, so
much in the mean square) and given to the planner as a policy's way: what a policy of that error would be worth, free of
charge. CPU time of the thread.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from cell_policies import SCENES, task_in
from numpy.typing import NDArray
from proposals import Given

from sobo_planner.errors import SoboError
from sobo_planner.files import write_json
from sobo_planner.planning import Plan, Planner
from sobo_planner.planning.proposals import Proposal
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Guess
from sobo_training.bench import machine
from sobo_training.data.instances import held_out

#: How far ways are bent [rad].
ERRORS = (0.0, 0.003, 0.01, 0.03, 0.1)
ALONE = "alone"


def bent(plan: Plan, error: float, rng: np.random.Generator) -> Proposal:
    """A plan as a start that is off by so much, with the controls of the plan."""
    n = plan.U.shape[1]
    share = np.linspace(0.0, 1.0, len(plan.X))
    off: NDArray[np.float64] = rng.normal(size=(n, 3)) @ [np.sin(k * np.pi * share) / k for k in (1, 2, 3)]
    off *= error / np.sqrt((off**2).mean())
    X = plan.X.copy()
    X[:, :n] += off.T
    X[1:, n:] += np.gradient(off.T, plan.time[1], axis=0)[1:]
    assert plan.optimum is not None
    return Proposal("policy", Guess(X, plan.optimum.U), plan.cost, plan.duration, X[:, :n], in_cell=True)


def measure(scene: str, data: Path, instances: int) -> dict[str, dict[str, Any]]:
    """Means of iterations and time [ms] by error, and of the planner alone, over the instances that all solve."""
    task = task_in(scene, data)
    world, given, source = task.robot.world, Given(), held_out(task, 4)
    alone = Planner(task, None, PlanChecker(task), world=world, first_order=True)
    timed = Planner(task, None, PlanChecker(task), world=world)
    near = Planner(task, None, PlanChecker(task), world=world, starters=[given])
    rows, rng = [], np.random.default_rng(0)
    for number in range(instances):
        instance = source(number)[0]
        row = {}
        try:
            plan = alone.plan(instance.x0, instance.target)
            for name in (ALONE, *ERRORS):
                given.proposals = [] if name == ALONE else [bent(plan, float(name), rng)]
                began = time.thread_time()
                found = (timed if name == ALONE else near).plan(instance.x0, instance.target)
                row[str(name)] = found.iterations, 1e3 * (time.thread_time() - began)
        except SoboError:
            continue
        rows.append(row)
    means = {name: np.mean([row[name] for row in rows], axis=0) for name in rows[0]}
    return {
        name: {
            "iterations": each[0],
            "ms": each[1],
            "iterations_ratio": each[0] / means[ALONE][0],
            "ms_ratio": each[1] / means[ALONE][1],
            "instances": len(rows),
        }
        for name, each in means.items()
    }


def main() -> None:
    """Measures scene by scene."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES))
    parser.add_argument("--instances", type=int, default=50)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("SOBO_MBM_UR5"), required="SOBO_MBM_UR5" not in os.environ
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = {}
    for scene in options.scenes:
        found[scene] = measure(scene, Path(options.data), options.instances)
        print(scene, json.dumps(found[scene], indent=1), flush=True)
    if options.json is not None:
        write_json(options.json, {"machine": machine.describe(), "versions": machine.versions(), "scenes": found})


if __name__ == "__main__":
    main()
