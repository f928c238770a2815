"""What a receding horizon tells of its cycles, which are scripted."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_cycles import ScriptedCycles, ScriptedProposer, ticks
from scripted_serving import GOAL, Script
from server_bench import RATE

from sobo_planner.planning.plan import LeftContact
from sobo_planner.receding import LEAVING
from sobo_planner.ros.serve.lead import LEAD_PERIODS
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.support.status import Status

# As docs/ros.md says.
MAX_TRIES = 80

pytest_plugins = ["cycle_fixtures"]


def test_a_cycle_for_each_tick(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    script.inbox.put(GOAL)
    ticks(script, server, 3)
    assert [target is GOAL for _, _, target, _ in cycles.asked] == [True] * 3
    x, measured, _, handover = cycles.asked[0]
    assert measured == 1000.0 and handover == pytest.approx(1000.0 + LEAD_PERIODS / RATE)
    np.testing.assert_array_equal(x, script.rest())
    assert [motion.begin for motion in script.outputs.motions] == [handover for *_, handover in cycles.asked]
    assert server.status is Status.TRACKING and server.detail == f"goal {GOAL.tolist()}" and server.serving is GOAL
    details = script.outputs.details[0]
    assert (details["status"], details["source"], details["goal"]) == ("refined", "shifted", GOAL.tolist())
    assert (details["cost"], details["violation"], details["iterations"], details["tool_error"]) == (
        1.5,
        1e-4,
        2,
        0.001,
    )
    assert details["phases_ms"]["policy"] == 7.0 and details["phases_ms"]["start"] == 1.0
    assert details["phases_ms"]["total"] < 1e3 and details["objection"] == ""
    cycles.change = {"refined": False}
    ticks(script, server)
    assert script.outputs.details[-1]["status"] == "start"


def test_a_contact_that_is_left_is_told_and_no_try_is_counted(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    cycles.change = {
        "source": LEAVING,
        "refined": False,
        "left": LeftContact("forearm", "ball", -0.01, 7),
        "tool_error": 2.0,
    }
    script.inbox.put(GOAL)
    ticks(script, server)
    details = script.outputs.details[-1]
    assert details["status"] == "leaving" and script.said == [
        "forearm is -10.0 mm from ball: the arm leaves that first"
    ]
    assert details["contact"] == {"first": "forearm", "second": "ball", "distance": -0.01, "steps": 7}
    cycles.change = {"source": LEAVING, "motion": None, "tool_error": np.inf}
    ticks(script, server, MAX_TRIES + 1)
    assert script.counts() == {} and script.outputs.refusals == [] and len(script.outputs.motions) == 1
    cycles.change |= {"objection": "the ball may move"}
    ticks(script, server, 3)
    assert script.counts() == {"BAD_START": 3} and script.warned[-1][1] == "the ball may move"
    cycles.change = {}
    ticks(script, server)
    assert script.outputs.details[-1]["status"] == "refined" and "contact" not in script.outputs.details[-1]


def test_without_a_policy_there_is_no_time_of_it(script: Script, cycles: ScriptedCycles) -> None:
    server = RecedingHorizon(script.core, cycles, None, RATE)  # type: ignore[arg-type]
    script.inbox.put(GOAL)
    ticks(script, server)
    assert "policy" not in script.outputs.details[0]["phases_ms"]


def test_faults_beside_the_motion_are_noted(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, proposer: ScriptedProposer
) -> None:
    cycles.change = {"lost": True}
    script.inbox.put(GOAL)
    ticks(script, server)
    assert script.counts() == {"TRACKING_LOST": 1}
    cycles.change, proposer.failures = {}, 1
    ticks(script, server, 2)
    assert script.counts() == {"TRACKING_LOST": 1, "POLICY_FAILED": 1} and len(script.outputs.motions) == 3
