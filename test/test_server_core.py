"""What every server does with states and motions: fresh ones are looked for, and motions go out with their times."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import GOAL, Script, coasting_motion

from sobo_planner.motion import Motion
from sobo_planner.ros.serve.core import MOVING
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.solver import Interrupt
from sobo_planner.tasks import ArmReach

DETAILS: dict[str, Any] = {"status": "converged", "phases_ms": {"refine": 4.0}}


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    return Script(task, home)


def motion(script: Script, lead: float = 0.1) -> Motion:
    return coasting_motion(script.rest(), script.time + lead, script.task.dt)


@pytest.mark.parametrize("speed, moves", [(0.0, False), (0.02, False), (-0.021, True)])
def test_encoder_noise_is_rest(script: Script, speed: float, moves: bool) -> None:
    assert script.core.moves(script.moving(speed, 4)) == moves and MOVING == 0.02


def test_states_are_there_and_fresh_or_refused(script: Script) -> None:
    with pytest.raises(Refused, match="NO_STATE"):
        script.core.fresh_state()
    script.measure()
    assert script.core.fresh_state() is script.inbox.state
    script.values["state_timeout"] = 0.25
    script.inbox.put_state(script.rest(), script.time, time.monotonic() - 0.3)
    with pytest.raises(Refused, match=r"STALE_STATE: joint state is 0\.3\d s old, allowed are 0.25 s"):
        script.core.fresh_state()


def test_a_refusal_is_counted_and_goes_to_the_sender(script: Script) -> None:
    refusal = Refused(Status.OUT_OF_REACH, "too far")
    script.core.refuse(refusal, GOAL)
    assert script.outputs.refusals == [(refusal, GOAL)] and script.counts() == {"OUT_OF_REACH": 1}
    script.core.note(Status.DEADLINE_MISSED, "late", 3)
    assert len(script.outputs.refusals) == 1 and script.counts()["DEADLINE_MISSED"] == 3


def test_a_motion_goes_out_with_the_times_that_it_took(script: Script) -> None:
    script.inbox.put_state(script.rest(), script.time, time.monotonic() - 0.25)
    report = script.core.publish(motion(script), script.core.fresh_state(), DETAILS, time.monotonic() - 0.25)
    assert report is not None and report["state_timeout"] == 60.0
    phases = report["phases_ms"]
    assert phases["refine"] == 4.0
    assert 250.0 <= phases["state_to_trajectory"] < 450.0 and 250.0 <= phases["total"] < 450.0
    assert report["state_age_s"] == pytest.approx(1e-3 * phases["state_to_trajectory"], abs=0.05)
    assert script.ledger.values()["plans"] == "1"
    assert DETAILS["phases_ms"] == {"refine": 4.0}, "what the caller has is left alone"


def test_without_a_state_or_a_beginning_there_is_no_time_of_them(script: Script) -> None:
    script.core.publish(motion(script), None, DETAILS)
    details = script.outputs.details[0]
    assert "state_age_s" not in details and details["phases_ms"] == {"refine": 4.0}


def test_states_that_stopped_meanwhile_keep_a_motion_back(script: Script) -> None:
    script.measure()
    state = script.core.fresh_state()
    script.inbox.drop_state()
    with pytest.raises(Refused, match="NO_STATE"):
        script.core.publish(motion(script), state, DETAILS)
    assert script.core.publish(motion(script), None, DETAILS) is not None, "one that needs no state goes out"


@pytest.mark.parametrize("lead", [0.0, -0.005])
def test_a_motion_that_should_have_begun_is_late(script: Script, lead: float) -> None:
    with pytest.raises(Refused, match=f"DEADLINE_MISSED: .* {abs(1e3 * lead):.1f} ms ago"):
        script.core.publish(motion(script, lead), None, DETAILS)
    script.core.publish(motion(script, np.nan), None, DETAILS)
    assert script.outputs.motions[0].begin == script.time, "at once"


def test_nothing_goes_out_once_it_is_not_wanted(script: Script) -> None:
    interrupt = Interrupt()
    assert script.core.publish(motion(script), None, DETAILS, unless=interrupt) is not None
    interrupt.set()
    assert script.core.publish(motion(script), None, DETAILS, unless=interrupt) is None
    assert len(script.outputs.motions) == 1 and script.ledger.values()["plans"] == "1"
