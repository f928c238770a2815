"""The receding horizon on a plant that others wrote: the rows of plant.py with torques, replanned at 100 Hz.

    python benchmarks/plant_receding.py --goals 50 --seed 0 --json out/plant_receding.json

The planner works in simulated time: a cycle takes none, and its motion begins two periods later, as in the node. This
shows what the motions are worth, not whether a computer keeps up (`benchmarks/receding_horizon.py` does).
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plant import rows
from tqdm import tqdm

from sobo_planner.errors import SoboError
from sobo_planner.files import check_output, write_json
from sobo_planner.motion import Brakes, Followed
from sobo_planner.plant import Interface, Plant
from sobo_planner.plant.plant import Sensor
from sobo_planner.receding import RecedingPlanner
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Instance
from sobo_training.bench import machine
from sobo_training.bench.plant import Row
from sobo_training.data.instances import Stream, draw

Array = NDArray[np.float64]

STEP, PERIOD = 1e-3, 0.01  # of controller and planner [s]
LEAD = 2 * PERIOD
ARRIVED, SETTLED = 3.0, 4.0  # [s] after the goal came: the horizon is 2 s, and the last centimetre takes longer
NEAR = 0.01  # [m]
UNHURRIED = 1.0  # [s] that a cycle may take


def play(row: Row, instance: Instance) -> tuple[float, float]:
    """Distances of the tool to the goal [m] when the motion should have ended, and a second later."""
    task, n = row.task, row.task.nu
    checker, followed = PlanChecker(task), Followed()
    planner = RecedingPlanner(task, checker, Brakes(task, checker), followed, budget=UNHURRIED, propose_every=50)
    plant = Plant(task.robot, row.conditions)
    sensor, x, errors = Sensor(instance.x0, plant.conditions, STEP), instance.x0, []
    hold = task.robot.gravity(x[:n])
    late = plant.conditions.latency
    measured = x
    for k in range(round(SETTLED / STEP)):
        now = k * STEP
        if k % round(PERIOD / STEP) == 0:
            cycle = planner.cycle(measured, now - late, instance.target, now + LEAD)
            if cycle.motion is not None:
                followed.add(cycle.motion, now)
        measured, torque = sensor.measure(x), hold
        timeline = followed.timeline
        if timeline is not None and now >= timeline.at(now).begin:
            motion = timeline.at(now)
            stage = motion.stage(now)
            torque = motion.U[stage] + motion.K[stage] @ (measured - motion.state(now))
        x = plant.step(x, torque, STEP)
        errors.append(float(np.linalg.norm(plant.tool_position(x[:n]) - instance.target)))
    return errors[round(ARRIVED / STEP)], errors[-1]


def measure(row: Row, goals: int, seed: int) -> dict[str, Any]:
    """Figures of one row."""
    found, failed = [], 0
    for i in tqdm(range(goals), desc=row.name, leave=False):
        instance, _ = draw(row.task, Stream.EVALUATE, seed, i)
        try:
            found.append(play(row, instance))
        except SoboError:
            failed += 1
    errors = np.array(found)
    return {
        "goals": goals,
        "failed": failed,
        "reached": int((errors.max(axis=1) <= NEAR).sum()),
        "errors": errors.tolist(),
        "arrived_median": float(np.median(errors[:, 0])),
        "settled_median": float(np.median(errors[:, 1])),
        "settled_max": float(errors[:, 1].max()),
    }


def main() -> None:
    """Plays all rows, prints the table, stores the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", type=int, default=50, help="goals of each row")
    parser.add_argument("--seed", type=int, default=0, help="of the goals")
    parser.add_argument("--row", default="", help="only rows whose names contain this")
    parser.add_argument("--json", type=Path, help="file for the record")
    options = parser.parse_args()
    if options.json:
        check_output(options.json)
    found = {}
    print("| plant | within 1 cm after 3 and 4 s | mm, median | mm, max |")
    print("|---|---|---|---|")
    for row, _, _ in rows():
        if row.interface is not Interface.EFFORT or "payload" in row.name or options.row not in row.name:
            continue
        found[row.name] = each = measure(row, options.goals, options.seed)
        print(
            f"| {row.name} | {each['reached']} of {each['goals']} | {1e3 * each['settled_median']:.1f} "
            f"| {1e3 * each['settled_max']:.1f} |",
            flush=True,
        )
    if options.json:
        settings = {"goals": options.goals, "seed": options.seed, "mujoco": version("mujoco-core")}
        write_json(options.json, {"machine": machine.describe(), **settings, "rows": found})


if __name__ == "__main__":
    main()
