"""What mode `receding_horizon` decides, tick by tick with scripted cycles."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_cycles import ScriptedCycles, ticks
from scripted_serving import GOAL, Script
from server_bench import RATE

from sobo_planner.errors import GoalError, SolverError, StartError, TaskError
from sobo_planner.ros.serve.lead import LONGEST_LEAD
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.support.status import Refused, Status

# As docs/ros.md says.
MAX_TRIES = 80
BAD_STARTS = 10

pytest_plugins = ["cycle_fixtures"]


def test_without_a_goal_no_cycle_runs(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    ticks(script, server, 3)
    assert cycles.asked == [] and server.status is Status.READY and server.serving is None


@pytest.mark.parametrize(
    "error, status",
    [
        (StartError("elbow"), Status.BAD_START),
        (GoalError("far"), Status.OUT_OF_REACH),
        (TaskError("no posture"), Status.PLANNING_FAILED),
        (SolverError("none"), Status.PLANNING_FAILED),
        (ZeroDivisionError(), Status.INTERNAL_ERROR),
    ],
)
def test_a_fault_refuses_a_new_goal_and_is_noted_for_one_that_is_served(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, error: Exception, status: Status
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.raises = error
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    assert [refusal.status for refusal, _ in script.outputs.refusals] == [status]
    ticks(script, server, 3)
    assert len(script.outputs.refusals) == 1 and cycles.asked[-1][2] is GOAL
    noted = status if not isinstance(error, SolverError) else Status.INTERNAL_ERROR
    assert sum(script.counts().values()) == 4 and script.counts()[noted.value] >= 3
    cycles.raises = None
    ticks(script, server)
    assert len(script.outputs.motions) == 2


def test_states_in_a_row_at_which_no_motion_may_begin_end_it(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    for _ in range(3):
        cycles.raises = StartError("elbow at 9 rad")
        ticks(script, server, BAD_STARTS - 1)
        cycles.raises = None
        ticks(script, server)
    assert script.outputs.refusals == []
    cycles.raises = StartError("elbow at 9 rad")
    ticks(script, server, BAD_STARTS)
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.CANCELLED and goal is GOAL and "elbow at 9 rad" in refusal.detail
    assert script.outputs.details[-1]["status"] == "braking" and server.status is Status.READY
    ticks(script, server, 3)
    assert script.counts()["BAD_START"] == 4 * BAD_STARTS - 3
    cycles.raises = None
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    cycles.raises = StartError("elbow at 9 rad")
    ticks(script, server, BAD_STARTS - 1)
    assert len(script.outputs.refusals) == 1, "for the next goal they count anew"


def test_other_faults_do_not_add_up_to_that(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.raises = GoalError("far")
    ticks(script, server, 3 * BAD_STARTS)
    assert script.outputs.refusals == [] and server.status is Status.TRACKING


def test_a_request_to_stop_in_a_cycle_keeps_its_motion_back(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.meanwhile = lambda: script.inbox.put(None)
    ticks(script, server)
    assert len(script.outputs.motions) == 1
    ticks(script, server)
    assert [details["status"] for details in script.outputs.details] == ["refined", "braking"]
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.CANCELLED and goal is GOAL
    assert server.status is Status.READY and server.detail == "" and server.serving is None


def test_a_cycle_that_is_stopped_is_no_try(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    """The goal is refused once, by the stop."""
    cycles.change = {"motion": None, "objection": "links would touch"}
    script.inbox.put(GOAL)
    ticks(script, server, MAX_TRIES - 1)
    cycles.meanwhile = lambda: script.inbox.put(None)
    ticks(script, server)
    assert script.outputs.refusals == []
    ticks(script, server)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [(Status.CANCELLED, True)]


def test_a_request_to_stop_while_a_motion_is_published_keeps_it_back(
    script: Script, server: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its goal is refused once, by the stop."""
    publish = script.outputs.publish

    def cancelled(*arguments: Any) -> Any:
        script.inbox.put(None)
        return publish(*arguments)

    monkeypatch.setattr(script.outputs, "publish", cancelled)
    script.inbox.put(GOAL)
    ticks(script, server)
    assert script.outputs.motions == [] and script.outputs.refusals == [] and server.status is Status.READY
    ticks(script, server)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [(Status.CANCELLED, True)]


