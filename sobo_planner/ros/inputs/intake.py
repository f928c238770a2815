"""The way of a joint state from its message to the inbox."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.joint_states import JointStateReader, JointStates
from sobo_planner.ros.support.state_cdr import Values
from sobo_planner.ros.support.status import Refused, Status


class StateIntake:
    """Reads joint states, merges them and leaves the arm's state in the inbox.

    Args:
        joint_names: The robot's joints.
        velocity_limit: Their largest speeds, (n,) [rad/s or m/s].
        tf_prefix: What the sender puts before each name.
        unbounded: Which joints turn without end, (n,), see `VelocityEstimator`.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        velocity_limit: NDArray[np.float64],
        tf_prefix: str = "",
        unbounded: NDArray[np.bool_] | None = None,
    ) -> None:
        self._reader = JointStateReader(joint_names, tf_prefix)
        self._states = JointStates(self._reader.names, velocity_limit, unbounded)
        self._of_others = 0

    def forget(self) -> None:
        """Drops what was measured before."""
        self._states.forget()

    def take(
        self, message: JointState, inbox: Inbox, ros: float, monotonic: float, oldest: float, ahead: float
    ) -> None:
        """Takes a message; the inbox then holds the latest state, or why there is none.

        Args:
            message: What came in.
            inbox: Where the state goes.
            ros: ROS time of the arrival [s].
            monotonic: Monotonic time of the arrival [s].
            oldest: Age [s] that a stamp may have.
            ahead: Time [s] by which a stamp may be ahead of ROS time.

        Raises:
            Refused: BAD_STATE, the message is malformed; STALE_STATE, its stamp is too old or ahead. The state that was
                there stays.
        """
        self._take(Values.of(message), inbox, ros, monotonic, oldest, ahead)

    def take_all(
        self,
        messages: Sequence[tuple[Values, float]],
        inbox: Inbox,
        ros: float,
        monotonic: float,
        oldest: float,
        ahead: float,
        refused: Callable[[Refused], None],
    ) -> None:
        """The same for messages that came in one after the other and waited.

        Where all is well with a message and the next one names the same joints, the next one is taken only.

        Args:
            messages: What the messages say, and for how long they waited [s].
            inbox: Where the state goes.
            ros: ROS time now [s].
            monotonic: Monotonic time now [s].
            oldest: Age [s] that a stamp may have.
            ahead: Time [s] by which a stamp may be ahead of ROS time.
            refused: Told what would be raised for each.
        """
        last: tuple[Values, float] | None = None
        whole = False  # the last one

        def take(values: Values, waited: float) -> None:
            try:
                self._take(values, inbox, ros - waited, monotonic - waited, oldest, ahead)
            except Refused as refusal:
                refused(refusal)

        for values, waited in messages:
            before, whole = whole, _is_whole(values)
            if last is not None and not (before and whole and self._superseded(last[0], values, ros - oldest, ros)):
                take(*last)
            last = values, waited
        if last is not None:
            take(*last)

    def _superseded(self, before: Values, after: Values, earliest: float, latest: float) -> bool:
        """Whether a message tells nothing that the next one does not, which has a stamp between two times [s].

        Both are whole.
        """
        return (
            after.names is before.names
            and max(self._states.newest, earliest, 1e-9) < before.stamp < after.stamp <= latest
            and self._reader.reads(before.names)
        )

    def _take(self, values: Values, inbox: Inbox, ros: float, monotonic: float, oldest: float, ahead: float) -> None:
        try:
            sample = self._reader.sample(values)
            if sample is None:
                self._of_others += 1
                if inbox.state is None and len(self._states.missing) == len(self._reader.names):
                    inbox.no_state = Refused(Status.NO_STATE, self._names_none(values.names))
                return
            state = self._states.add(sample, ros, monotonic, oldest, ahead)
        except Refused as refusal:
            stale = refusal.status is Status.STALE_STATE
            none = Refused(Status.NO_STATE, f"no valid joint state has come in yet; the last one: {refusal}")
            inbox.no_state = refusal if stale else none
            raise
        if state is None:
            inbox.drop_state()
            detail = f"no joint state has named {self._states.missing} yet; check `joint_states` and `tf_prefix`"
            inbox.no_state = Refused(Status.NO_STATE, detail)
        else:
            inbox.put_state(state.x, state.stamp, state.measured)

    def _names_none(self, found: list[str]) -> str:
        wanted = self._reader.names
        return f"no joint of {wanted} has come in yet; the last joint state names {found}; check `tf_prefix`"

    def counters(self, monotonic: float) -> dict[str, str]:
        """What the diagnostics say, at a monotonic time [s]."""
        joint, age = self._states.oldest_joint(monotonic)
        return {
            "states_without_velocity": str(self._reader.without_velocity),
            "states_out_of_order": str(self._states.out_of_order),
            "states_without_our_joints": str(self._of_others),
            "oldest_joint": f"{joint}: {age:.3f} s" if np.isfinite(age) else f"{joint}: never seen",
        }


def _is_whole(values: Values) -> bool:
    """Whether a message has a position and a velocity for each of its joints, all of them finite."""
    position, velocity = values.position, values.velocity
    return len(position) == len(velocity) == len(values.names) and math.isfinite(position.sum() + velocity.sum())
