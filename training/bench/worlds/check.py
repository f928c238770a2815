"""An independent check of motions among obstacles: Pinocchio and Coal, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import coal
import numpy as np
import pinocchio as pin

#: A point of the fastest link moves this far at most from one configuration to the next [m], or by this share of the
#: smallest distance where that is more.
STEP, SHARE = 1e-3, 0.8
#: Reach of the arm, with what it holds [m].
REACH = 1.2


class Check:
    """The same arm and world in Pinocchio's own bindings, built without this project's code."""

    def __init__(self, urdf: str, problem: dict[str, Any], spheres: Sequence[Sequence[float]]) -> None:
        self.model = pin.buildModelFromUrdf(urdf)
        self.geometry = pin.buildGeomFromUrdf(self.model, urdf, pin.GeometryType.COLLISION)
        frame = self.model.frames[self.model.getFrameId("tool0")]
        for number, (x, y, z, radius) in enumerate(spheres):
            place = frame.placement * pin.SE3(np.eye(3), np.array([x, y, z]))
            shape = coal.Sphere(radius)
            self.geometry.addGeometryObject(pin.GeometryObject(f"tool{number}", frame.parentJoint, place, shape))
        joints = [each.parentJoint for each in self.geometry.geometryObjects]
        for i in range(len(joints)):
            for j in range(i + 1, len(joints)):
                if abs(joints[i] - joints[j]) > 1:
                    self.geometry.addCollisionPair(pin.CollisionPair(i, j))
        moving = [i for i, joint in enumerate(joints) if joint > 0]
        for number, each in enumerate(problem["obstacles"]):
            size, q = each["size"], each["quaternion"]
            shape = {
                "box": lambda size=size: coal.Box(*size),
                "cylinder": lambda size=size: coal.Cylinder(size[1], size[0]),
                "sphere": lambda size=size: coal.Sphere(size[0]),
            }[each["shape"]]()
            turn = pin.Quaternion(q[3], q[0], q[1], q[2]).normalized().matrix()
            pose = pin.SE3(turn, np.array(each["position"]))
            index = self.geometry.addGeometryObject(pin.GeometryObject(f"{each['name']}#{number}", 0, pose, shape))
            for i in moving:
                self.geometry.addCollisionPair(pin.CollisionPair(i, index))
        self.data, self.places = self.model.createData(), self.geometry.createData()

    def touches(self, q: np.ndarray) -> bool:
        """Whether two bodies touch."""
        return bool(pin.computeCollisions(self.model, self.data, self.geometry, self.places, q, True))

    def distance(self, q: np.ndarray) -> float:
        """The smallest distance of two bodies [m]; negative where they overlap."""
        nearest = pin.computeDistances(self.model, self.data, self.geometry, self.places, q)
        return float(self.places.distanceResults[nearest].min_distance)

    def contact(self, time: np.ndarray, Q: np.ndarray, V: np.ndarray) -> float | None:
        """When two bodies first touch along the cubic splines through points; None if never.

        It looks every `STEP`, and less often where nothing is so near.
        """
        for t0, t1, p0, p1, v0, v1 in zip(time[:-1], time[1:], Q[:-1], Q[1:], V[:-1], V[1:], strict=True):
            h, s = t1 - t0, 0.0
            c2, c3 = (3 * (p1 - p0) - (2 * v0 + v1) * h) / h**2, (-2 * (p1 - p0) + (v0 + v1) * h) / h**3
            middle = 3 * (p1 - p0) / h - v0 - v1  # with v0 and v1 the velocity's Bezier points, which bound it
            fastest = REACH * np.abs([v0, middle, v1]).max(axis=0).sum()
            while s < h:
                distance = self.distance(p0 + v0 * s + c2 * s**2 + c3 * s**3)
                if distance <= 0.0:
                    return float(t0 + s)
                s += max(STEP, SHARE * distance) / max(fastest, 1e-9)
        return float(time[-1]) if self.touches(Q[-1]) else None
