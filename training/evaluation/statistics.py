"""Summaries of per-instance figures, and their table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

#: Figures of a summary, in the order of the table's columns.
COLUMNS = ("mean", "median", "p90", "p99", "failures")
#: Samples of a bootstrap.
DRAWS = 4000


def summarise(values: Iterable[float | None], failures: int | None = None) -> dict[str, Any]:
    """Mean, median, 90th and 99th percentile of the known values.

    Args:
        values: One value an instance; None or a value that is not finite where there is none.
        failures: Number of failed instances; by default those without a value.

    Returns:
        `mean`, `median`, `p90`, `p99` (None if no value is known) and `failures`.
    """
    everything = list(values)
    known = [value for value in everything if value is not None and math.isfinite(value)]
    missing = len(everything) - len(known)
    summary: dict[str, Any] = dict.fromkeys(COLUMNS)
    if known:
        summary |= {
            "mean": float(np.mean(known)),
            "median": float(np.median(known)),
            "p90": float(np.percentile(known, 90)),
            "p99": float(np.percentile(known, 99)),
        }
    summary["failures"] = missing if failures is None else failures
    return summary


def paired_ratio(numerators: Sequence[float | None], denominators: Sequence[float | None]) -> dict[str, Any]:
    """Ratios on the instances where both sides have a value.

    Returns:
        The summary of the per-instance ratios, `ratio_of_means`, and `count`, the number of instances used.
    """
    pairs = [
        (a, b)
        for a, b in zip(numerators, denominators, strict=True)
        if a is not None and b is not None and math.isfinite(a) and math.isfinite(b) and b > 0
    ]
    summary = summarise([a / b for a, b in pairs], failures=len(numerators) - len(pairs))
    mean = float(np.mean([a for a, _ in pairs]) / np.mean([b for _, b in pairs])) if pairs else None
    return summary | {"ratio_of_means": mean, "count": len(pairs)}


def interval_of_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, float]:
    """Where the ratio of the means lies with 95 % certainty: a bootstrap over the pairs, always with the same draws.

    Args:
        numerators: Of each instance.
        denominators: Of the same instances; their sum is positive.
    """
    over, under = np.asarray(numerators, float), np.asarray(denominators, float)
    rows = np.random.default_rng(0).integers(len(over), size=(DRAWS, len(over)))
    sums = under[rows].sum(1)
    ratios = over[rows].sum(1) / np.where(sums > 0, sums, under.sum())
    low, high = np.percentile(ratios, (2.5, 97.5))
    return float(low), float(high)


def sign_test(wins: int, losses: int) -> float:
    """How likely so uneven a split of wins and losses is where both are equally likely (two-sided, exact)."""
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2.0 * tail / 2**n)


def number(value: float | int | None) -> str:
    """A figure as the table shows it."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def table(rows: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """Text table of summaries, one a line.

    Args:
        rows: Label and summary of each line; a summary of None values only leaves dashes.
    """
    cells = [["", *COLUMNS]]
    cells += [[label, *(number(summary.get(column)) for column in COLUMNS)] for label, summary in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS) + 1)]
    lines = []
    for line in cells:
        first = line[0].ljust(widths[0])
        others = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        lines.append("  ".join([first, *others]))
    return "\n".join(lines)
