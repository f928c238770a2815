"""What the policy sees of columns: figures known from geometry, and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sobo_planner.tasks.quadrotor.columns import ACROSS, PER_COLUMN, column_features, column_jacobian

RADIUS = 0.4
START, TARGET = np.array([-2.0, 0.0]), np.array([2.0, 0.0])


def features(*columns: tuple[float, float], start: np.ndarray = START) -> np.ndarray:
    """Features (6, n) of columns at x, y."""
    layout = np.array([(x, y, RADIUS) for x, y in columns])
    return column_features(start, TARGET, layout).reshape(PER_COLUMN, -1)


def test_a_column_in_the_way_blocks_it_and_others_do_not() -> None:
    in_the_way, aside, behind, beyond = features((0.0, 0.0), (0.0, 2.0), (-4.0, 0.0), (4.0, 0.0)).T
    assert in_the_way[0] == pytest.approx(1.0, abs=1e-3)
    assert in_the_way[2] == pytest.approx(RADIUS - ACROSS, abs=0.01)  # the side is not known better than ACROSS
    assert np.abs(np.stack([aside, behind, beyond])[:, :4]).max() < 2e-4


def test_sides_have_signs() -> None:
    left, right = features((0.0, 0.2), (0.0, -0.2)).T
    np.testing.assert_allclose(left[[0, 2]], right[[0, 2]])
    np.testing.assert_allclose(left[[1, 3]], -right[[1, 3]])
    assert left[1] > 0.5 and left[3] > 0.1
    depth = RADIUS - np.hypot(0.2, ACROSS)
    assert left[2] == pytest.approx(depth, abs=0.02)  # softened


def test_near_columns_show_where_they_are() -> None:
    at_the_surface, far = features((-2.0 + RADIUS, 0.0), (2.0, 3.0)).T
    np.testing.assert_allclose(at_the_surface[4:], [1.0, 0.0], atol=1e-2)
    assert np.abs(far[4:]).max() < 1e-4
    inside = features((-2.0, 0.01))[4:]
    assert np.all(np.isfinite(inside))


def test_turning_everything_turns_directions_only() -> None:
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    column = np.array([0.3, -0.25])
    before = features(tuple(column))[:, 0]
    layout = np.append(turn @ column, RADIUS)[None]
    after = column_features(turn @ START, turn @ TARGET, layout)
    np.testing.assert_allclose(after[:4], before[:4], atol=1e-12)
    np.testing.assert_allclose(after[4:], turn @ before[4:], atol=1e-12)


coordinates = st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6)


@given(numbers=coordinates)
def test_jacobian(numbers: list[float]) -> None:
    """Against differences of fourth order with a hundred times the step."""
    p, target, columns = np.array(numbers[:2]), np.array(numbers[2:4]), np.array([[*numbers[4:], RADIUS]])
    h = 1e-4

    def slope(d: np.ndarray) -> np.ndarray:
        near, far = (
            column_features(p + k * h * d, target, columns) - column_features(p - k * h * d, target, columns)
            for k in (1, 2)
        )
        return (8.0 * near - far) / (12.0 * h)

    assume(np.linalg.norm(columns[0, :2] - p) > 0.05)  # at the axis directions turn within millimetres
    expected = np.stack([slope(d) for d in np.eye(2)], axis=1)
    np.testing.assert_allclose(column_jacobian(p, target, columns), expected, rtol=1e-5, atol=1e-5)


@given(numbers=coordinates)
def test_features_are_bounded(numbers: list[float]) -> None:
    p, target, columns = np.array(numbers[:2]), np.array(numbers[2:4]), np.array([[*numbers[4:], RADIUS]])
    values = column_features(p, target, columns)
    assert np.abs(values[:2]).max() <= 1.0 and np.abs(values[2:4]).max() <= RADIUS + ACROSS
    assert np.abs(values[4:]).max() <= np.exp(2.0)
