"""Notices when ROS time jumps: a simulation that was reset, or a system clock that was set."""

from __future__ import annotations

from collections import deque

# Time that ROS time may gain on the monotonic clock between two looks [s].
FORWARD = 1.0
# What it may gain in a second [s]: a simulation may run fast, and looks may be far apart where no joint states come.
FASTEST = 10.0
# Time that it may go back [s]: corrections of a synchronised clock.
BACKWARD = 0.05
# Time [s] within which ROS time that lagged may catch up: on a busy computer messages of a simulated clock arrive late.
CATCH_UP = 5.0


class ClockWatch:
    """Compares ROS time with the monotonic clock from one look to the next. Used by one thread at a time."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self._offsets: deque[tuple[float, float]] = deque()  # of ROS time, falling, and when they were seen

    def jump(self, ros: float, monotonic: float) -> float:
        """Returns by how much [s] ROS time jumped since the last look; 0 if it did not.

        Args:
            ros: ROS time [s].
            monotonic: Monotonic time [s].
        """
        last, self._last = self._last, (ros, monotonic)
        if last is None or last[0] == 0.0:  # simulated time is 0 until it begins, which is no jump
            self._note(ros, monotonic)
            return 0.0
        change, elapsed = ros - last[0], monotonic - last[1]
        if change < -BACKWARD:
            self._offsets.clear()
            self._note(ros, monotonic)
            return change
        ahead = self._offsets[0][0]  # the largest of the last seconds: up to there it only catches up
        self._note(ros, monotonic)
        return change - elapsed if ros - monotonic - ahead > max(FORWARD, FASTEST * elapsed) else 0.0

    def _note(self, ros: float, monotonic: float) -> None:
        """Keeps the offsets of the last seconds that no later one exceeds; the largest is the first."""
        offset = ros - monotonic
        while self._offsets and self._offsets[-1][0] <= offset:
            self._offsets.pop()
        self._offsets.append((offset, monotonic))
        while self._offsets[0][1] < monotonic - CATCH_UP:
            self._offsets.popleft()
