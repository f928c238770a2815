"""What leaves through the core of a serving node, when, and with what report; outputs are scripted."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import GOAL, Script, coasting_motion

from sobo_planner.ros.inputs.inbox import StampedState
from sobo_planner.ros.serve import core as module
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.solver import Interrupt
from sobo_planner.tasks import ArmReach

NOW = 50.0  # [s], monotonic
DETAILS = {"status": "converged", "source": "policy", "phases_ms": {"refine": 7.0}}


@pytest.fixture
def script(task: ArmReach, home: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setattr(module.time, "monotonic", lambda: NOW)
    script = Script(task, home)
    script.inbox.put_state(script.rest(), script.time, NOW - 0.25)
    return script


def state(script: Script) -> StampedState:
    found = script.inbox.state
    assert found is not None
    return found


@pytest.mark.parametrize("speed, moves", [(0.015, False), (-0.015, False), (0.025, True), (-0.025, True)])
def test_what_counts_as_motion(script: Script, speed: float, moves: bool) -> None:
    assert script.core.moves(script.moving(speed, joint=3)) is moves
    assert script.core.moves(script.moving(0.0, by=1.0)) is False


@pytest.mark.parametrize("timeout, fresh", [(0.2, False), (0.25, True), (0.3, True)])
def test_a_state_is_fresh_up_to_its_timeout(script: Script, timeout: float, fresh: bool) -> None:
    script.values["state_timeout"] = timeout
    if fresh:
        assert script.core.fresh_state() is script.inbox.state
    else:
        with pytest.raises(Refused, match="joint state is 0.25 s old, allowed are 0.2 s") as refused:
            script.core.fresh_state()
        assert refused.value.status is Status.STALE_STATE


def test_states_are_taken_again_only_where_the_known_one_is_too_old(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, known = [], script.inbox.state
    monkeypatch.setattr(script.inbox, "look", lambda: looks.append(1) or script.inbox.state)
    script.core.states_go_on()
    assert not looks
    script.values["state_timeout"] = 0.2
    with pytest.raises(Refused, match="joint state is 0.25 s old"):
        script.core.states_go_on()
    monkeypatch.setattr(
        script.inbox, "look", lambda: script.inbox.put_state(known.x, known.stamp) or script.inbox.state
    )
    script.core.states_go_on()
    script.inbox.drop_state()
    monkeypatch.setattr(script.inbox, "look", lambda: None)
    with pytest.raises(Refused, match="no joint state"):
        script.core.states_go_on()


def test_a_motion_at_once_begins_now(script: Script) -> None:
    motion = coasting_motion(script.rest(), math.nan, 0.02)
    assert script.core.publish(motion, state(script), DETAILS) is not None
    assert script.outputs.motions[0].begin == script.time and math.isnan(motion.begin)


@pytest.mark.parametrize("ahead, published", [(-0.1, False), (0.0, False), (0.001, True)])
def test_a_motion_later_may_not_have_begun(script: Script, ahead: float, published: bool) -> None:
    motion = coasting_motion(script.rest(), script.time + ahead, 0.02)
    if published:
        script.core.publish(motion, state(script), DETAILS)
        assert script.outputs.motions == [motion]
    else:
        with pytest.raises(Refused, match=f"was to begin {abs(1e3 * ahead):.1f} ms ago") as refused:
            script.core.publish(motion, state(script), DETAILS)
        assert refused.value.status is Status.DEADLINE_MISSED and script.outputs.motions == []


def test_nothing_measured_is_published_from_once_states_have_stopped(script: Script) -> None:
    before, motion = state(script), coasting_motion(script.rest(), script.time + 0.1, 0.02)
    script.values["state_timeout"] = 0.2
    with pytest.raises(Refused, match="STALE_STATE"):
        script.core.publish(motion, before, DETAILS)
    assert script.outputs.motions == []
    script.core.publish(motion, None, DETAILS)
    assert script.outputs.motions == [motion], "a stop that was not planned from a measurement"


def test_what_its_report_says(script: Script) -> None:
    motion = coasting_motion(script.rest(), script.time + 0.1, 0.02)
    report = script.core.publish(motion, state(script), DETAILS, began=NOW - 0.5)
    (details,) = script.outputs.details
    assert report is not None and details["state_timeout"] == 60.0 and details["source"] == "policy"
    assert details["state_age_s"] == 0.25
    assert details["phases_ms"] == {"refine": 7.0, "state_to_trajectory": 250.0, "total": 500.0}
    assert DETAILS["phases_ms"] == {"refine": 7.0}, "which is not the caller's"
    assert script.ledger.values()["plans"] == "1"


def test_without_a_measurement_or_a_beginning_its_report_names_none(script: Script) -> None:
    script.core.publish(coasting_motion(script.rest(), script.time + 0.1, 0.02), None, DETAILS)
    (details,) = script.outputs.details
    assert details["phases_ms"] == {"refine": 7.0} and "state_age_s" not in details


def test_what_is_not_wanted_any_more_is_neither_published_nor_counted(script: Script) -> None:
    unless, motion = Interrupt(), coasting_motion(script.rest(), script.time + 0.1, 0.02)
    unless.set()
    assert script.core.publish(motion, state(script), DETAILS, unless=unless) is None
    assert script.outputs.motions == [] and script.ledger.values()["plans"] == "0"


def test_a_refusal_is_counted_once_and_told_to_the_sender(script: Script) -> None:
    refusal = Refused(Status.OUT_OF_REACH, "too far")
    script.core.refuse(refusal, GOAL)
    assert script.outputs.refusals == [(refusal, GOAL)] and script.counts() == {"OUT_OF_REACH": 1}
    script.core.note(Status.DEADLINE_MISSED, "late", 3)
    assert script.counts() == {"OUT_OF_REACH": 1, "DEADLINE_MISSED": 3} and len(script.outputs.refusals) == 1
