"""The status of a run as a table, and what follows from its curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Costs within this factor of a reference have reached it.
REACHED = 1.05


def calls_to_reach(entries: list[dict[str, Any]], cost: float) -> int | None:
    """Simulator calls after which the policy's mean cost is first within 5 % of a cost; None if it never is."""
    reached = [entry["calls"] for entry in entries if entry["cost"] is not None and entry["cost"] <= REACHED * cost]
    return reached[0] if reached else None


def render(status: Mapping[str, Any]) -> str:
    """The status as a table."""
    best = status["reference"]["best"]
    lines = [
        f"{status['task']}, {status['method']}; the solver alone: "
        f"{_number(status['reference']['interpolation'])} from interpolation, {_number(best)} from the best start",
        f"{'step':>5} {'calls':>9} {'cost':>9} {'over best':>9} {'|u - pi|':>9} {'iterations':>10}"
        "  not solved, diverged",
    ]
    for each in status["iterations"]:
        ratio = None if each["cost"] is None or not best else each["cost"] / best
        lines.append(
            f"{each['iteration']:>5} {each['calls']:>9} {_number(each['cost']):>9} {_number(ratio):>9} "
            f"{_number(each.get('residual')):>9} {_number(each.get('iterations')):>10}  "
            f"{len(each.get('kept', ()))}, {each['failed']}" + (f" ({each['reason']})" if each["reason"] else "")
        )
    if best:
        calls = calls_to_reach(status["iterations"], best)
        lines.append("not within 5 % of the best" if calls is None else f"within 5 % of the best after {calls} calls")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
