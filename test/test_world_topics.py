"""Messages of worlds on the topics of a node: each is taken whole or not at all."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Duration
from scene_messages import attached, ball, pose, scene
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from world_messages import cube, markers, points, stamp

from sobo_planner.errors import ConfigError
from sobo_planner.ros.inputs import planning_scenes
from sobo_planner.ros.inputs.frames import GoalFrames
from sobo_planner.ros.inputs.planning_scenes import Scenes
from sobo_planner.ros.inputs.world_topics import TOPICS, WorldIntake, topics_of
from sobo_planner.ros.inputs.worlds import Worlds
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


def test_points_within_reach_of_what_the_arm_holds_count() -> None:
    """From the root link's origin the arm reaches 2 m here, and a rod that it holds 0.6 m further."""
    heard = Heard("planning_scene", "points")
    there = points((2.5, 0.0, 0.0))
    heard.intake.points(there)
    assert heard.names == []
    heard.intake.planning_scene(scene(held=(attached(ball("rod", 0.1, pose(0.5))),)))
    heard.intake.points(there)
    assert heard.names == ["points", "rod"]
    heard.intake.points(points((2.7, 0.0, 0.0)))
    assert heard.names == ["rod"]


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
