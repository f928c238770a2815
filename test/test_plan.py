"""What counts as reaching a goal."""

from __future__ import annotations

import pytest

from sobo_planner.planning.plan import reached


@pytest.mark.parametrize(
    "tool_error, orientation_error, expected",
    [
        (0.009, None, True),
        (0.011, None, False),
        (0.009, 0.019, True),
        (0.009, 0.021, False),
        (0.011, 0.019, False),
    ],
)
def test_a_centimetre_and_two_hundredths_of_a_radian(
    tool_error: float, orientation_error: float | None, expected: bool
) -> None:
    assert reached(tool_error, orientation_error) is expected
