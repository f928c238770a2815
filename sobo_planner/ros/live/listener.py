"""Follows a planner node: what it publishes, and the arm that it plans for, as the viewer shows them."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory
from visualization_msgs.msg import MarkerArray

from sobo_planner.errors import RobotError
from sobo_planner.ros.inputs.joint_states import JointStateReader
from sobo_planner.ros.inputs.point_clouds import read_points
from sobo_planner.ros.inputs.state_topic import StateTopic
from sobo_planner.ros.inputs.world_topics import POINTS
from sobo_planner.ros.live.newest import LATCHED, SENSOR, Newest
from sobo_planner.ros.live.shown_markers import items_of_markers, text_of_markers, unchanged
from sobo_planner.ros.outputs.conversions import trajectory_arrays
from sobo_planner.ros.support.state_cdr import StateDecoder
from sobo_planner.ros.support.status import Refused
from sobo_planner.tasks import ArmReach
from sobo_planner.view.links import matrix
from sobo_planner.view.scene import EXECUTED, PLAN, Item
from sobo_planner.view.viewer import Viewer

Vector = NDArray[np.float64]

DRIVEN = 2000  # positions of the tool that are kept of the way that the arm has driven
STEP = 0.002  # between two of them at least [m]
MOST_POINTS = 20_000  # of a cloud that are shown
LINES = 0.2  # the ways are drawn so often at most [s]
THERE = 0.02  # of the end of the trajectory, where no pale arm is shown [rad or m]
SILENCE = 1.0  # without joint states that is told [s]


@dataclass(frozen=True)
class Followed:
    """The planner node that is shown.

    Attributes:
        name: Its full name, such as `/left/planner`.
        task: Its task.
        goal_type: `position`, `pose` or `joints`.
        tf_prefix: What stands before the names of joints and links.
        base_frame: Link in which reports give goals.
        sources: Topics that its world comes from.
    """

    name: str
    task: ArmReach
    goal_type: str
    tf_prefix: str
    base_frame: str
    sources: tuple[str, ...] = ()


class Listener:
    """Brings what a planner node publishes to a viewer, whenever `update` is called.

    Args:
        node: Owner of the subscriptions, in the planner's namespace.
        followed: The planner.
        viewer: Where it is shown.
    """

    def __init__(self, node: Node, followed: Followed, viewer: Viewer) -> None:
        self._followed, self._viewer, self._robot = followed, viewer, followed.task.robot
        self._states, self._decoder = StateTopic(node), StateDecoder()
        self._reader = JointStateReader(self._robot.joint_names, followed.tf_prefix)
        self._trajectories = Newest(node, JointTrajectory, "joint_trajectory")
        self._reports = Newest(node, String, "plan_report")
        self._markers = Newest(node, MarkerArray, f"{followed.name}/markers", LATCHED)
        self._clouds = Newest(node, PointCloud2, POINTS, SENSOR) if POINTS in followed.sources else None
        self._q = np.full(self._robot.nq, np.nan)
        self._last = np.full(self._robot.nq, np.nan)  # where the newest trajectory ends
        self._driven: deque[Vector] = deque(maxlen=DRIVEN)
        self._items: tuple[Item, ...] = ()
        self._goal: list[float] | None = None
        self._heard = self._drawn = time.monotonic()
        self._stale = False
        self._said: dict[str, str] = {}
        viewer.arm.show(False)  # until it is known where it is
        self._end = viewer.ghost("/planned", PLAN)
        self._end.show(False)
        self._text = viewer.server.gui.add_markdown("")
        self._label: Any = None

    def update(self) -> None:
        """Takes what has come in, and shows it."""
        self._take_states()
        if (trajectory := self._trajectories.take()) is not None:
            self._show_plan(trajectory)
        if (report := self._reports.take()) is not None:
            self._show_report(report.data)
        if (markers := self._markers.take()) is not None:
            self._show_world(markers)
        if self._clouds is not None and (cloud := self._clouds.take()) is not None:
            self._show_cloud(cloud)
        now = time.monotonic()
        if self._stale and now - self._drawn > LINES:
            self._viewer.show_way("/driven", np.array(self._driven), EXECUTED)
            self._drawn, self._stale = now, False
        silent = now - self._heard
        self._say("state", f"no joint states for {silent:.0f} s" if silent > SILENCE else "")
        text = "\n\n".join([f"**{self._followed.name}**, task {self._followed.task.name}", *self._said.values()])
        if text != self._text.content:
            self._text.content = text

    def _say(self, what: str, text: str) -> None:
        if text:
            self._said[what] = text
        else:
            self._said.pop(what, None)

    def _take_states(self) -> None:
        for data, _ in self._states.waiting():
            try:
                sample = self._reader.sample(self._decoder.read(data))
            except Refused as refusal:
                self._say("refused", f"joint states: {refusal.detail}")
                continue
            if sample is None:
                continue
            self._heard = time.monotonic()
            self._say("refused", "")
            self._q[sample.joints] = sample.q
            if np.isfinite(self._q).all():
                self._drive(self._robot.tool_position(self._q))
        if np.isfinite(self._q).all():
            self._viewer.arm.pose(self._q)
            self._viewer.arm.show(True)
            self._end.show(bool(np.abs(self._q - self._last).max() > THERE))  # what is not finite compares false

    def _drive(self, tool: Vector) -> None:
        if not self._driven or np.linalg.norm(tool - self._driven[-1]) > STEP:
            self._driven.append(np.asarray(tool))
            self._stale = True

    def _show_plan(self, message: JointTrajectory) -> None:
        try:
            _, states = trajectory_arrays(message, self._reader.names)
        except Refused as refusal:
            self._say("plan", f"joint_trajectory: {refusal.detail}")
            return
        self._say("plan", "")
        Q = np.ascontiguousarray(states[:, : self._robot.nq])
        self._viewer.show_way("/plan", np.asarray(self._robot.tool_positions(Q)), PLAN)
        self._last = Q[-1]
        self._end.pose(self._last)

    def _show_report(self, text: str) -> None:
        try:
            report = json.loads(text)
            goal, status = report.get("goal"), str(report["status"])
        except (ValueError, KeyError, AttributeError, TypeError):
            self._say("report", "plan_report: a message cannot be read")
            return
        refused = status == "refused"
        said = f"{report.get('reason')}: {report.get('detail')}" if refused else f"from {report.get('source')}"
        total = (report.get("phases_ms") or {}).get("total")
        self._say("report", f"{status}, {said}" + (f", {total:.0f} ms" if isinstance(total, float) else ""))
        if goal is None or refused or goal == self._goal:
            return
        try:
            values = np.asarray(goal, float)
            if self._followed.goal_type != "joints":
                values = self._robot.placement(self._followed.base_frame).goal(values)
            self._viewer.show_goal(values, self._followed.goal_type)
        except (ValueError, TypeError):
            self._say("report", f"plan_report: the goal {goal} cannot be read")
            return
        if self._goal is not None:  # the way to the goal before is over
            self._driven.clear()
            self._stale = True
        self._goal = goal

    def _show_world(self, message: MarkerArray) -> None:
        try:
            items = items_of_markers(self._robot, message, self._followed.tf_prefix)
        except RobotError as error:
            self._say("world", str(error))
            return
        self._say("world", "")
        self._items = unchanged(items, self._items)
        self._viewer.show_items(self._items)
        if self._label is not None:
            self._label.remove()
            self._label = None
        if (nearest := text_of_markers(message)) is not None:
            self._label = self._viewer.server.scene.add_label("/nearest", nearest[0], position=nearest[1])

    def _show_cloud(self, message: PointCloud2) -> None:
        """Markers leave clouds out. One in a frame that moves is not shown: the viewer does not listen to tf."""
        frame = message.header.frame_id.removeprefix(self._followed.tf_prefix)
        try:
            placement, points = self._robot.placement(frame), read_points(message)
        except (RobotError, Refused) as error:
            self._say("cloud", f"{POINTS}: {error}")
            return
        self._say("cloud", "")
        points = points[:: -(-len(points) // MOST_POINTS) or 1]
        placed = points @ matrix(placement).T + placement.position
        self._viewer.server.scene.add_point_cloud("/points", placed, colors=(150, 90, 40), point_size=0.006)
