"""Which goal a receding horizon serves, tick by tick with scripted cycles."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_cycles import ScriptedCycles, ticks
from scripted_serving import GOAL, Script

from sobo_planner.errors import GoalError, StartError
from sobo_planner.receding import NEAR
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.support.status import Status

# As docs/ros.md says.
MAX_TRIES = 80

pytest_plugins = ["cycle_fixtures"]


@pytest.mark.parametrize("error, taken", [(NEAR, True), (1.01 * NEAR, False)])
def test_a_goal_is_taken_up_by_a_motion_that_ends_near_it(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, error: float, taken: bool
) -> None:
    """Until then it is refused after eighty cycles; the one before goes on."""
    cycles.change = {"tool_error": error}
    script.inbox.put(GOAL)
    ticks(script, server, MAX_TRIES - 1)
    assert script.outputs.refusals == [] and len(script.outputs.motions) == MAX_TRIES - 1
    ticks(script, server)
    if taken:
        assert script.outputs.refusals == []
        return
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.PLAN_REFUSED and goal is GOAL and "ends 0.10 m from it" in refusal.detail
    ticks(script, server, 3)
    assert len(cycles.asked) == MAX_TRIES


def test_at_a_higher_rate_a_goal_has_as_much_time(script: Script, cycles: ScriptedCycles) -> None:
    cycles.change = {"motion": None, "objection": "links would touch"}
    server = RecedingHorizon(script.core, cycles, None, 200.0)  # type: ignore[arg-type]
    script.inbox.put(GOAL)
    ticks(script, server, 159)
    assert script.outputs.refusals == []
    ticks(script, server)
    assert "no cycle of 160" in script.outputs.refusals[0][0].detail


def test_tries_count_from_each_goal_on(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    cycles.change = {"motion": None, "objection": "links would touch"}
    script.inbox.put(GOAL)
    ticks(script, server, MAX_TRIES - 1)
    script.inbox.put(GOAL + 0.1)
    ticks(script, server, MAX_TRIES - 1)
    assert script.outputs.refusals == []
    ticks(script, server)
    ((refusal, _),) = script.outputs.refusals
    assert "links would touch" in refusal.detail and f"no cycle of {MAX_TRIES}" in refusal.detail
    assert script.counts() == {"FALLBACK": 2 * MAX_TRIES - 1, "PLAN_REFUSED": 1}
    ticks(script, server, MAX_TRIES - 1)  # the first goal again, from the beginning
    assert cycles.asked[-1][2] is GOAL and len(script.outputs.refusals) == 1
    ticks(script, server)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0] + 0.1, GOAL[0]]


def test_a_goal_without_a_motion_near_it_so_far_outlives_a_bad_one(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    """On a slow computer the first motions towards a goal may end far from it."""
    cycles.change = {"tool_error": 2.0 * NEAR}
    script.inbox.put(GOAL)
    ticks(script, server, 2)
    cycles.raises = GoalError("far")
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0] + 0.1]
    cycles.raises = None
    ticks(script, server, MAX_TRIES - 1)
    assert cycles.asked[-1][2] is GOAL and len(script.outputs.refusals) == 1
    ticks(script, server, 2)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0] + 0.1, GOAL[0]]
    asked = len(cycles.asked)
    ticks(script, server, 3)
    assert len(cycles.asked) == asked


def test_a_goal_that_was_taken_up_is_never_given_up(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.change = {"motion": None, "objection": "links would touch"}
    ticks(script, server, 2 * MAX_TRIES)
    assert script.outputs.refusals == [] and script.counts() == {"FALLBACK": 2 * MAX_TRIES}
    script.inbox.put(GOAL + 0.1)
    ticks(script, server, MAX_TRIES)
    assert len(script.outputs.refusals) == 1
    ticks(script, server)
    assert cycles.asked[-1][2] is GOAL


def test_a_goal_is_not_taken_up_by_a_motion_that_comes_too_late(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    def pass_time() -> None:
        script.time += 0.9

    cycles.meanwhile = pass_time
    script.inbox.put(GOAL)
    ticks(script, server)
    assert script.counts() == {"DEADLINE_MISSED": 1} and server.status is Status.READY
    cycles.meanwhile, cycles.change = (lambda: None), {"motion": None, "objection": "links would touch"}
    ticks(script, server, MAX_TRIES - 1)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [
        (Status.PLAN_REFUSED, True)
    ]


def test_a_stop_drops_the_goal_that_is_served_and_the_one_that_is_not_yet(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.change = {"motion": None}
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    script.inbox.put(None)
    ticks(script, server, 3)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0], GOAL[0] + 0.1]
    assert len(cycles.asked) == 2


@pytest.mark.parametrize("earlier", [False, True])
def test_a_goal_that_is_dropped_on_the_way_leaves_the_arm_at_rest_or_on_its_way_to_the_one_before(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, earlier: bool
) -> None:
    """Motions that end elsewhere were published for it."""
    if earlier:
        script.inbox.put(GOAL + 0.1)
        ticks(script, server)
    cycles.change = {"tool_error": 1.01 * NEAR}
    script.inbox.put(GOAL)
    ticks(script, server, 3)
    assert server.status is Status.TRACKING and server.detail == f"goal {GOAL.tolist()}"
    cycles.raises = StartError("joint 3 is far outside its limits")
    script.measure(script.moving(0.3))
    server._tick()
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.BAD_START and goal is GOAL
    assert (script.outputs.details[-1]["status"] == "braking") is not earlier
    if not earlier:
        assert server.status is Status.READY and server.detail == "" and server.serving is None
    cycles.raises = None
    ticks(script, server)
    assert (server.status, server.serving is None) == ((Status.TRACKING, False) if earlier else (Status.READY, True))


def test_a_goal_that_is_dropped_at_once_leaves_the_arm_alone(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    """It may be braking, after a goal that was cancelled."""
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    script.inbox.put(None)
    script.measure(script.moving(0.3))
    server._tick()
    assert script.outputs.details[-1]["status"] == "braking"
    published = len(script.outputs.motions)
    cycles.raises = GoalError("out of reach")
    script.inbox.put(GOAL)
    script.measure(script.moving(0.2))
    server._tick()
    assert script.outputs.refusals[-1][1] is GOAL and len(script.outputs.motions) == published
    assert server.status is Status.READY
