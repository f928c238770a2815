"""Plans of the UR5 on a plant that others wrote: MuJoCo, with friction, masses and latency that the plan does not know.

    python benchmarks/plant.py --goals 50 --seed 0 --json out/plant.json

Each goal is planned for without a policy and played from its start, in 1 kHz, until a second after the plan's end
(`sobo_planner.plant`). Takes two minutes. docs/controllers.md describes the two laws; `sobo bench` has a part of this.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sobo_planner.files import check_output, write_json
from sobo_planner.plant import Conditions, Interface
from sobo_planner.tasks import ArmReach, load_task
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.terminal import run_command
from sobo_training.bench import machine
from sobo_training.bench.plant import Plans, Row, table

Friction = dict[str, tuple[float, ...]]
LIGHT: Friction = {"damping": (2.0,) * 3 + (0.5,) * 3, "friction": (2.0,) * 3 + (0.5,) * 3}
HEAVY: Friction = {"damping": (10.0, 10.0, 6.0, 1.5, 1.5, 1.5), "friction": (8.0, 8.0, 6.0, 2.0, 2.0, 2.0)}
HARD: dict[str, Any] = {"mass_error": 0.1, "latency": 0.005}
PAYLOAD = 3.0  # [kg]
# Where a payload is not known, feedback needs some of the limits.
CAREFUL = Pace(velocity_scaling=0.95, acceleration_scaling=0.8)


def halves(friction: Friction) -> dict[str, list[float]]:
    """Overrides of a task file that knows half of a plant's friction."""
    return {f"robot.{name}": [0.5 * each for each in values] for name, values in friction.items()}


def loaded(task: ArmReach, mass: float) -> ArmReach:
    """The same task with a payload [kg] that it knows."""
    return ArmReach(task.config, task.robot.with_payload(mass))


Target = Callable[[dict[str, Any]], bool]


def reached(share: float) -> Target:
    """Whether a share of the goals was reached."""
    return lambda row: row["reached"] >= share * row["goals"]


def slow(row: dict[str, Any]) -> bool:
    """Whether no joint was more than 1 % faster than its limit, in any plan."""
    return row["within_speed"] == row["goals"]


def strong(row: dict[str, Any]) -> bool:
    """Whether all goals were reached, with plans within the torque limits."""
    return reached(1.0)(row) and row["plan_torque_share"]["max"] <= 1.0


def rows() -> list[tuple[Row, str, Target]]:
    """Rows, and what each is to reach."""
    heavy, light = load_task("ur5", **halves(HEAVY)), load_task("ur5", **halves(LIGHT))
    hard, soft = Conditions(**HEAVY, **HARD), Conditions(**LIGHT, **HARD)
    unknown = Conditions(payload=PAYLOAD)
    known = loaded(heavy, PAYLOAD)

    def accurate(row: dict[str, Any]) -> bool:
        return reached(1.0)(row) and row["tracking_error"]["median"] <= 0.008

    return [
        (Row("position, heavy friction, +10 %, 5 ms", heavy, hard, Interface.POSITION), "all", reached(1.0)),
        (Row("effort, nominal", heavy), "all, tracking 8 mm", accurate),
        (Row("effort, +10 %", heavy, Conditions(mass_error=0.1)), "all", reached(1.0)),
        (Row("effort, light friction, half known, +10 %, 5 ms", light, soft), "96 %", reached(0.96)),
        (Row("effort, heavy friction, half known, +10 %, 5 ms", heavy, hard), "90 %", reached(0.9)),
        (Row("effort, light friction, twice known, +10 %, 5 ms", heavy, soft), "90 %", reached(0.9)),
        (Row("effort, payload 3 kg, known", known, unknown), "all, plans within torques", strong),
        (Row("effort, payload 3 kg, unknown", heavy, unknown), "speed 1.01", slow),
        (Row("effort, payload 3 kg, unknown, slower", heavy, unknown, pace=CAREFUL), "speed 1.01", slow),
    ]


def progress(numbers: Iterable[int], title: str) -> Iterable[int]:
    """A bar for each row."""
    return tqdm(numbers, desc=title, leave=False)


def run(goals: int, seed: int, record: Path | None) -> int:
    """Plays all rows, prints the table, stores the record."""
    if record:
        check_output(record)
    plans = Plans(goals, seed, progress)
    found: dict[str, dict[str, Any]] = {}
    for row, target, met in rows():
        played = plans.play(row)
        found[row.name] = {**played, "target": target, "met": met(played)}
    print(table(found))
    print("\nErrors of the tool in mm, medians and maxima; tracking: on the way; speed, torque: shares of the limits.")
    for name, each in found.items():
        print(f"{'reached' if each['met'] else 'MISSED '}  {name}: {each['target']}")
        for number, reason in each["reasons"].items():
            print(f"         no plan for goal {number}: {reason}")
    if record:
        settings = {"goals": goals, "seed": seed, "mujoco": version("mujoco-core")}
        write_json(record, {"machine": machine.describe(), **settings, "rows": found})
    return 0


def main() -> int:
    """Command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goals", type=int, default=50, help="goals of each row")
    parser.add_argument("--seed", type=int, default=0, help="of the goals")
    parser.add_argument("--json", type=Path, help="file for the record")
    options = parser.parse_args()
    return run_command("plant", lambda: run(options.goals, options.seed, options.json))


if __name__ == "__main__":
    raise SystemExit(main())
