"""How far ahead of now the motions of a receding horizon begin."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.ros.serve.lead import LONGEST_LEAD, WINDOW, Lead


@pytest.mark.parametrize("took, seconds", [(0.001, 0.02), (0.05, 0.06), (0.9, LONGEST_LEAD)])
def test_the_lead_follows_what_cycles_take(took: float, seconds: float) -> None:
    lead = Lead(0.01)
    for each in (0.001, took, 0.0005):
        lead.took(each)
    assert lead.seconds == pytest.approx(seconds)
    for _ in range(WINDOW):
        lead.took(0.001)
    assert lead.seconds == pytest.approx(0.02), "of the last ones"


def test_without_a_cycle_it_is_two_periods() -> None:
    assert Lead(0.03).seconds == pytest.approx(0.06)


def test_it_grows_with_motions_in_a_row_that_come_too_late() -> None:
    lead, bounds = Lead(0.01), []
    lead.took(5.0)
    for _ in range(4):
        lead.late()
        bounds.append(lead.seconds)
    assert bounds == pytest.approx([0.4, 0.8, 1.0, 1.0])
    lead.in_time()
    assert lead.seconds == LONGEST_LEAD
