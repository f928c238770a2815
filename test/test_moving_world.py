"""Mode `receding_horizon` in worlds that change: what is in the way of a motion that was published stops the arm."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_cycles import ScriptedCycles, ticks
from scripted_serving import GOAL, Script
from server_bench import RATE

from sobo_planner.errors import GoalError, StartError
from sobo_planner.motion import Timeline
from sobo_planner.ros.inputs.worlds import Layer, Worlds
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.support.status import Status
from sobo_planner.safety import Limit, Violation
from sobo_planner.tasks import ArmReach
from sobo_planner.world import Pose, Sphere, World, WorldObject

BALL = WorldObject("ball", Sphere(0.1), Pose((2.0, 0.0, 0.0)))


class AmongObjects(ScriptedCycles):
    """Cycles in a world, and what is ahead in it.

    Attributes:
        worlds: That were set.
        ahead: What the arm is about to run into.
        looks: How often that was asked for.
    """

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.worlds: list[World] = []
        self.ahead: Violation | None = None
        self.looks, self.task = 0, script.task

    def set_world(self, world: World) -> None:
        self.worlds.append(world)

    def contact_ahead(self, timeline: Timeline, now: float) -> Violation | None:
        self.looks += 1
        return self.ahead


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    script = Script(task, home)
    script.values["world_timeout"] = 60.0
    return script


@pytest.fixture
def worlds() -> Worlds:
    return Worlds(World(), ("obstacles",), lambda world: None)


@pytest.fixture
def cycles(script: Script) -> AmongObjects:
    return AmongObjects(script)


@pytest.fixture
def server(script: Script, worlds: Worlds, cycles: AmongObjects) -> RecedingHorizon:
    return RecedingHorizon(replace(script.core, worlds=worlds), cycles, None, RATE)  # type: ignore[arg-type]


def hear(worlds: Worlds, age: float = 0.0) -> None:
    worlds.accept("obstacles", Layer((BALL,), measured=time.monotonic() - age))


def test_cycles_are_in_the_newest_world_and_reports_say_which(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    assert cycles.asked == [] and script.counts() == {"NO_WORLD": 1}
    hear(worlds)
    script.inbox.put(GOAL)
    ticks(script, server)
    assert cycles.worlds[-1] is worlds.seen.world
    world = script.outputs.details[-1]["world"]
    assert (world["version"], world["objects"]) == (worlds.seen.world.version, 1) and 0.0 <= world["age_s"] < 60.0


def test_an_object_in_the_way_stops_the_arm_once_and_the_goal_stays(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    hear(worlds)
    cycles.ahead = Violation(Limit.COLLISION, "the forearm touches the ball")
    script.inbox.put(GOAL)
    ticks(script, server, 3)
    assert cycles.looks == 0 and script.counts() == {}, "what is published is free"
    cycles.change = {"motion": None, "objection": "in the way"}
    ticks(script, server, 3)
    assert script.counts() == {"FALLBACK": 3, "OBSTACLE_AHEAD": 1}
    assert [each["status"] for each in script.outputs.details] == 3 * ["refined"] + ["braking"]
    assert "the forearm touches the ball" in script.warned[1][1] and script.outputs.refusals == []
    cycles.change = {}
    ticks(script, server)
    assert script.outputs.details[-1]["status"] == "refined" and cycles.asked[-1][2] is GOAL
    cycles.change = {"motion": None}
    ticks(script, server)
    assert script.counts()["OBSTACLE_AHEAD"] == 2


def test_a_motion_without_a_contact_ahead_goes_on(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    hear(worlds)
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.change = {"motion": None}
    ticks(script, server, 3)
    assert cycles.looks == 3 and script.counts() == {"FALLBACK": 3} and len(script.outputs.motions) == 1
    cycles.ahead = Violation(Limit.COLLISION, "the forearm touches the ball")
    script.time = script.outputs.motions[0].end + 0.01
    ticks(script, server)
    assert "OBSTACLE_AHEAD" not in script.counts(), "it is at its end"


def test_a_stop_that_fails_is_tried_again(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    hear(worlds)
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.change, cycles.ahead = {"motion": None}, Violation(Limit.COLLISION, "the forearm touches the ball")
    script.brakes.objection = "beyond a limit"
    ticks(script, server, 2)
    assert script.counts()["OBSTACLE_AHEAD"] == script.counts()["PLAN_REFUSED"] == 2
    script.brakes.objection = ""
    ticks(script, server, 2)
    assert script.counts()["OBSTACLE_AHEAD"] == 3 and script.outputs.details[-1]["status"] == "braking"


def test_a_world_that_is_old_stops_the_arm_until_it_is_new_again(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    hear(worlds)
    script.inbox.put(GOAL)
    ticks(script, server)
    hear(worlds, age=100.0)
    ticks(script, server, 2)
    assert [each["status"] for each in script.outputs.details] == ["refined", "braking"]
    assert set(script.counts()) == {"STALE_WORLD"} and script.outputs.refusals == []
    hear(worlds)
    ticks(script, server)
    assert script.outputs.details[-1]["status"] == "refined" and cycles.asked[-1][2] is GOAL


def test_an_object_that_comes_to_the_arm_does_not_end_its_goal(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    hear(worlds)
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.raises = StartError("the ball touches the forearm")
    ticks(script, server, 50)
    assert script.outputs.refusals == [] and script.counts()["BAD_START"] == 50
    for _ in range(20):
        script.measure(script.moving(0.0, by=9.0))  # beyond a limit, whatever is around
        server._tick()
    [(refusal, goal)] = script.outputs.refusals
    assert refusal.status is Status.CANCELLED and goal is GOAL


def test_a_goal_that_an_object_occupies_is_tried_again_now_and_then(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    hear(worlds)
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.raises = GoalError("the ball is there")
    ticks(script, server, round(1.04 * RATE))
    assert script.counts() == {"OBSTACLE_AHEAD": 4} and script.outputs.refusals == []
    assert server.status is Status.OBSTACLE_AHEAD and "the ball is there" in server.detail
    cycles.raises = None
    script.inbox.put(GOAL)
    ticks(script, server)
    assert len(script.outputs.motions) == 2, "another request is served at once"
    assert server.status is Status.TRACKING


def test_a_goal_that_an_object_occupies_when_it_is_sent_is_waited_for_at_rest(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    """What came on a topic may go away again. The goal before is not gone on with."""
    hear(worlds)
    script.inbox.put(GOAL)
    ticks(script, server)
    script.follow(0.4)
    other = GOAL + 0.05
    cycles.raises = GoalError("the ball is there")
    script.inbox.put(other)
    server._tick()
    assert script.outputs.refusals == [] and script.outputs.details[-1]["status"] == "braking"
    assert server.status is Status.OBSTACLE_AHEAD and "waits until it is free" in server.detail
    ticks(script, server, round(0.6 * RATE))
    assert script.counts() == {"OBSTACLE_AHEAD": 3}
    cycles.raises = None
    ticks(script, server, round(0.26 * RATE))
    assert cycles.asked[-1][2] is other and script.outputs.details[-1]["status"] == "refined"


def test_a_goal_within_what_is_always_there_is_refused(
    script: Script, worlds: Worlds, cycles: AmongObjects, task: ArmReach
) -> None:
    there = task.with_world(World((WorldObject("rock", Sphere(0.12), Pose(tuple(GOAL.tolist()))),)))
    core = replace(script.core, worlds=worlds, task=there)
    server = RecedingHorizon(core, cycles, None, RATE)  # type: ignore[arg-type]
    hear(worlds)
    cycles.raises = GoalError("it is in the rock")
    script.inbox.put(GOAL)
    ticks(script, server)
    [(refusal, goal)] = script.outputs.refusals
    assert refusal.status is Status.OUT_OF_REACH and "rock" in refusal.detail and goal is GOAL


def test_a_stop_that_fails_does_not_end_the_goal_that_is_waited_for(
    script: Script, worlds: Worlds, cycles: AmongObjects, server: RecedingHorizon
) -> None:
    hear(worlds)
    script.follow(0.4)
    script.brakes.objection, cycles.raises = "beyond a limit", GoalError("the ball is there")
    script.inbox.put(GOAL)
    server._tick()
    assert script.counts() == {"OBSTACLE_AHEAD": 1, "PLAN_REFUSED": 1}
    cycles.raises = None
    ticks(script, server, round(0.26 * RATE))
    assert cycles.asked[-1][2] is GOAL and script.outputs.details[-1]["status"] == "refined"
