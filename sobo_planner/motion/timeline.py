"""What the arm is meant to do over time, motion after motion."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion.motion import Motion

Array = NDArray[np.float64]

# Time for which it is known what the arm was to do [s]: measurements are never older.
HISTORY = 0.5


class Timeline:
    """What the arm is meant to do over time: each motion from its beginning to that of the next. Never changes.

    Args:
        motion: What is followed from its beginning on, and before it as far as nothing else is known.
    """

    def __init__(self, motion: Motion) -> None:
        self._motions: tuple[Motion, ...] = (motion,)

    @property
    def last(self) -> Motion:
        """The motion that was added last."""
        return self._motions[-1]

    @property
    def end(self) -> float:
        """Time of the last state of all [s]; the arm stays there."""
        return self.last.end

    def then(self, motion: Motion, now: float) -> Timeline:
        """This timeline with another motion from its beginning on; what was over `HISTORY` before now is dropped."""
        kept = [each for each in self._motions if each.begin < motion.begin]
        while len(kept) > 1 and kept[1].begin < now - HISTORY:
            kept.pop(0)
        out = Timeline(motion)
        out._motions = (*kept, motion)
        return out

    def shifted(self, seconds: float) -> Timeline:
        """The same motions on a clock that was set forward by so much [s]."""
        out = Timeline(self.last)
        out._motions = tuple(replace(motion, begin=motion.begin + seconds) for motion in self._motions)
        return out

    def at(self, time: float) -> Motion:
        """The motion that is followed at a time [s]."""
        for motion in reversed(self._motions):
            if motion.begin <= time:
                return motion
        return self._motions[0]

    def state(self, time: float) -> Array:
        """Desired state (2n,) at a time [s]."""
        return self.at(time).state(time)

    def commands(self, times: Array) -> tuple[Array, Array, Array]:
        """Desired states (N, 2n), torques (N, n) and gains (N, n, 2n) at increasing times (N,) [s]."""
        begins = [motion.begin for motion in self._motions[1:]]  # the first one also holds before its beginning
        which = np.searchsorted(begins, times, side="right")
        if len(times) and which[0] == which[-1]:
            motion, stages = self._motions[which[0]], self._motions[which[0]].stages(times)
            return motion.states(times), motion.U[stages], motion.K[stages]
        parts = []
        for i in np.unique(which):
            motion, part = self._motions[i], times[which == i]
            stages = motion.stages(part)
            parts.append((motion.states(part), motion.U[stages], motion.K[stages]))
        if not parts:
            last = self.last
            return last.X[:0], last.U[:0], last.K[:0]
        X, U, K = (np.concatenate(each) for each in zip(*parts, strict=True))
        return X, U, K


class Followed:
    """The one record of what the arm follows: whoever publishes a motion adds it, whoever plans looks here.

    Thread-safe: what `timeline` returns never changes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timeline: Timeline | None = None

    @property
    def timeline(self) -> Timeline | None:
        """What was published, on ROS time; None while nothing is known."""
        with self._lock:
            return self._timeline

    def add(self, motion: Motion, now: float) -> None:
        """Records that a motion is published at a time [s]: the arm follows it from its beginning on."""
        with self._lock:
            self._timeline = Timeline(motion) if self._timeline is None else self._timeline.then(motion, now)

    def forget(self) -> None:
        """Drops all motions: nothing is known any more."""
        with self._lock:
            self._timeline = None

    def shift(self, seconds: float) -> None:
        """The clock was set forward by so much [s]; the arm has gone on as before."""
        with self._lock:
            if self._timeline is not None:
                self._timeline = self._timeline.shifted(seconds)
