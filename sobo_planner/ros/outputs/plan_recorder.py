"""What is recorded of plans and refusals: their messages, their world, and the parameters that a plan depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builtin_interfaces.msg import Time

from sobo_planner.motion import Motion
from sobo_planner.robot import Robot
from sobo_planner.ros.outputs.plan_messages import PlanMessages
from sobo_planner.ros.record.plans import Published
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.record.worlds import Surrounding
from sobo_planner.tasks import ArmReach
from sobo_planner.world import World

# Parameters that a plan depends on.
RECORDED = ("goal_type", "velocity_scaling", "acceleration_scaling", "payload_mass", "payload_centre")


class PlanRecorder:
    """Hands what was published to a recording.

    Args:
        recording: Takes it.
        robot: The arm, in the node's own world.
        values: The node's parameters.
        world: Gives what surrounds the arm as far as it is known; None: nobody does.
    """

    def __init__(
        self, recording: Recording, robot: Robot, values: Mapping[str, Any], world: Callable[[], World] | None
    ) -> None:
        self._recording, self._robot, self._values, self._world = recording, robot, values, world

    def plan(
        self,
        plan_id: int,
        told: bytes,
        stamp: Time,
        lead: float,
        motion: Motion,
        messages: PlanMessages,
        details: Mapping[str, Any],
        among: ArmReach | None,
    ) -> None:
        """Records a plan.

        Args:
            plan_id: Its number.
            told: Its report, as it was published.
            stamp: Of its messages.
            lead: When it begins after the stamp [s].
            motion: The motion.
            messages: As they were published.
            details: What it was planned for, and in which world.
            among: The task in the world that it was checked in; None: the node's own.
        """
        around, version = self._around(details, among)
        context = {name: self._values[name] for name in RECORDED} | {"goal": details.get("goal")}
        if version is not None:
            context["world_version"] = version
        published = Published(plan_id, stamp, lead, motion, messages.trajectory, context)
        others = {"feedback_gains": messages.gains, "feedforward": messages.feedforward, "plan_report": told}
        self._recording.plan(published, others, around)

    def refusal(self, told: bytes) -> None:
        """Records a refusal, with what surrounds the arm as far as it is known."""
        self._recording.refusal(told, self._known())

    def note(self, role: str, message: Any) -> None:
        """Records a message of another topic."""
        self._recording.note(role, message)

    def _around(self, details: Mapping[str, Any], among: ArmReach | None) -> tuple[Surrounding | None, int | None]:
        """The world of a motion, None where it was checked in another one, and its version; None without objects."""
        robot = self._robot if among is None else among.robot
        version = details.get("world", {}).get("version")
        if version is None and not robot.world.everything:
            return None, None
        made_here = version in (None, robot.world.version)
        return (Surrounding(robot.world, robot.margin) if made_here else None), version or robot.world.version

    def _known(self) -> Surrounding | None:
        """What surrounds the arm as far as it is known; None for a node without a world."""
        world = None if self._world is None else self._world()
        if world is None or not (world.everything or self._values["world_topics"]):
            return None
        return Surrounding(world, self._values["world_margin"])
