"""Point clouds: read as they are laid out, or refused."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from cloud_messages import POINTS, cloud
from sensor_msgs.msg import PointCloud2, PointField

from sobo_planner.robot.frames import Placement, rotate
from sobo_planner.ros.inputs.point_clouds import read_points, within_reach
from sobo_planner.ros.support.status import Refused, Status


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("height, pad, row", [(1, 0, 0), (2, 4, 0), (2, 1, 7)])
def test_points_are_read_in_any_layout(kind: str, height: int, pad: int, row: int) -> None:
    np.testing.assert_allclose(read_points(cloud(POINTS, kind, height, pad, row)), POINTS, rtol=1e-7)


def test_points_that_were_not_measured_are_left_out() -> None:
    points = POINTS.copy()
    points[0, 1], points[2, 2] = np.nan, -np.inf
    np.testing.assert_allclose(read_points(cloud(points)), POINTS[[1, 3]], rtol=1e-7)
    assert read_points(cloud(POINTS[:0])).shape == (0, 3)


def changed(**fields: Any) -> PointCloud2:
    message = cloud()
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def with_field(**fields: Any) -> PointCloud2:
    message = cloud()
    for name, value in fields.items():
        setattr(message.fields[1], name, value)
    return message


@pytest.mark.parametrize(
    "message, why",
    [
        (cloud(np.full((3, 3), np.nan)), "none of 3 points is finite"),
        (changed(width=5), "a row of 5 points"),
        (changed(width=5, row_step=80), "need 80 bytes, got 64"),
        (changed(height=2), "need 128 bytes, got 64"),
        (changed(data=array.array("B", bytes(63))), "need 64 bytes, got 63"),
        (changed(width=2**32 - 1, height=2**32 - 1), "may have"),
        (changed(point_step=8), "ends at 12, after a point's 8 bytes"),
        (changed(fields=[]), "one field x, got 0"),
        (with_field(name="x"), "one field x, got 2"),
        (with_field(datatype=PointField.INT32), "must be one float32"),
        (with_field(count=3), "must be one float32"),
        (with_field(offset=13), "ends at 17"),
    ],
)
def test_clouds_that_are_not_what_they_say_are_refused(message: PointCloud2, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        read_points(message)
    assert refused.value.status is Status.BAD_WORLD


sizes = st.sampled_from([0, 1, 2, 3, 4, 12, 16, 64, 2**31, 2**32 - 1])


@settings(max_examples=100)
@given(sizes, sizes, sizes, sizes, sizes, st.integers(0, 9), st.binary(max_size=64), st.booleans())
def test_any_cloud_is_read_or_refused(
    height: int, width: int, step: int, row: int, offset: int, datatype: int, data: bytes, big: bool
) -> None:
    fields = {"height": height, "width": width, "point_step": step, "row_step": row, "is_bigendian": big}
    message = changed(**fields, data=array.array("B", data))
    message.fields[2].offset, message.fields[2].datatype = offset, datatype
    try:
        points = read_points(message)
    except Refused as refused:
        assert refused.status is Status.BAD_WORLD
    else:
        assert points.shape[1] == 3 and len(points) <= height * width and np.isfinite(points).all()


def test_points_are_moved_and_those_out_of_reach_left_out() -> None:
    quaternion = np.array([0.1, -0.3, 0.2, 0.9])
    frame = Placement(np.array([0.5, 0.0, 0.2]), quaternion / np.linalg.norm(quaternion))
    moved = np.array([rotate(frame.quaternion, point) + frame.position for point in POINTS])
    near = np.linalg.norm(moved, axis=1) <= 2.0
    assert 0 < near.sum() < len(POINTS)
    np.testing.assert_allclose(within_reach(POINTS, frame, 2.0), moved[near], atol=1e-12)
    assert len(within_reach(np.array([[1e308, 1e308, 1e308]]), frame, 2.0)) == 0
