"""ROS 2 layer: nodes, message conversion and validation. Nothing outside this package knows ROS."""

from __future__ import annotations

try:
    import rclpy  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sobo_planner.ros needs rclpy: source a ROS 2 distribution, or install the wheels with "
        "`pip install 'sobo_planner[ros]'`"
    ) from error
