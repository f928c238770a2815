"""How the simulation keeps up with the clock: when steps are due, and what is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.ros.simulator.pace import LONGEST_BEHIND, LONGEST_BURST, Pace
from sobo_planner.ros.support import node_parameters

STEP = 2.0**-10  # about a millisecond, and exact


def test_steps_are_due_as_time_goes_by() -> None:
    pace = Pace(100.0, STEP)
    assert pace.due(100.0) == 0
    assert pace.due(100.0 + 2.5 * STEP) == 2
    assert pace.due(100.0 + 2.9 * STEP) == 0
    assert pace.rest(100.0 + 2.5 * STEP, 2) == pytest.approx(1.5 * STEP)
    assert pace.rest(100.0 + 9.0 * STEP, 2) == 0.0
    assert pace.due(99.0) == 0, "a clock that goes back takes no step back"


def test_a_delay_is_made_up_for_in_bursts() -> None:
    pace, late = Pace(0.0, STEP), LONGEST_BEHIND - STEP
    assert pace.leave_out(late) == 0.0
    bursts = []
    while steps := pace.due(late):
        bursts.append(steps)
        assert pace.leave_out(late) == 0.0
    assert max(bursts) == int(LONGEST_BURST / STEP) and sum(bursts) == int(late / STEP)


def test_what_it_is_too_far_behind_is_left_out() -> None:
    pace = Pace(0.0, STEP)
    late = LONGEST_BEHIND + STEP
    assert pace.leave_out(late) == pytest.approx(late)
    assert pace.leave_out(late) == 0.0 and pace.due(late) == 0
    assert pace.due(late + 3.0 * STEP) == 3


def test_a_planner_takes_joint_states_of_that_age() -> None:
    timeout = next(spec.default for spec in node_parameters.PLANNER if spec.name == "state_timeout")
    assert 0.7 * timeout > LONGEST_BEHIND + LONGEST_BURST


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=50))
def test_it_is_never_far_behind_after_a_look(waits: list[float]) -> None:
    """And it never runs ahead: steps and what is left out add up to the time that went by."""
    pace, now, taken, left_out = Pace(0.0, STEP), 0.0, 0, 0.0
    for wait in waits:
        now += wait
        left_out += pace.leave_out(now)
        taken += pace.due(now)
        gone = taken * STEP + left_out
        assert now - LONGEST_BEHIND - 1e-9 <= gone <= now + 1e-9
