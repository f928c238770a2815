"""Plans in worlds that come from topics: none before all of it is known, none in one that is old or has changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from builtin_interfaces.msg import Duration
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from visualization_msgs.msg import Marker, MarkerArray
from world_messages import cube, markers, points
from world_session import Served, served_session

from sobo_planner.ros.inputs.world_topics import WorldTopics
from sobo_planner.ros.planner_node import PlannerNode
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.status import Refused, Status


@pytest.fixture(scope="module")
def served(home: np.ndarray) -> Iterator[Served]:
    with served_session(home, world_topics="obstacles, points") as served:
        yield served


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


def test_an_arm_that_touches_something_leaves_it_and_the_report_says_so(served: Served) -> None:
    """A cube in the wrist, 1 cm deep: from below, so that the way to the goal is free."""
    robot = served.session.task.robot
    x, y, z = robot.frame_position(served.home, "wrist_1_link").tolist()
    served.intake.points(points())
    for by in np.arange(0.3, 0.0, -0.002):
        around = cube(1, 0.1, (x, y, z + float(by)))
        served.intake.obstacles(markers(Marker(action=Marker.DELETEALL), around))
        nearest = robot.with_world(served.intake.worlds.seen.world).nearest_object(served.home[None, :])
        if nearest.distance < -0.01:
            break
    report = served.ask(robot.tool_position(served.home + [0.8, 0.0, 0.0, 0.0, 0.0, 0.0]))
    assert report is not None, served.counts()
    contact = report["contact"]
    assert contact["second"] == "cell/1" and contact["distance"] == pytest.approx(nearest.distance)
    assert contact["first"] == nearest.first and 0 < contact["steps"] < len(served.motions[-1].U)
    assert report["world"]["distance"] >= 0.005


def test_messages_come_from_topics_of_the_node(served: Served) -> None:
    publisher = served.node.create_publisher(MarkerArray, "obstacles", 10)
    executor = SingleThreadedExecutor(context=served.node.context)
    executor.add_node(served.node)
    end = time.monotonic() + 20.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    heard: list[Any] = []
    topics = WorldTopics(served.node, served.intake, lambda name, data: heard.append((name, bytes(data))))
    sent = markers(Marker(action=Marker.DELETEALL), cube(77))
    while publisher.get_subscription_count() < 2 and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    publisher.publish(sent)
    while not any(each.name == "cell/77" for each in served.intake.worlds.seen.world.objects):
        assert time.monotonic() < end, "it never came"
        executor.spin_once(timeout_sec=0.05)
    while not heard and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    topics.close()
    executor.remove_node(served.node)
    [(name, data)] = heard
    assert name == "obstacles" and deserialize_message(data, MarkerArray) == sent


def test_a_node_plans_in_what_it_hears_and_ends_lifetimes(home: np.ndarray) -> None:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    given = {"policy": "none", "autostart": False, "world_topics": "obstacles", "world_timeout": 60.0}
    node = PlannerNode(context=context, parameter_overrides=[Parameter(name, value=given[name]) for name in given])
    try:
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        assert node._session is not None and node._session.world_topics is not None and node._serving is not None
        intake = node._session.world_topics.intake
        intake.obstacles(markers(cube(1, lifetime=Duration(nanosec=200_000_000)), cube(2)))
        time.sleep(0.21)
        node._watch()
        assert [each.name for each in intake.worlds.seen.world.objects] == ["cell/2"]
        fresh = node._serving.server.core.fresh_world()
        assert fresh is not None and fresh.world is intake.worlds.seen.world
        intake.obstacles(markers(cube(3, 0.0)))
        assert int(node._ledger.values()["count_BAD_WORLD"]) == 1
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_plans_come_out_of_a_recording_with_their_worlds(home: np.ndarray, tmp_path: Path) -> None:
    """From messages on topics to the instances of `sobo from-bag`."""
    pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")
    from sobo_training.bags.candidates import Filters
    from sobo_training.bags.conversion import BagOptions, survey
    from sobo_training.bags.selection import Selection

    worlds = []
    with served_session(home, world_topics="obstacles", records=True, record=str(tmp_path)) as served:
        goal, task = goal_of(served), served.session.task
        middle = task.robot.tool_position(served.home + [0.4, 0.0, 0.0, 0.0, 0.0, 0.0])
        for at in (middle, middle + [0.0, 0.0, 0.1]):
            served.intake.obstacles(markers(cube(1, 0.1, tuple(at.tolist()))))
            assert served.ask(goal) is not None
            worlds.append(served.intake.worlds.seen.world)
        served.session.outputs.publish_refusal(Refused(Status.OUT_OF_REACH, "far"), goal)
    [bag] = tmp_path.iterdir()
    [contents] = survey([bag], task, BagOptions(), progress=False)
    assert contents.damages == [] and contents.uses["/worlds/world"] == {"worlds that plans were made in": 2}
    selection = Selection(task, Filters())
    selection.add(contents)
    found = [each for each in selection.found.candidates if each.kind == "plan"]
    assert [each.world.world for each in found if each.world is not None] == worlds
    assert [each.world.margin for each in found if each.world is not None] == [0.005, 0.005]
    assert [each["world"]["hash"] for each in served.reports] == [each.hash for each in worlds]
