"""When an arm moves, and when it rests or creeps: controllers do not always bring arms to a complete rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_training.bags.joint_states import Array
from sobo_training.bags.records import SECOND, Times

# A joint moves where its position changes faster than this [rad/s or m/s] over this time [s].
REST_SPEED = 0.02
WINDOW = 0.05
# And faster than this share of the highest speed within so many parts of a second before and behind: less is creeping.
SLOW, PARTS, AROUND = 0.1, 4, 12
#: How far ahead [s] states have to be known before it is certain where a motion ends, and how much before it matters.
CONTEXT = (AROUND + 1) / PARTS
# Pauses shorter than this [s] are part of a motion.
PAUSE = 0.1


def speeds(time: Array, position: Array) -> Array:
    """Speed of the fastest joint behind each state, over `WINDOW` or to the next state, (N,)."""
    ahead = np.searchsorted(time, time + WINDOW)
    ahead = np.minimum(np.maximum(ahead, np.arange(len(time)) + 1), len(time) - 1)
    spans = np.maximum(time[ahead] - time, 0.5 * WINDOW)
    out: Array = np.abs(position[ahead] - position).max(axis=1) / spans
    return out


def velocity(time: Array, position: Array, i: int) -> Array:
    """Velocities behind state i, (n,); zero where the arm rests."""
    j = int(np.clip(np.searchsorted(time, time[i] + WINDOW), i + 1, len(time) - 1))
    out: Array = (position[j] - position[i]) / max(time[j] - time[i], 0.5 * WINDOW)
    return out if np.abs(out).max() > REST_SPEED else np.zeros_like(out)


def moving(stamps: Times, speed: Array) -> NDArray[np.bool_]:
    """Whether the arm moves behind each state: neither rests nor creeps, (N,)."""
    part = stamps // (SECOND // PARTS)
    part -= part[0]
    highest = np.zeros(int(part[-1]) + 1 + 2 * AROUND)
    np.maximum.at(highest, part + AROUND, speed)
    around = np.lib.stride_tricks.sliding_window_view(highest, 2 * AROUND + 1).max(axis=1)
    out: NDArray[np.bool_] = speed > np.maximum(REST_SPEED, SLOW * around[part])
    return out


def runs(time: Array, moves: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last state of each motion; short pauses are inside."""
    padded = np.concatenate([[False], moves, [False]])
    begins, ends = np.flatnonzero(padded[1:] & ~padded[:-1]), np.flatnonzero(~padded[1:] & padded[:-1])
    # The last state that moves does so up to the window's end.
    ends = np.minimum(np.searchsorted(time, time[np.maximum(ends - 1, 0)] + WINDOW), len(time) - 1)
    out: list[tuple[int, int]] = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if out and time[begin] - time[out[-1][1]] < PAUSE:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((begin, end))
    return out


def extended(time: Array, speed: Array, begin: int, end: int, most: float) -> tuple[int, int]:
    """A motion with its slow beginning and its slow end, each `most` [s] at most, and a little rest behind them."""
    first = int(np.searchsorted(time, time[begin] - most))
    still = np.flatnonzero(speed[first:begin] <= REST_SPEED)
    first = first if not len(still) else int(np.searchsorted(time, max(time[first + still[-1]] - PAUSE, time[first])))
    last = int(np.searchsorted(time, time[end] + most, side="right")) - 1
    still = np.flatnonzero(speed[end : last + 1] <= REST_SPEED)
    if len(still):
        last = int(np.searchsorted(time, min(time[end + still[0]] + PAUSE, time[last]), side="right")) - 1
    return first, last
