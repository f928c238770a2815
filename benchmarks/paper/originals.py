"""The tasks as the papers have them, where ours have become others since."""

from __future__ import annotations

from typing import Any

from sobo_planner.tasks import load_task

# The papers' arm has torque limits, and no friction or limits on accelerations.
ORIGINAL: dict[str, dict[str, Any]] = {
    "ur5": {
        "problem.integrator": "semi_implicit_euler",
        "problem.terminal.position": 100.0,
        "problem.terminal.velocity": 1.0,
        "robot.damping": [0.0] * 6,
        "robot.friction": [0.0] * 6,
    }
}


def paper_task(name: str, **overrides: Any) -> Any:
    """A task as the papers have it.

    Args:
        name: A shipped task.
        overrides: Keys that differ, see `load_task`.
    """
    return load_task(name, **{**ORIGINAL.get(name, {}), **overrides})