@pytest.mark.parametrize("by", [-500.0, 700.0])
def test_a_jump_of_time_stops_the_arm_and_drops_the_goal(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, by: float
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server, 3)
    script.time += by
    server.clock_jumped()
    script.measure(script.moving(0.3))
    server._tick()
    assert script.outputs.details[-1]["status"] == "braking"
    assert script.outputs.motions[-1].begin == pytest.approx(script.time + 0.02)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [(Status.CLOCK_JUMP, True)]
    ticks(script, server, 3)
    assert len(cycles.asked) == 3


def test_an_idle_server_looks_at_the_clock(script: Script, server: RecedingHorizon) -> None:
    ticks(script, server)
    script.time += 700.0
    ticks(script, server)
    assert script.counts() == {"CLOCK_JUMP": 1}


def test_what_the_publisher_refuses_is_a_fault(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    script.inbox.put(GOAL)
    script.outputs.refuses = Refused(Status.PLAN_REFUSED, "links would touch")
    ticks(script, server)
    assert script.outputs.refusals[0][0].detail == "links would touch" and server.status is Status.READY


def test_ticks_that_are_missed_are_counted_and_skipped(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that only cycles and sleeps let go on."""
    clock = [50.0]
    monkeypatch.setattr("sobo_planner.ros.serve.receding_horizon.time.monotonic", lambda: clock[0])
    begun, beats, takes = [], [], iter([0.001, 0.001, 0.034, 0.001, 0.0101, 0.001, 0.021, 0.001, 0.001])

    def cycle() -> None:
        begun.append(round(1e3 * (clock[0] - 50.0), 3))
        beats.append(server.pulse.within)
        clock[0] += next(takes)
        if len(begun) == 9:
            script.inbox.close()

    def sleep(seconds: float) -> None:
        clock[0] += max(seconds, 0.0)

    cycles.meanwhile = cycle
    monkeypatch.setattr(script.inbox, "sleep", sleep)
    script.inbox.put(GOAL)
    script.measure()
    server.run()
    assert begun == [0.0, 10.0, 20.0, 54.0, 60.0, 70.1, 80.0, 101.0, 110.0]
    assert script.counts()["DEADLINE_MISSED"] == 3, "at 30, 40 and 90 ms; those at 50 and at 100 ms began late"
    assert [detail for _, detail in script.warned] == ["a cycle ended 24.0 ms late", "a cycle ended 11.0 ms late"]
    assert set(beats) == {1.0 / RATE + 0.3}


def test_ticks_that_are_missed_without_a_goal_are_nobodys_loss(
    script: Script, server: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [50.0]
    monkeypatch.setattr("sobo_planner.ros.serve.receding_horizon.time.monotonic", lambda: clock[0])

    def tick() -> None:
        clock[0] += 0.5
        script.inbox.close()

    monkeypatch.setattr(server, "_tick", tick)
    server.run()
    assert clock[0] == 50.5 and script.counts() == {} and script.warned == []


def test_a_motion_that_comes_too_late_is_noted_and_the_lead_grows(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)

    def pass_time() -> None:
        script.time += 0.9

    cycles.meanwhile = pass_time
    bounds = []
    for _ in range(5):
        ticks(script, server)
        bounds.append(server._lead.bound)
    assert bounds == pytest.approx([0.4, 0.8, 1.0, 1.0, 1.0])
    assert script.counts() == {"DEADLINE_MISSED": 5} and len(script.outputs.motions) == 1
    cycles.meanwhile = lambda: None
    ticks(script, server)
    assert server._lead.bound == LONGEST_LEAD and len(script.outputs.motions) == 2
