"""Times along ways with bends, beside closed forms and the limits that they keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sobo_planner import _native
from sobo_planner.errors import RobotError
from sobo_planner.tasks.arm.bends import POINTS, fastest, passed, rounded


@pytest.mark.parametrize(("distance", "speed", "acceleration"), [(2.0, 1.0, 4.0), (0.5, 3.0, 2.0), (-3.0, 2.0, 5.0)])
def test_a_straight_way_is_passed_at_full_acceleration_and_speed(
    distance: float, speed: float, acceleration: float
) -> None:
    way = np.array([[0.0, 1.0], [distance, 1.0]])
    times = fastest(rounded(way, np.array([speed, 1.0])), np.array([speed, 1.0]), np.array([acceleration, 1.0]))
    far = abs(distance)
    reaches_speed = far > speed**2 / acceleration
    least = far / speed + speed / acceleration if reaches_speed else 2.0 * np.sqrt(far / acceleration)
    assert times[0] == 0.0 and times[-1] == pytest.approx(least, rel=0.01)


parts = st.integers(1, 5).flatmap(lambda n: arrays(float, (n, 3), elements=st.floats(0.0, 3.0, width=16)))


@given(parts)
def test_a_way_with_bends_that_does_not_turn_back_keeps_the_limits(parts: np.ndarray) -> None:
    way = np.cumsum(np.vstack([np.zeros(3), parts]) * [1.0, -1.0, 1.0], axis=0)
    speed, acceleration = np.array([3.0, 1.0, 2.0]), np.array([12.0, 5.0, 20.0])
    assume(parts.max() > 0.05)
    points = rounded(way, speed)
    assert points.shape == (POINTS, 3)
    np.testing.assert_allclose(points[[0, -1]], way[[0, -1]], atol=1e-12)
    times = fastest(points, speed, acceleration)
    assert times[0] == 0.0 and (np.diff(times) > 0.0).all()
    step = 1.0 / (POINTS - 1)
    slope = np.gradient(points, step, axis=0)
    bend = np.gradient(slope, step, axis=0)
    most = ((speed / np.maximum(np.abs(slope), 1e-9)) ** 2).min(axis=1)
    square = _native.fastest_squares(slope, bend, most, acceleration, step)
    assert (square[1:-1] <= np.maximum(most[1:-1], 1e-9) * (1.0 + 1e-12)).all()
    change = np.diff(square) / (2.0 * step)
    used = np.abs(slope[:-1] * change[:, None] + bend[:-1] * square[:-1, None])
    assert (used <= acceleration * (1.0 + 1e-6) + 1e-3).all()
    states = passed(points, times, 20)
    np.testing.assert_allclose(states[[0, -1], :3], way[[0, -1]], atol=1e-9)
    assert states.shape == (21, 6) and not states[[0, -1], 3:].any()


def test_the_speed_is_as_large_as_the_way_to_the_next_point_allows() -> None:
    """One joint at constant slope: the square grows by 2 a each unit of the way, and falls as fast."""
    slope, bend = np.ones((11, 1)), np.zeros((11, 1))
    square = _native.fastest_squares(slope, bend, np.full(11, 0.7), np.array([1.0]), 0.1)
    np.testing.assert_allclose(
        square, np.minimum(0.7, 0.2 * np.minimum(np.arange(11), np.arange(11)[::-1])), atol=1e-12
    )


@pytest.mark.parametrize("wrong", ["slope", "bend", "most", "acceleration", "step"])
def test_other_sizes_are_refused(wrong: str) -> None:
    values: dict[str, Any] = {
        "slope": np.ones((5, 2)),
        "bend": np.ones((5, 2)),
        "most": np.ones(5),
        "acceleration": np.ones(2),
        "step": 0.1,
    }
    other: dict[str, Any] = {
        "slope": np.ones((1, 2)),
        "bend": np.ones((5, 3)),
        "most": np.ones(4),
        "acceleration": np.ones(1),
    }
    with pytest.raises(RobotError, match="a path needs two points"):
        _native.fastest_squares(**{**values, wrong: other.get(wrong, 0.0)})
