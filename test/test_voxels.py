"""Point clouds as boxes: all points are in one, and no box is where none is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_planner.errors import WorldError
from sobo_planner.world import Part
from sobo_planner.world.voxels import boxes

EDGE = 0.02


def corners(parts: tuple[Part, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corners (K, 3)."""
    centres = np.array([part.pose.position for part in parts]).reshape(-1, 3)
    halves = 0.5 * np.array([part.shape.size for part in parts]).reshape(-1, 3)  # type: ignore[union-attr]
    return centres - halves, centres + halves


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 400), st.sampled_from([0.05, 0.3, 2.0]))
def test_boxes_hold_all_points_once_and_nothing_else(seed: int, count: int, spread: float) -> None:
    points = np.random.default_rng(seed).normal(0.0, spread, (count, 3))
    parts, edge = boxes(points, EDGE)
    assert edge == EDGE and all(part.pose.quaternion == (0.0, 0.0, 0.0, 1.0) for part in parts)
    low, high = corners(parts)
    inside = (points[:, None] >= low - 1e-9) & (points[:, None] <= high + 1e-9)
    assert inside.all(axis=2).any(axis=1).all()
    cells = {tuple(cell) for cell in np.floor(points / EDGE).astype(int).tolist()}
    assert round(np.prod((high - low) / EDGE, axis=1).sum()) == len(cells)


def test_a_plate_becomes_one_box() -> None:
    x, y = np.meshgrid(np.arange(-0.5, 0.5, 0.007), np.arange(0.1, 0.9, 0.007))
    plate = np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.205)], axis=1)
    [part], _ = boxes(plate, EDGE)
    assert part.shape.size == pytest.approx((1.0, 0.8, 0.02))  # type: ignore[union-attr]
    assert part.pose.position == pytest.approx((0.0, 0.5, 0.21))


def test_no_points_are_no_boxes() -> None:
    assert boxes(np.zeros((0, 3)), EDGE) == ((), EDGE)


def test_too_many_boxes_are_made_coarser_and_hold_the_same() -> None:
    points = np.random.default_rng(1).uniform(-1.0, 1.0, (3000, 3))
    parts, edge = boxes(points, EDGE, most=200)
    assert len(parts) <= 200 and edge in (0.04, 0.08, 0.16, 0.32)
    low, high = corners(parts)
    assert ((points[:, None] >= low - 1e-9) & (points[:, None] <= high + 1e-9)).all(axis=2).any(axis=1).all()
    assert len(boxes(points, edge / 2.0)[0]) > 200 or edge == EDGE


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e5])
def test_points_that_no_grid_has_are_refused(bad: float) -> None:
    with pytest.raises(WorldError, match="points must lie within"):
        boxes(np.array([[0.0, bad, 0.0]]), EDGE)
