"""Everything that configuring the planner node makes, and that cleaning up drops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import String

from sobo_planner.errors import ConfigError, RobotError, SoboError
from sobo_planner.motion import Brakes, Followed
from sobo_planner.planning.planner import Planner
from sobo_planner.receding import RecedingPlanner
from sobo_planner.receding.proposer import Proposer
from sobo_planner.robot.reach import reach
from sobo_planner.robot.urdf import parse
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.intake import StateIntake
from sobo_planner.ros.inputs.planning_scenes import Scenes
from sobo_planner.ros.inputs.world_topics import WorldIntake, WorldTopics, topics_of
from sobo_planner.ros.inputs.worlds import Worlds
from sobo_planner.ros.outputs.execution import Execution
from sobo_planner.ros.outputs.plan_outputs import PlanOutputs
from sobo_planner.ros.outputs.scene_markers import SceneMarkers
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.record.topics import description
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.plan_once import PlanOnce
from sobo_planner.ros.serve.policy_source import open_policy
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.support import node_parameters
from sobo_planner.ros.support.status import Refused
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach, load_arm
from sobo_planner.tasks.arm.commands import Gains
from sobo_planner.tasks.arm.instances import GOAL_TYPES
from sobo_planner.world import World, read_world

# Share of its period that a cycle waits for its solve, with what comes before; the rest is for checks and messages.
BUDGET_SHARE = 0.2
# Points further from the root link than this [m] do not matter, however far an arm on a rail may reach.
FARTHEST_POINT = 100.0


class Session:
    """Task, policy, checks, publishers and readers of a configured node.

    Args:
        node: The node.
        values: Its parameters; those that may change are looked up when they are needed.
        report: Publisher of reports, which the node keeps; None: one of their own for the outputs.
        note: Told what went wrong with a trajectory that a controller executes.
        recording: Records what is published; it is the node's.

    Attributes:
        task: The task, for the type of goals that the node takes.
        policy_problem: Why plans are made without a policy though none was asked for; empty otherwise.
        outputs: Publishers.
        states: Reads joint states.
        frames: Brings goals into the base frame.
        joint_names: The joints as the controller knows them, prefix included.
        markers: Shows the world and the motion in RViz.
        world_topics: Where the world comes from; None where it comes from no topic.

    Raises:
        SoboError: A parameter, the task, its robot or the policy cannot be used, naming which.
    """

    def __init__(
        self,
        node: Node,
        values: Mapping[str, Any],
        report: Publisher[String] | None = None,
        note: Callable[[Refused], None] = lambda refusal: None,
        recording: Recording | None = None,
    ) -> None:
        self._values = values
        self._mode = _one_of(values, "mode", node_parameters.PLAN_ONCE, node_parameters.RECEDING_HORIZON)
        goal_type = _one_of(values, "goal_type", *GOAL_TYPES)
        task = load_arm(values["task"])
        self._policy, policy_name, self.policy_problem = open_policy(values["policy"], task, values["engines"])
        topics = topics_of(values["world_topics"])
        if values["world"]:
            world = read_world(Path(values["world"]), task.robot.root_link)
            task = task.with_world(world, values["world_margin"])
        self.task: ArmReach = task if goal_type == node_parameters.POSITION else task.with_goal_type(goal_type)
        self.task.check_payload(values["payload_mass"], values["payload_centre"])
        self.task.robot.carry(values["payload_mass"], values["payload_centre"])
        base_frame = values["base_frame"] or task.config.robot.base_frame or task.robot.root_link
        try:
            base = task.robot.placement(base_frame)
        except RobotError as error:
            raise ConfigError(f"the parameter base_frame: {error}") from error
        self.checker = PlanChecker(
            task,
            joint_box=_joint_box(values["joint_box"], task.nu),
            tool_box=_tool_box(values["tool_box"]),
            box_frame=base,
        )
        self._gains = Gains(_one_of(values, "gains", node_parameters.TRACKING, node_parameters.TASK_GAINS))
        prefix = values["tf_prefix"]
        self.joint_names = [prefix + name for name in task.robot.joint_names]
        self.states = StateIntake(task.robot.joint_names, task.robot.velocity_limit, prefix, task.robot.unbounded)
        self.followed = Followed()
        # The watchdog's are its own: a planning thread that hangs may hold the others.
        self.brakes, self.watchdog_brakes = Brakes(task, self.checker), Brakes(task, self.checker)
        self._planner = None
        if self._mode == node_parameters.PLAN_ONCE:
            margin = values["world_margin"]
            recorded = bool(values["record"])  # with what policies learn from
            self._planner = Planner(
                self.task, self._policy, self.checker, gains=self._gains, first_order=recorded, margin=margin
            )
            self._planner.prepare(goal_type)
        self.policy_name = policy_name
        self._proposer: Proposer | None = None
        executes = _one_of(values, "execute", node_parameters.TOPIC, node_parameters.ACTION) == node_parameters.ACTION
        # Last, what the node holds: nothing is left of a session that cannot be made.
        fixed = {prefix + link: placement for link, placement in task.robot.fixed_links.items()}
        self.frames = GoalFrames.listening(node, prefix + base_frame, fixed)
        self.outputs = PlanOutputs(
            node,
            task.robot,
            self.checker,
            self.followed,
            self.joint_names,
            policy_name,
            values,
            report,
            base,
            Execution.of(node, note) if executes else None,
            recording,
            self._world,
        )
        self._base_frame, self._base = base_frame, base
        heard = (lambda role, message: None) if recording is None else recording.note
        self.world_topics = WorldTopics(node, self._intake(topics, node, note), heard) if topics else None
        self.markers = SceneMarkers(
            node, self.task.robot, self.followed, self._world, values["world_margin"], values["tf_prefix"]
        )

    def _world(self) -> World:
        """What surrounds the arm, as far as it is known now."""
        return self.task.robot.world if self.world_topics is None else self.world_topics.intake.worlds.seen.world

    def _intake(self, topics: Sequence[str], node: Node, note: Callable[[Refused], None]) -> WorldIntake:
        """What takes in worlds from topics."""
        robot, values = self.task.robot, self._values
        margin, description = values["world_margin"], robot.description
        urdf = parse(description.text)
        links = [link.get("name", "") for link in urdf.iterfind("link")]
        return WorldIntake(
            Worlds(robot.world, topics, lambda world: robot.with_world(world, margin)),
            self.frames,
            Scenes(self.frames, robot.root_link, values["tf_prefix"], links),
            min(reach(urdf, description.locked) + margin, FARTHEST_POINT),
            values["points_resolution"],
            values,
            lambda: 1e-9 * node.get_clock().now().nanoseconds,
            note,
        )

    def description(self) -> dict[str, Any]:
        """What a recording says of the task and of how the node is configured."""
        task, values, names = self.task, self._values, self.joint_names
        return description(task, values, names, self._base_frame, self._base, self.policy_name)

    def objection(self, values: Mapping[str, Any]) -> str:
        """What stands against new values of parameters; empty if nothing does."""
        new = {**self._values, **values}
        try:
            self.task.check_payload(new["payload_mass"], new["payload_centre"])
        except SoboError as error:
            return str(error)
        return ""

    def take(self, values: Mapping[str, Any]) -> None:
        """Takes over what changed of the parameters."""
        if not values.keys().isdisjoint(("payload_mass", "payload_centre")):
            self.task.robot.carry(self._values["payload_mass"], self._values["payload_centre"])

    def server(self, core: Core) -> Server:
        """The server of the node's mode; `close` ends what it started."""
        if self._planner is not None:
            return PlanOnce(core, self._planner)
        period = 1.0 / self._values["rate"]
        proposes = self._policy is not None and self.task.goal_type != node_parameters.JOINTS
        self._proposer = Proposer(self.task, self._policy) if self._policy is not None and proposes else None
        planner = RecedingPlanner(
            self.task,
            self.checker,
            self.brakes,
            self.followed,
            self._proposer,
            budget=BUDGET_SHARE * period,
            propose_every=self._values["propose_every"],
            gains=self._gains,
            margin=self._values["world_margin"],
        )
        return RecedingHorizon(core, planner, self._proposer, self._values["rate"])

    def drop(self) -> None:
        """Takes back from the node what was made for the session: publishers, and the subscriptions to transforms."""
        try:
            self.outputs.destroy()
        finally:
            try:
                self.markers.destroy()
                if self.world_topics is not None:
                    self.world_topics.close()
                self.frames.close()
            finally:
                self.close()

    def close(self) -> None:
        """Ends the policy's thread."""
        if self._proposer is not None:
            self._proposer.close()
            self._proposer = None


def _one_of(values: Mapping[str, Any], name: str, *allowed: str) -> str:
    value: str = values[name]
    if value not in allowed:
        raise ConfigError(f"the parameter {name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _joint_box(numbers: Any, n: int) -> tuple[Any, Any] | None:
    """Lower and upper bounds from [lower 1, upper 1, lower 2, ...]."""
    if len(numbers) == 0:
        return None
    if len(numbers) != 2 * n:
        raise ConfigError(f"the parameter joint_box needs {2 * n} numbers, two for each joint, got {len(numbers)}")
    pairs = np.reshape(np.asarray(numbers, float), (n, 2))
    return pairs[:, 0], pairs[:, 1]


def _tool_box(numbers: Any) -> tuple[Any, Any] | None:
    """Lower and upper corner from [x, y, z lower, x, y, z upper]."""
    if len(numbers) == 0:
        return None
    if len(numbers) != 6:
        raise ConfigError(f"the parameter tool_box needs 6 numbers, lower and upper corner, got {len(numbers)}")
    return numbers[:3], numbers[3:]
