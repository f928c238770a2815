"""What became of the motions that cycles brought."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import Motion

Array = NDArray[np.float64]


class Drafts:
    """The motion of the last cycle and the last one that was published, with what they lead to.

    Attributes:
        latest: What the last cycle brought, published in time or not; None where the arm follows something else.
    """

    def __init__(self) -> None:
        self.latest: Motion | None = None
        self._leads_to: Array | None = None  # the latest
        self._published: Motion | None = None  # the last motion of ours that was published
        self._target: Array | None = None  # what that one leads to

    def add(self, motion: Motion, target: Array) -> None:
        """Takes the motion of a cycle."""
        self.latest, self._leads_to = motion, target

    def drop(self) -> None:
        """Forgets the latest: the arm will not come to where it begins."""
        self.latest = None

    def go_on(self, last: Motion | None) -> bool:
        """Whether the next cycle continues these motions, from the motion that was published last (None: not known).

        That is the latest; or the motion before, because the latest came too late to be published: then the next cycle
        starts from the latest all the same. Or it is somebody else's, such as a braking motion.
        """
        if last is not None and last is self.latest:
            self._published, self._target = last, self._leads_to
        elif last is None or last is not self._published:
            self.latest = self._target = None
            self._published = last
            return False
        return True

    def reach(self, target: Array) -> bool:
        """Whether a motion to a target was published."""
        return self._target is not None and np.array_equal(target, self._target)
