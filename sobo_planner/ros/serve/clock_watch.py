"""Notices when ROS time jumps: a simulation that was reset, or a system clock that was set."""

from __future__ import annotations

# Time that ROS time may gain on the monotonic clock between two looks [s].
FORWARD = 1.0
# What it may gain in a second [s]: a simulation may run fast, and in mode `plan_once` looks are far apart.
FASTEST = 10.0
# Time that it may go back [s]: corrections of a synchronised clock.
BACKWARD = 0.05


class ClockWatch:
    """Compares ROS time with the monotonic clock from one look to the next."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def jump(self, ros: float, monotonic: float) -> float:
        """Returns by how much [s] ROS time jumped since the last look; 0 if it did not.

        Args:
            ros: ROS time [s].
            monotonic: Monotonic time [s].
        """
        last, self._last = self._last, (ros, monotonic)
        if last is None:
            return 0.0
        change, elapsed = ros - last[0], monotonic - last[1]
        if change < -BACKWARD:
            return change
        gained = change - elapsed
        return gained if gained > max(FORWARD, FASTEST * elapsed) else 0.0
