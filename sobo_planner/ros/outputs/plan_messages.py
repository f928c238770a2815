"""The messages of a plan, in CDR. What breaks a rule of the controller is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.motion import Motion
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.outputs.trajectory_rules import Rules, broken_rule, keeps_rules
from sobo_planner.ros.record import fast_cdr
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import Trajectory


@dataclass(frozen=True)
class PlanMessages:
    """What is published of a motion, its report aside.

    Attributes:
        trajectory, gains, feedforward: In CDR.
        checksums: Of each, by topic.
        as_message: The trajectory for an action's goal; None where it is not needed.
    """

    trajectory: bytes
    gains: bytes
    feedforward: bytes
    checksums: dict[str, Any]
    as_message: JointTrajectory | None


def plan_messages(
    points: Trajectory,
    motion: Motion,
    joint_names: Sequence[str],
    stamp: Time,
    values: Mapping[str, Any],
    as_message: bool,
) -> PlanMessages:
    """Makes the messages.

    Args:
        points: The motion's points, as they were checked.
        motion: The motion.
        joint_names: Joints as the controller knows them, prefix included.
        stamp: Of the trajectory.
        values: The node's parameters.
        as_message: Whether the trajectory is needed as a message, too.

    Raises:
        Refused: PLAN_REFUSED, the trajectory would break a rule of the controller.
    """
    effort, acceleration = values["publish_effort"], values["publish_acceleration"]
    rules = Rules(tuple(joint_names), effort, values["allow_nonzero_velocity_at_trajectory_end"])
    message = None
    if as_message or not keeps_rules(points, joint_names, stamp, effort, rules, acceleration):
        message = conversions.trajectory_message(points, joint_names, stamp, effort, acceleration)
        if broken := broken_rule(message, rules):
            raise Refused(Status.PLAN_REFUSED, f"the controller would not accept the trajectory: {broken}")
    # In CDR already, which is recorded, too: rclpy, which has the interpreter meanwhile, would take a millisecond.
    trajectory = fast_cdr.joint_trajectory(points, joint_names, (stamp.sec, stamp.nanosec), effort, acceleration)
    gains, gains_sum = conversions.gains_cdr(motion.K)
    feedforward, feedforward_sum = conversions.feedforward_cdr(motion.U)
    checksums = {
        "feedback_gains": gains_sum,
        "feedforward": feedforward_sum,
        "joint_trajectory": points.checksum,
    }
    return PlanMessages(trajectory, gains, feedforward, checksums, message)
