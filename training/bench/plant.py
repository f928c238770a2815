"""Plans played on a plant that others wrote (`sobo_planner.plant`): how many bring the tool to its goal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sobo_planner.errors import PlantError, SoboError
from sobo_planner.planning import Plan, Planner
from sobo_planner.plant import Conditions, Execution, Interface, Plant, execute
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks.arm.timing import Pace
from sobo_training.bench.options import BenchOptions, NotMeasured
from sobo_training.data.instances import Stream, draw

if TYPE_CHECKING:
    from sobo_planner.tasks import ArmReach

#: Goals of the section of `sobo bench`.
GOALS = 10
#: Distance from the goal within which an arm has reached it [m].
NEAR = {Interface.EFFORT: 0.01, Interface.POSITION: 0.005}
#: What a joint may exceed its speed limit by: numbers are rounded, and controllers measure.
SPEED_TOLERANCE = 0.01


@dataclass(frozen=True)
class Row:
    """One plant and one controller.

    Attributes:
        name: What the table calls it.
        task: What is planned for, and what the controller knows.
        conditions: In what the plant differs from the task's robot.
        interface: What the controller commands.
        pace: Shares of the robot's speeds and accelerations that plans use.
    """

    name: str
    task: ArmReach
    conditions: Conditions = Conditions()
    interface: Interface = Interface.EFFORT
    pace: Pace = Pace()


class Plans:
    """Plans without a policy for held-out instances, made once for each task and pace.

    Args:
        goals: Number of instances.
        seed: Of the instances; their stream is that of `sobo evaluate`.
        progress: Called with what is iterated over and a title.
    """

    def __init__(self, goals: int, seed: int, progress: Callable[[Iterable[int], str], Iterable[int]]) -> None:
        self._goals, self._seed, self._progress = goals, seed, progress
        self._made: dict[tuple[ArmReach, Pace], tuple[list[Plan | None], dict[int, str]]] = {}

    def of(self, row: Row) -> tuple[list[Plan | None], dict[int, str]]:
        """The plans of a row's instances, None where there is none; and why, by the instance's number."""
        key = row.task, row.pace
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, task: ArmReach, pace: Pace) -> tuple[list[Plan | None], dict[int, str]]:
        planner, plans, reasons = Planner(task, checker=PlanChecker(task)), list[Plan | None](), dict[int, str]()
        for i in self._progress(range(self._goals), "plans"):
            instance, _ = draw(task, Stream.EVALUATE, self._seed, i)
            try:
                plans.append(planner.plan(instance.x0, instance.target, **vars(pace)))
            except SoboError as error:
                plans.append(None)
                reasons[i] = str(error)
        return plans, reasons

    def play(self, row: Row) -> dict[str, Any]:
        """Plays a row's plans.

        Returns:
            Counts over all goals, of which those without a plan are in none; medians and maxima over the plans:
            errors in m; speeds, the plans' torques and commanded ones as shares of the limits.

        Raises:
            PlantError: MuJoCo is not installed, or refuses the arm.
        """
        plant = Plant(row.task.robot, row.conditions)
        plans, reasons = self.of(row)
        known = [plan for plan in plans if plan is not None]
        found = [execute(row.task, known[i], plant, row.interface) for i in self._progress(range(len(known)), row.name)]
        return {"goals": len(plans), "reasons": reasons, **figures(row, known, found)}


def figures(row: Row, plans: list[Plan], found: list[Execution]) -> dict[str, Any]:
    """Counts, medians and maxima over a row's plans and what became of them."""
    near, limit = NEAR[row.interface], row.task.torque_limit
    names = ("final_error", "settled_error", "tracking_error", "speed_share", "torque_share")
    values = {name: [getattr(each, name) for each in found] for name in names}
    values |= {"plan_error": [plan.tool_error for plan in plans]}
    values |= {"plan_torque_share": [float((np.abs(plan.U) / limit).max()) for plan in plans]}
    return {
        "near": near,
        "reached": sum(max(each.final_error, each.settled_error) <= near for each in found),
        "within_speed": sum(each.speed_share <= 1.0 + SPEED_TOLERANCE for each in found),
        **{name: _middle_and_most(each) for name, each in values.items()},
    }


def _middle_and_most(values: list[float]) -> dict[str, float | None]:
    return {"median": float(np.median(values)) if values else None, "max": max(values, default=None)}


def measure(task: ArmReach, options: BenchOptions) -> dict[str, Any]:
    """A few goals on plants that have twice the friction, or a tenth more mass, than the task knows.

    Raises:
        NotMeasured: MuJoCo is not installed, or refuses the arm.
    """
    robot = task.robot
    damping, friction = tuple(2.0 * robot.damping), tuple(2.0 * robot.friction)
    hard = Conditions(damping, friction, mass_error=0.1, latency=0.005)
    rows = (
        Row("torques, as the task says", task),
        Row("torques, 10 % heavier", task, Conditions(mass_error=0.1)),
        Row("torques, 10 % heavier, twice the friction, 5 ms late", task, hard),
        Row("positions, 10 % heavier, twice the friction, 5 ms late", task, hard, Interface.POSITION),
    )
    plans = Plans(min(GOALS, options.instances), options.seed, lambda numbers, _: numbers)
    try:
        return {row.name: plans.play(row) for row in rows}
    except PlantError as error:
        raise NotMeasured(str(error)) from error


def table(played: dict[str, dict[str, Any]]) -> str:
    """Figures of rows as text; errors in mm."""
    head = ("", "at the goal", "of", "error T", "max", "T+1 s", "max", "tracking", "max", "speed", "torque")
    lines: list[tuple[str, ...]] = [head]
    for name, row in played.items():
        errors = (row[each] for each in ("final_error", "settled_error", "tracking_error"))
        millimetres = (_number(each[of], 1e3) for each in errors for of in ("median", "max"))
        shares = (_number(row[each]["max"], 1.0, 3) for each in ("speed_share", "torque_share"))
        lines.append((name, str(row["reached"]), str(row["goals"]), *millimetres, *shares))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    cells = [[cell.rjust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *others[1:]]) for line, others in zip(lines, cells, strict=True)
    )


def _number(value: float | None, scale: float, digits: int = 1) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
