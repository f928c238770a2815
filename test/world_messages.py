"""Messages of obstacles and clouds, as senders of worlds make them."""

from __future__ import annotations

from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from cloud_messages import cloud
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray


def stamp(seconds: float) -> Time:
    return Time(sec=int(seconds), nanosec=round(1e9 * (seconds % 1.0)))


def cube(number: int, size: float = 0.1, at: tuple[float, float, float] = (0.5, 0.0, 0.5), **fields: Any) -> Marker:
    header = fields.pop("header", Header(frame_id="base_link"))
    made = Marker(
        ns="cell", id=number, type=Marker.CUBE, header=header, scale=Vector3(x=size, y=size, z=size), **fields
    )
    made.pose.position = Point(x=at[0], y=at[1], z=at[2])
    return made


def markers(*given: Marker) -> MarkerArray:
    return MarkerArray(markers=list(given))


def points(*given: tuple[float, float, float], at: float = 0.0, frame: str = "base_link") -> Any:
    message = cloud(np.array(given, float).reshape(-1, 3))
    message.header.frame_id, message.header.stamp = frame, stamp(at)
    return message
