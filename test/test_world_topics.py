"""Worlds on the topics of a node: whole or not at all, and no plan in half a world."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from builtin_interfaces.msg import Duration, Time
from cloud_messages import cloud
from geometry_msgs.msg import Point, Vector3
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from scene_messages import attached, ball, pose, scene
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from sobo_planner.errors import ConfigError
from sobo_planner.ros.inputs import planning_scenes
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.planning_scenes import Scenes
from sobo_planner.ros.inputs.world_topics import TOPICS, WorldIntake, topics_of
from sobo_planner.ros.inputs.worlds import Worlds
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.plan_once import PlanOnce
from sobo_planner.ros.serve.session import Session
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.node_parameters import PLANNER
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import World

NOW = 1000.0  # ROS time [s]
LINKS = ("base_link", "tool0")


class Heard:
    """An intake whose ROS time stands still, and what it refused."""

    def __init__(self, *topics: str, timeout: float = 10.0) -> None:
        self.refusals: list[Refused] = []
        self.values: dict[str, Any] = {"world_timeout": timeout, "stamp_ahead": 0.2}
        self.worlds = Worlds(World(), topics or TOPICS, lambda world: None)
        frames = GoalFrames("base_link")
        known = Scenes(frames, "base_link", "", LINKS)
        parts = (self.worlds, frames, known, 2.0, 0.02, self.values)
        self.intake = WorldIntake(*parts, lambda: NOW, self.refusals.append)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.worlds.seen.world.everything]

    def statuses(self) -> list[Status]:
        found = [refusal.status for refusal in self.refusals]
        self.refusals.clear()
        return found


def stamp(seconds: float) -> Time:
    return Time(sec=int(seconds), nanosec=round(1e9 * (seconds % 1.0)))


def cube(number: int, size: float = 0.1, at: tuple[float, float, float] = (0.5, 0.0, 0.5), **fields: Any) -> Marker:
    header = fields.pop("header", Header(frame_id="base_link"))
    made = Marker(
        ns="cell", id=number, type=Marker.CUBE, header=header, scale=Vector3(x=size, y=size, z=size), **fields
    )
    made.pose.position = Point(x=at[0], y=at[1], z=at[2])
    return made


def markers(*given: Marker) -> MarkerArray:
    return MarkerArray(markers=list(given))


def points(*given: tuple[float, float, float], at: float = 0.0, frame: str = "base_link") -> Any:
    message = cloud(np.array(given, float).reshape(-1, 3))
    message.header.frame_id, message.header.stamp = frame, stamp(at)
    return message


# ---------------------------------------------------------------- messages


def test_the_parameter_names_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    assert topics_of("") == () and topics_of(" points, obstacles,points ") == ("points", "obstacles")
    with pytest.raises(ConfigError, match="must name some of obstacles, planning_scene, points, got 'clouds'"):
        topics_of("clouds")
    monkeypatch.setattr(planning_scenes, "PlanningScene", None)
    with pytest.raises(ConfigError, match="needs moveit_msgs"):
        topics_of("planning_scene")
    monkeypatch.setattr(planning_scenes, "PlanningScene", object)
    assert topics_of("planning_scene") == ("planning_scene",)


def test_one_world_of_three_topics() -> None:
    heard = Heard()
    heard.intake.obstacles(markers(cube(1)))
    heard.intake.planning_scene(scene(ball("can"), held=(attached(ball("part", at=pose())),)))
    assert heard.worlds.seen.missing == ("points",)
    heard.intake.points(points((0.3, 0.3, 0.3), (9.0, 0.0, 0.0)))
    assert heard.names == ["can", "cell/1", "points", "part"] and heard.refusals == []
    assert heard.intake.values(time.monotonic())["points_resolution"] == "0.02"
    heard.intake.points(points((9.0, 0.0, 0.0)))  # out of reach
    assert heard.names == ["can", "cell/1", "part"]


def test_stamps_that_are_too_old_or_ahead_are_refused_and_the_world_stays() -> None:
    heard = Heard("obstacles", timeout=1.0)
    heard.intake.obstacles(markers(cube(1, header=Header(frame_id="base_link", stamp=stamp(NOW - 0.5)))))
    assert heard.names == ["cell/1"] and 0.5 <= heard.worlds.seen.age < 10.0
    for late in (NOW - 1.1, NOW + 0.3):
        heard.intake.obstacles(markers(cube(2), cube(3, header=Header(frame_id="base_link", stamp=stamp(late)))))
        assert heard.statuses() == [Status.STALE_WORLD] and heard.names == ["cell/1"]
    heard.intake.obstacles(markers(cube(4)))
    assert heard.statuses() == [Status.BAD_WORLD] and heard.names == ["cell/1"], "2 and 3 are in doubt"
    heard.values["world_timeout"] = 0.0
    heard.intake.obstacles(markers(cube(2), cube(3, header=Header(frame_id="base_link", stamp=stamp(NOW - 99.0)))))
    assert heard.statuses() == [] and heard.names == ["cell/1", "cell/2", "cell/3", "cell/4"]


def test_markers_expire_and_what_is_left_is_no_younger(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    heard = Heard("obstacles")
    heard.intake.obstacles(markers(cube(1, lifetime=Duration(sec=2)), cube(2)))
    for clock[0], names in ((51.9, ["cell/1", "cell/2"]), (52.1, ["cell/2"]), (53.0, ["cell/2"])):
        heard.intake.expire()
        assert heard.names == names and heard.worlds.seen.measured == 50.0
    version = heard.worlds.seen.world.version
    heard.intake.obstacles(markers())
    assert heard.names == ["cell/2"] and heard.worlds.seen.measured == 53.0
    assert heard.worlds.seen.world.version == version


def test_nothing_expires_while_what_comes_next_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [50.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    heard = Heard("obstacles")
    heard.intake.obstacles(markers(cube(1, lifetime=Duration(sec=2))))
    clock[0] = 51.0
    heard.intake.obstacles(markers(cube(2, 0.0, lifetime=Duration(sec=2))))
    clock[0] = 52.5
    heard.intake.expire()
    assert heard.names == ["cell/1"] and heard.worlds.seen.measured == 50.0
    heard.intake.obstacles(markers(cube(2, lifetime=Duration(sec=2))))
    assert heard.names == ["cell/2"]


def test_clouds_out_of_order_are_refused_and_sensors_do_not_replace_each_other() -> None:
    heard = Heard("points")
    heard.intake._frames._fixed["camera"] = heard.intake._frames.base  # type: ignore[index]
    heard.intake.points(points((0.3, 0.3, 0.3), at=NOW - 1.0))
    heard.intake.points(points((0.5, 0.3, 0.3), at=NOW - 2.0, frame="camera"))
    assert heard.names == ["points", "points/camera"] and heard.worlds.seen.age >= 2.0
    heard.intake.points(points(at=NOW - 1.5))
    assert heard.statuses() == [Status.STALE_WORLD] and heard.names == ["points", "points/camera"]
    heard.intake.points(points(at=NOW))
    assert heard.names == ["points/camera"]


def test_what_the_world_does_not_take_is_in_doubt() -> None:
    heard = Heard("obstacles", "planning_scene")
    heard.intake.planning_scene(scene(ball("cell/1")))
    heard.intake.obstacles(markers(cube(1), cube(2)))
    assert heard.statuses() == [Status.BAD_WORLD] and heard.names == ["cell/1"]
    heard.intake.obstacles(markers(cube(3)))
    assert heard.statuses() == [Status.BAD_WORLD] and heard.names == ["cell/1"]
    heard.intake.obstacles(markers(cube(1, action=Marker.DELETE), cube(2)))
    assert heard.statuses() == [] and heard.names == ["cell/1", "cell/2", "cell/3"]


def test_after_a_scene_that_was_refused_changes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard("planning_scene")
    heard.intake.planning_scene(scene(ball("can")))
    heard.intake.planning_scene(scene(ball("cup"), ball("mug", radius=-1.0), is_diff=True))
    heard.intake.planning_scene(scene(ball("pot"), is_diff=True))
    assert heard.statuses() == 2 * [Status.BAD_WORLD] and heard.names == ["can"]
    assert "radius" not in heard.worlds.problems["planning_scene"]
    heard.intake.planning_scene(scene(ball("pot")))
    assert heard.names == ["pot"] and heard.worlds.problems == {}


# ---------------------------------------------------------------- many messages


class Sender:
    """What a sender of markers means, and what may be believed of it: all of it, or what was believed before."""

    def __init__(self) -> None:
        self.meant: dict[int, float | None] = {}  # sizes by number; None: it was in a message that was damaged
        self.lost = False  # a damaged message deleted all
        self.believed: dict[int, float] = {}

    def send(self, chance: random.Random) -> MarkerArray:
        sent, damaged = [], chance.random() < 0.3
        for _ in range(chance.randrange(5)):
            number, size = chance.randrange(6), chance.choice([0.1, 0.2, 0.3])
            action = chance.choices([Marker.ADD, Marker.DELETE, Marker.DELETEALL], [6, 3, 1])[0]
            sent.append(cube(number, size, action=action))
        if damaged:
            sent.insert(chance.randrange(len(sent) + 1), self._damaged(chance))
        for marker in sent:
            if marker.action == Marker.DELETEALL:
                self.meant, self.lost = ({}, self.lost) if damaged else ({}, False)
            elif marker.action == Marker.DELETE:
                self.meant.pop(marker.id, None)
            else:
                self.meant[marker.id] = marker.scale.x
        if damaged:
            self.meant |= {marker.id: None for marker in sent if marker.action != Marker.DELETEALL}
            self.lost |= any(marker.action == Marker.DELETEALL for marker in sent)
        return markers(*sent)

    def believe(self) -> None:
        if not self.lost and None not in self.meant.values():
            self.believed = {number: size for number, size in self.meant.items() if size is not None}

    @staticmethod
    def _damaged(chance: random.Random) -> Marker:
        marker = cube(chance.randrange(6))
        fault = chance.randrange(5)
        if fault == 0:
            marker.pose.position.y = chance.choice([float("nan"), float("inf"), 1e300])
        elif fault == 1:
            marker.scale.z = chance.choice([0.0, -0.1, float("nan")])
        elif fault == 2:
            marker.header.frame_id = chance.choice(["", "map", "/base_link"])
        elif fault == 3:
            marker.type = Marker.ARROW
        else:
            marker.pose.orientation.w = 0.3
        return marker


@pytest.mark.parametrize("seed", range(4))
def test_the_world_is_what_was_sent_in_whole_or_what_it_was_before(seed: int) -> None:
    chance, heard, sender, changes = random.Random(seed), Heard("obstacles"), Sender(), 0
    for _ in range(500):
        before = heard.worlds.seen.world
        heard.intake.obstacles(sender.send(chance))
        sender.believe()
        objects = heard.worlds.seen.world.objects
        assert {
            int(each.name[5:]): each.parts[0].shape.to_dict()["box"]["size"][0] for each in objects
        } == sender.believed
        changes += heard.worlds.seen.world is not before
    assert changes > 20 and len(heard.refusals) > 100


# ---------------------------------------------------------------- plans


@dataclasses.dataclass
class Served:
    """A session with a server on this thread, and the reports of its plans."""

    session: Session
    values: dict[str, Any]
    node: Node
    reports: list[dict[str, Any]]
    server: PlanOnce
    home: np.ndarray

    @property
    def intake(self) -> WorldIntake:
        assert self.session.world_topics is not None
        return self.session.world_topics.intake

    def ask(self, goal: np.ndarray) -> dict[str, Any] | None:
        """The report of the plan for a goal; None if it was refused."""
        self.reports.clear()
        self.session.followed.forget()
        self.server.core.inbox.put_state(np.concatenate([self.home, np.zeros(6)]), 0.0)
        served = self.server.guarded(goal, lambda: self.server._serve(goal))
        return self.reports[-1] if served else None

    def count(self, status: Status) -> int:
        return int(self.server.core.ledger.values()[f"count_{status.value}"])


@pytest.fixture(scope="module")
def served(home: np.ndarray) -> Iterator[Served]:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = Node("worlds", context=context)
    given = {"policy": "none", "world_topics": "obstacles, points", "world_timeout": 60.0, "state_timeout": 60.0}
    values = {spec.name: spec.default for spec in PLANNER} | given | {"deadline": 60.0, "world_margin": 0.005}
    session = Session(node, values)
    assert session.world_topics is not None
    parts = (session.task, Inbox(), session.outputs, session.followed, Ledger(), session.brakes, values)
    said = {"info": print, "warn": print, "defect": print}
    core = Core(*parts, now=lambda: NOW, **said, worlds=session.world_topics.intake.worlds)  # type: ignore[arg-type]
    server = session.server(core)
    assert isinstance(server, PlanOnce)
    session.outputs.open()
    reports: list[dict[str, Any]] = []
    publish = session.outputs.publish
    session.outputs.publish = lambda *a, **k: reports.append(publish(*a, **k)) or reports[-1]  # type: ignore
    yield Served(session, values, node, reports, server, home)
    session.drop()
    node.destroy_node()
    context.try_shutdown()


def goal_of(served: Served) -> np.ndarray:
    return served.session.task.robot.tool_position(served.home + [0.8, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_plans_are_made_in_the_world_that_topics_say(served: Served) -> None:
    """None before all was heard, none in one that is too old; reports say which world it was."""
    goal = goal_of(served)
    assert served.ask(goal) is None and served.count(Status.NO_WORLD) == 1
    served.intake.points(points())
    assert served.ask(goal) is None and served.count(Status.NO_WORLD) == 2
    served.intake.obstacles(markers())
    empty = served.ask(goal)
    assert empty is not None and empty["world"]["objects"] == 0 and empty["world"]["distance"] is None
    middle = served.session.task.robot.tool_position(served.home + [0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
    served.intake.obstacles(markers(cube(1, 0.1, tuple(middle.tolist()))))
    around = served.ask(goal)
    seen = served.intake.worlds.seen
    assert around is not None and around["world"]["version"] == seen.world.version > empty["world"]["version"]
    assert around["world"]["objects"] == 1 and around["world"]["distance"] >= 0.005
    assert 0.0 <= around["world"]["age_s"] <= seen.age
    served.values["world_timeout"] = 1e-9
    assert served.ask(goal) is None and served.count(Status.STALE_WORLD) == 1
    served.values["world_timeout"] = 60.0


def test_a_plan_that_touches_something_in_the_newest_world_is_made_anew(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    goal = goal_of(served)
    served.intake.points(points())
    served.intake.obstacles(markers(Marker(action=Marker.DELETEALL)))
    middle = served.session.task.robot.tool_position(served.home + [0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
    planner, made = served.session._planner, []
    assert planner is not None
    plan = planner.plan

    def planned(*arguments: Any, **options: Any) -> Any:
        made.append(plan(*arguments, **options))
        served.intake.obstacles(markers(cube(1, 0.1, tuple(middle.tolist()))))
        return made[-1]

    monkeypatch.setattr(planner, "plan", planned)
    refused = served.count(Status.PLAN_REFUSED)
    report = served.ask(goal)
    assert report is not None and len(made) == 2 and served.count(Status.PLAN_REFUSED) == refused + 1
    assert report["world"]["version"] == served.intake.worlds.seen.world.version
    assert made[0].surroundings is None and report["world"]["objects"] == 1


def test_a_plan_is_checked_in_a_world_that_became_free_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.intake.points(points())
    served.intake.obstacles(markers(cube(1, 0.1, (0.0, 0.0, 1.8))))
    planner = served.session._planner
    assert planner is not None
    plan = planner.plan

    def planned(*arguments: Any, **options: Any) -> Any:
        found = plan(*arguments, **options)
        served.intake.obstacles(markers(cube(1, action=Marker.DELETE)))
        return found

    monkeypatch.setattr(planner, "plan", planned)
    report = served.ask(goal_of(served))
    assert report is not None and report["world"]["objects"] == 0


def test_messages_come_from_topics_of_the_node(served: Served) -> None:
    publisher = served.node.create_publisher(MarkerArray, "obstacles", 10)
    executor = SingleThreadedExecutor(context=served.node.context)
    executor.add_node(served.node)
    end = time.monotonic() + 20.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    publisher.publish(markers(Marker(action=Marker.DELETEALL), cube(77)))
    while not any(each.name == "cell/77" for each in served.intake.worlds.seen.world.objects):
        assert time.monotonic() < end, "it never came"
        executor.spin_once(timeout_sec=0.05)
    executor.remove_node(served.node)


def test_worlds_from_topics_need_plan_once(served: Served) -> None:
    with pytest.raises(ConfigError, match="world_topics needs mode plan_once, got 'receding_horizon'"):
        Session(served.node, served.values | {"mode": "receding_horizon"})
