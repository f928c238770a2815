"""Joint states: read by name, dated by their stamps, and merged joint by joint into the state of the arm.

No clock is looked at here: callers say what time it is.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.inputs.velocities import VelocityEstimator
from sobo_planner.ros.support.state_cdr import Values
from sobo_planner.ros.support.status import Refused, Status

Vector = NDArray[np.float64]
Indices = NDArray[np.intp]

# Samples whose positions are kept until a velocity has to be estimated.
RECENT = 100


@dataclass(frozen=True)
class Sample:
    """What one message says of our joints.

    Attributes:
        joints: Their indices in the robot's order, ascending, (k,).
        q: Positions, (k,) [rad or m].
        v: Velocities, (k,) [per s]; NaN where none was measured.
        stamp: ROS time of the measurement [s]; None: the sender gave none.
    """

    joints: Indices
    q: Vector
    v: Vector
    stamp: float | None


class JointStateReader:
    """Maps joint states by name onto the robot's joint order.

    Joints of others are ignored with their values, any order is accepted, and a message may leave joints of ours out.

    Args:
        joint_names: The robot's joints.
        tf_prefix: What the sender puts before each name.

    Attributes:
        names: The joints as the sender calls them.
        without_velocity: Messages read so far in which the velocity of a joint of ours is missing or NaN.
    """

    def __init__(self, joint_names: Sequence[str], tf_prefix: str = "") -> None:
        self.names = [tf_prefix + name for name in joint_names]
        self.without_velocity = 0
        # The order of names hardly ever changes from one message to the next: remember the last mapping.
        self._last: list[str] = []
        self._joints = self._columns = np.zeros(0, dtype=np.intp)

    def read(self, message: JointState) -> Sample | None:
        """Returns what the message says of our joints; None if it names none of them.

        Raises:
            Refused: BAD_STATE for a joint named twice, a size that disagrees with the names, a position that is not
                finite, an infinite velocity.
        """
        return self.sample(Values.of(message))

    def sample(self, values: Values) -> Sample | None:
        """The same for what a message says."""
        names, position, velocity, *_ = values
        self._map(names)
        if len(self._joints) == 0:
            return None
        q = self._column(position, "position", len(names))
        if not np.isfinite(q).all():
            raise Refused(Status.BAD_STATE, f"position not finite: {self._bad(q, ~np.isfinite(q))}")
        v = self._column(velocity, "velocity", len(names)) if len(velocity) else np.full(len(q), np.nan)
        if not np.isfinite(v).all():
            if np.isinf(v).any():
                raise Refused(Status.BAD_STATE, f"velocity infinite: {self._bad(v, np.isinf(v))}")
            self.without_velocity += bool(np.isnan(v).any())
        return Sample(self._joints, q, v, values.stamp or None)

    def reads(self, names: list[str]) -> bool:
        """Whether the last message had these names, joints of ours among them, each once."""
        return names is self._last and len(self._joints) > 0

    def _map(self, names: list[str]) -> None:
        """Finds our joints, and the columns of the message that hold their values."""
        if names == self._last:
            self._last = names
            return
        counts = Counter(names)
        duplicates = [name for name in self.names if counts[name] > 1]
        if duplicates:
            raise Refused(Status.BAD_STATE, f"joints named more than once: {duplicates}")
        self._joints = np.array([i for i, name in enumerate(self.names) if counts[name]], dtype=np.intp)
        self._columns = np.array([names.index(self.names[i]) for i in self._joints], dtype=np.intp)
        self._last = names

    def _column(self, data: Vector, field: str, count: int) -> Vector:
        if len(data) != count:
            raise Refused(Status.BAD_STATE, f"{count} names but {len(data)} values of {field}")
        return data[self._columns]

    def _bad(self, values: Vector, bad: NDArray[np.bool_]) -> dict[str, float]:
        return {self.names[i]: float(x) for i, x in zip(self._joints[bad], values[bad], strict=True)}


class JointStates:
    """The arm's state, from samples that need not hold all joints, nor come in the order in which they were measured.

    Each joint keeps its newest sample. A sample older than that is dropped and counted; one with the same stamp
    replaces it. The state is that of the joint whose sample is the oldest: the positions of the others are moved back
    to that time by their velocities. Where the senders of two groups of joints differ in rate, the state is taken when
    the slower group comes in: then the samples are closest together.

    Stamps are compared with ROS time: one older than `oldest`, or ahead by more than `ahead`, is refused. So no sample
    keeps later ones out for longer than `ahead`; when ROS time itself is set back further than that, all samples are
    dropped. A sample without a stamp was measured when it arrived, and so was one whose stamp is ahead.

    Args:
        names: The joints, for messages.
        velocity_limit: Their largest speeds, (n,) [rad/s or m/s].
        unbounded: Which of them turn without end, (n,), see `VelocityEstimator`.

    Attributes:
        out_of_order: Samples in which a joint was older than one that had come before.
        newest: The latest stamp of a sample [s]; minus infinity without one.
    """

    def __init__(
        self, names: Sequence[str], velocity_limit: Vector, unbounded: NDArray[np.bool_] | None = None
    ) -> None:
        self.out_of_order = 0
        self._names = list(names)
        self._limit = np.asarray(velocity_limit, float)
        self._velocities = VelocityEstimator(self._limit, unbounded)
        # Positions that the estimator does not know yet: velocities that are measured need no estimate.
        self._recent: deque[tuple[Indices, float, Vector]] = deque(maxlen=RECENT)
        self.forget()

    def forget(self) -> None:
        """Drops everything that was measured before."""
        n = len(self._names)
        self._q, self._v = np.zeros(n), np.zeros(n)
        self._newest = np.full(n, -np.inf)  # stamp as it was sent
        self._stamp = np.full(n, -np.inf)  # ROS time of the measurement
        self._measured = np.full(n, -np.inf)  # the same, monotonic
        self._velocities.forget()
        self._recent.clear()
        self._state: StampedState | None = None
        self._spread = 0.0
        self.newest = -math.inf

    @property
    def missing(self) -> list[str]:
        """Joints that no sample has come in for."""
        return [name for name, stamp in zip(self._names, self._newest, strict=True) if stamp == -np.inf]

    def oldest_joint(self, monotonic: float) -> tuple[str, float]:
        """The joint whose sample is the oldest, and its age [s] at a monotonic time [s]; infinite if there is none."""
        i = int(self._measured.argmin())
        return self._names[i], float(monotonic - self._measured[i])

    def add(self, sample: Sample, ros: float, monotonic: float, oldest: float, ahead: float) -> StampedState | None:
        """Takes a sample in. Returns the state of the arm as it is known now; None while a joint is missing.

        Args:
            sample: What came in.
            ros: ROS time of its arrival [s].
            monotonic: Monotonic time of its arrival [s].
            oldest: Age [s] that a stamp may have.
            ahead: Time [s] by which a stamp may be ahead of ROS time.

        Raises:
            Refused: STALE_STATE, the stamp is too old or ahead.
        """
        if self.newest > ros + ahead:  # ROS time was set back
            self.forget()
        sent = ros if sample.stamp is None else sample.stamp
        _check_stamp(ros - sent, oldest, ahead)
        joints, q, v = sample.joints, sample.q, sample.v
        if sent < self.newest:
            late = sent < self._newest[joints]
            self.out_of_order += bool(late.any())
            if late.all():
                return self._state
            joints, q, v = joints[~late], q[~late], v[~late]
        stamp = min(sent, ros)
        self._q[joints], self._v[joints] = q, self._known(joints, sent, q, v)
        self._newest[joints], self._stamp[joints] = sent, stamp
        self._measured[joints] = monotonic - (ros - stamp)
        self.newest = max(self.newest, sent)
        if len(joints) == len(self._q):  # the usual case: nothing is to be moved
            x = np.concatenate([self._q, self._v])
            self._state, self._spread = StampedState(x, float(self._measured[0]), stamp), 0.0
            return self._state
        return self._merged(ros - oldest)

    def _known(self, joints: Indices, stamp: float, q: Vector, v: Vector) -> Vector:
        """Velocities, those that were not measured (NaN) estimated."""
        self._recent.append((joints, stamp, q))
        if np.isfinite(v).all():
            return v
        estimate = np.zeros(0)
        while self._recent:
            estimate = self._velocities.update(*self._recent.popleft())
        return np.where(np.isnan(v), estimate, v)

    def _merged(self, earliest: float) -> StampedState | None:
        """The state; the one before while the samples cannot give a better one."""
        stamp = float(self._stamp.min())
        spread = float(self._stamp.max()) - stamp
        before = self._state
        if stamp < earliest:  # a joint is missing, or has not been heard of for long
            return before
        if before is not None and stamp <= before.stamp and spread > self._spread:
            return before
        speed = np.clip(self._v, -self._limit, self._limit)  # what is absurd is refused as a start, not multiplied
        x = np.concatenate([self._q - speed * (self._stamp - stamp), self._v])
        self._state, self._spread = StampedState(x, float(self._measured.min()), stamp), spread
        return self._state


def _check_stamp(age: float, oldest: float, ahead: float) -> None:
    """Refuses a stamp of that age [s]."""
    advice = "compare the clocks of robot and planner, and their use_sim_time"
    if age > oldest:
        detail = f"the stamp of a joint state is {age:.2f} s behind ROS time, allowed are {oldest:g} s (state_timeout)"
        raise Refused(Status.STALE_STATE, f"{detail}; {advice}")
    if -age > ahead:
        detail = f"the stamp of a joint state is {-age:.2f} s ahead of ROS time, allowed are {ahead:g} s (stamp_ahead)"
        raise Refused(Status.STALE_STATE, f"{detail}; {advice}")
