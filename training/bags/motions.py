"""Motions from rest to rest, or from creeping to creeping, found in the positions of an arm while they are read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sobo_training.bags import rest
from sobo_training.bags.arm_states import Track
from sobo_training.bags.joint_states import Array
from sobo_training.bags.records import SECOND
from sobo_training.bags.rest import PAUSE

# A gap between two states longer than this [s] divides; a step back longer than this is a clock that was set.
GAP = 0.25
# Messages may be recorded this much later than others [s]; stamps that run ahead by more are of a clock that was set.
LATE = 1.0
# How much of its slow beginning and end [s] belongs to a motion.
EXTENDED = 0.5
# Where no joint moves farther [rad or m], there is no motion.
SMALLEST = 0.02
# A motion that lasts longer [s] is not one: a robot that is guided by hand, or follows a path without end.
LONGEST = 60.0
TOO_LONG = f"longer than {LONGEST:g} s without a pause"
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
        velocity: At the beginning, (n,): zero unless it crept or moved on.
    """

    begin: int
    end: int
    stamp: int
    time: Array
    position: Array
    velocity: Array

    @property
    def duration(self) -> float:
        """How long it took [s]."""
        return float(self.time[-1])

    def since(self, moment: int) -> Motion:
        """The part from a moment on [ns of the recording]."""
        passed = (moment - self.begin) / SECOND
        first = int(np.clip(np.searchsorted(self.time, passed), 0, len(self.time) - 2))
        shift = round(float(self.time[first]) * SECOND)
        time, position = self.time[first:] - self.time[first], self.position[first:]
        velocity = rest.velocity(time, position, 0)
        return Motion(self.begin + shift, self.end, self.stamp + shift, time, position, velocity)

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
        self._done = 0  # states of the carry that are accounted for, and only seen by the next ones

    def add(self, track: Track) -> None:
        """Adds the states that follow."""
        self._waiting.append(track)
        if sum(map(len, self._waiting)) >= BLOCK:
            self._work(final=False)

    def finish(self) -> None:
        """Says that no more states of this recording follow."""
        self._work(final=True)
        self._carry, self._done = None, 0

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
            self._carry = self._piece(piece, ends)

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
        jumps = (steps[places] <= 0.0) | (steps[places] - recorded[places] > LATE)
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
        speed = rest.speeds(time, piece.position)
        until = time[-1] - rest.CONTEXT
        for begin, end in rest.runs(time, rest.moving(piece.stamps, speed)):
            if end < self._done:
                continue
            if begin < self._done:  # the rest of a motion that is too long
                self._account("in motions that cannot be used", end + 1)
                continue
            if not ends and time[end] >= until:  # it may go on
                if until - time[begin] <= LONGEST:
                    until = time[begin] - EXTENDED
                    break
                self.unused[TOO_LONG] += 1
                self._account("in motions that cannot be used", end + 1)
                break
            self._motion(piece, time, speed, begin, end)
        if ends:
            self._account("at rest", len(piece))
            self._done = 0
            return None
        self._account("at rest", int(np.searchsorted(time, until)))
        first = int(np.searchsorted(time, time[min(self._done, len(time) - 1)] - rest.CONTEXT - EXTENDED))
        self._done -= first
        return piece.part(slice(first, None))

    def _account(self, what: str, until: int) -> None:
        """Says what became of the states that are not accounted for yet, up to one of them."""
        self.states[what] += max(until - self._done, 0)
        self._done = max(until, self._done)

    def _motion(self, piece: Track, time: Array, speed: Array, begin: int, end: int) -> None:
        """Takes up the motion between two states."""
        first, last = rest.extended(time, speed, begin, end, EXTENDED)
        first = max(first, self._done)
        self._account("at rest", first)
        cause = _objection(piece, time, begin, end, first, last)
        self._account("in motions" if cause is None else "in motions that cannot be used", last + 1)
        if cause is not None:
            self.unused[cause] += 1
            return
        rows = np.unique(np.linspace(first, last, min(KNOTS, last + 1 - first)).astype(np.int64))
        self.motions.append(
            Motion(
                int(piece.times[first]),
                int(piece.times[last]),
                int(piece.stamps[first]),
                time[rows] - time[first],
                piece.position[rows],
                rest.velocity(time, piece.position, first),
            )
        )


def _objection(piece: Track, time: Array, begin: int, end: int, first: int, last: int) -> str | None:
    """Why the motion between two states cannot be used, None if it can."""
    if time[last] - time[first] > LONGEST:
        return TOO_LONG
    if time[begin] - time[0] < PAUSE / 2:
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
