"""What the status of a run says about a finished iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sobo_training.data.collection import CollectSummary
from sobo_training.data.dataset import Dataset
from sobo_training.data.logged import IMPROVED
from sobo_training.interplay.verdicts import EVALUATIONS


def figures_of(
    summary: CollectSummary, data: Dataset, training: Mapping[str, Any], reports: Mapping[str, Any], logged: int
) -> dict[str, Any]:
    """Figures of the solutions collected, the training and the evaluations.

    Args:
        summary: What was collected.
        data: What was learned from: the logged solutions first, those collected last.
        training: The training's own summary.
        reports: The evaluations by file.
        logged: How many logged solutions there are.
    """
    own = data.select(slice(len(data) - summary.collected, None))
    return {
        "trajectories": summary.collected,
        "rejected": summary.rejected,
        "causes": summary.causes,
        "winners": {str(start): count for start, count in summary.winners.items()},
        "teacher": {"cost": float(own.cost.mean()), "iterations": float(own.iterations.mean())},
        "training": {name: value for name, value in training.items() if name != "minutes"},
        **_means(reports[EVALUATIONS[0]]),
        **({"logged": _on_logged(reports, data, logged)} if logged else {}),
    }


def _on_logged(reports: Mapping[str, Any], data: Dataset, count: int) -> dict[str, Any]:
    figures = {"trajectories": count, "improved": int((data.start[:count] == IMPROVED).sum())}
    report = reports.get(EVALUATIONS[1])
    return figures if report is None else figures | _means(report)


def _means(report: Mapping[str, Any]) -> dict[str, Any]:
    means = {group: {name: each["mean"] for name, each in report[group].items()} for group in ("cost", "iterations")}
    return means | {"success": report["success"]}
