"""Motions from rest to rest, found in the positions of an arm while they are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_training.bags.arm_states import Track
from sobo_training.bags.joint_states import Array

SECOND = 1_000_000_000  # [ns]
# A joint moves where its position changes faster than this [rad/s or m/s] over this time [s].
REST_SPEED = 0.02
WINDOW = 0.05
# Pauses shorter than this [s] are part of a motion, which includes as much rest at both ends, too: it begins slowly.
PAUSE = 0.1
# A gap between two states longer than this [s] divides; a step back longer than this is a clock that was set.
GAP = 0.25
# Where no joint moves farther [rad or m], there is no motion.
SMALLEST = 0.02
# A motion that lasts longer [s] is not one: a robot that is guided by hand, or follows a path without end.
LONGEST = 60.0
# A state that is this far [rad or m] from those before and behind it is damaged.
SPIKE = 0.3
# Knots that are kept of a motion, and states that are looked at together.
KNOTS = 401
BLOCK = 4096


@dataclass(frozen=True)
class Motion:
    """What an arm did from rest to rest.

    Attributes:
        begin: When its beginning was recorded [ns].
        end: The same for its end.
        stamp: When its beginning was measured [ns].
        time: Of the positions, from the beginning [s], (N,).
        position: Positions, (N, n).
    """

    begin: int
    end: int
    stamp: int
    time: Array
    position: Array

    @property
    def duration(self) -> float:
        """How long it took [s]."""
        return float(self.time[-1])

    def at(self, shares: Array) -> Array:
        """Positions (M, n) after shares (M,) of the time."""
        moments = shares * self.duration
        return np.stack([np.interp(moments, self.time, joint) for joint in self.position.T], axis=1)


class MotionFinder:
    """Finds motions in states that come block by block; holds no more of them than the motion at hand needs.

    Attributes:
        motions: Those found so far.
        unused: Motions that cannot be used, by cause.
        states: What became of the states, by cause.
        clock_jumps: How often the clock of the stamps was set, forwards or back.
        gaps: How often states are missing.
    """

    def __init__(self) -> None:
        self.motions: list[Motion] = []
        self.unused: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.clock_jumps = self.gaps = 0
        self.history: list[tuple[int, Array]] = []  # a state every PAUSE, for goals that led to no motion
        self._waiting: list[Track] = []
        self._carry: Track | None = None
        self._rested = False  # whether the arm rested before what is carried

    def add(self, track: Track) -> None:
        """Adds the states that follow."""
        self._waiting.append(track)
        if sum(map(len, self._waiting)) >= BLOCK:
            self._work(final=False)

    def finish(self) -> None:
        """Says that no more states of this recording follow."""
        self._work(final=True)
        self._carry, self._rested = None, False

    def _work(self, final: bool) -> None:
        kept = [each for each in [self._carry, *self._waiting] if each is not None and len(each)]
        self._waiting = []
        if not kept:
            return
        carried = 0 if self._carry is None else len(self._carry)
        track = self._in_order(Track.join(kept), carried)
        self._remember(track.part(slice(carried, None)))
        edges = [0, *self._breaks(track), len(track)]
        for first, last in zip(edges, edges[1:], strict=False):
            piece, ends = track.part(slice(first, last)), last < len(track) or final
            rest = self._piece(piece, ends)
            self._carry = None if ends else rest
            self._rested = self._rested and not ends

    # ---------------------------------------------------------------- order and gaps

    def _in_order(self, track: Track, carried: int) -> Track:
        """Without states that are repeated, late or out of line; where the clock was set back, time begins anew."""
        keep = ~_out_of_line(track)
        keep[:carried] = True
        self.states["out of line with those around them"] += int((~keep).sum())
        track = track.part(keep)
        if (np.diff(track.stamps) > 0).all():
            return track
        keep, last = np.ones(len(track), bool), track.stamps[0]
        for i in range(1, len(track)):
            step = track.stamps[i] - last
            if -GAP * SECOND <= step <= 0:
                keep[i] = False
                self.states["repeated" if step == 0 else "out of order"] += 1
            else:
                last = track.stamps[i]
        return track.part(keep)

    def _breaks(self, track: Track) -> list[int]:
        """Where a state does not follow the one before."""
        steps, recorded = np.diff(track.stamps) / SECOND, np.diff(track.times) / SECOND
        places = np.flatnonzero((steps > GAP) | (steps <= 0.0))
        jumps = (steps[places] <= 0.0) | (recorded[places] < 0.5 * steps[places])
        self.clock_jumps += int(jumps.sum())
        self.gaps += int((~jumps).sum())
        return [int(place) + 1 for place in places]

    def _remember(self, track: Track) -> None:
        last = self.history[-1][0] if self.history else None
        for i in range(0, len(track), max(1, len(track) // 64)):
            time = int(track.times[i])
            if last is None or abs(time - last) >= PAUSE * SECOND:
                self.history.append((time, track.position[i].copy()))
                last = time

    # ---------------------------------------------------------------- motions

    def _piece(self, piece: Track, ends: bool) -> Track | None:
        """Finds the motions in states without a gap; returns those to be looked at again with what follows."""
        time = (piece.stamps - piece.stamps[0]) / SECOND
        settled = 0  # states before this one are done with
        for begin, end in _runs(time, _moving(time, piece.position)):
            open_end = not ends and time[-1] - time[end] <= 2.0 * PAUSE + WINDOW  # it may go on
            if open_end and time[-1] - time[begin] <= 2.0 * LONGEST:
                return self._later(piece, time, settled, time[begin] - 2.0 * PAUSE)
            settled = self._motion(piece, time, begin, end, settled)
            self._rested = not open_end
        if ends:
            self.states["at rest"] += len(piece) - settled
            return None
        return self._later(piece, time, settled, time[-1] - 4.0 * PAUSE)

    def _later(self, piece: Track, time: Array, settled: int, begin: float) -> Track:
        """The states from a time on; those before, from `settled` on, are at rest."""
        first = max(int(np.searchsorted(time, begin)), settled)
        self.states["at rest"] += first - settled
        self._rested = self._rested or first > settled
        return piece.part(slice(first, None))

    def _motion(self, piece: Track, time: Array, begin: int, end: int, settled: int) -> int:
        """Takes up the motion between two states; returns the state behind it."""
        first = max(int(np.searchsorted(time, time[begin] - PAUSE)), settled)
        last = min(int(np.searchsorted(time, time[end] + PAUSE, side="right")) - 1, len(time) - 1)
        self.states["at rest"] += first - settled
        cause = self._objection(piece, time, begin, end, first, last)
        self.states["in motions" if cause is None else "in motions that cannot be used"] += last + 1 - first
        if cause is not None:
            self.unused[cause] += 1
            return last + 1
        rows = np.unique(np.linspace(first, last, min(KNOTS, last + 1 - first)).astype(np.int64))
        self.motions.append(
            Motion(
                int(piece.times[first]),
                int(piece.times[last]),
                int(piece.stamps[first]),
                time[rows] - time[first],
                piece.position[rows],
            )
        )
        return last + 1

    def _objection(self, piece: Track, time: Array, begin: int, end: int, first: int, last: int) -> str | None:
        """Why the motion between two states cannot be used, None if it can."""
        if time[last] - time[first] > LONGEST:
            return f"longer than {LONGEST:g} s without a pause"
        if time[begin] - time[0] < PAUSE / 2 and not self._rested:
            return "the arm moves where the states begin"
        if time[-1] - time[end] < PAUSE / 2:
            return "the arm moves where the states end"
        if np.ptp(piece.position[first : last + 1], axis=0).max() < SMALLEST:
            return f"no joint moves by {SMALLEST:g}"
        return None


def _out_of_line(track: Track) -> NDArray[np.bool_]:
    """Single states whose stamp or position does not fit between those before and behind, which fit together, (N,)."""
    out = np.zeros(len(track), bool)
    if len(track) < 3:
        return out
    before, at, behind = track.stamps[:-2], track.stamps[1:-1], track.stamps[2:]
    together = (before < behind) & (behind - before <= GAP * SECOND)
    low, high = np.minimum(track.position[:-2], track.position[2:]), np.maximum(track.position[:-2], track.position[2:])
    spike = ((track.position[1:-1] < low - SPIKE) | (track.position[1:-1] > high + SPIKE)).any(axis=1)
    out[1:-1] = together & ((np.abs(at - before) > GAP * SECOND) | (spike & ((high - low) < SPIKE).all(axis=1)))
    return out


def _moving(time: Array, position: Array) -> NDArray[np.bool_]:
    """Whether a joint moves behind each state, over `WINDOW` or to the next state, (N,)."""
    ahead = np.searchsorted(time, time + WINDOW)
    ahead = np.minimum(np.maximum(ahead, np.arange(len(time)) + 1), len(time) - 1)
    spans = np.maximum(time[ahead] - time, 1e-9)
    moved = np.abs(position[ahead] - position).max(axis=1)
    out: NDArray[np.bool_] = moved > REST_SPEED * np.maximum(spans, 0.5 * WINDOW)
    return out


def _runs(time: Array, moving: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last state of each motion; short pauses are inside."""
    padded = np.concatenate([[False], moving, [False]])
    begins, ends = np.flatnonzero(padded[1:] & ~padded[:-1]), np.flatnonzero(~padded[1:] & padded[:-1])
    # The last state that moves does so up to the window's end.
    ends = np.minimum(np.searchsorted(time, time[np.maximum(ends - 1, 0)] + WINDOW), len(time) - 1)
    runs: list[tuple[int, int]] = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if runs and time[begin] - time[runs[-1][1]] < PAUSE:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((begin, end))
    return runs
