"""Poses as plain numbers: a position and a unit quaternion."""

from __future__ import annotations

from dataclasses import dataclass

from sobo_planner.world.values import Triple, numbers, rounded, triple, unit


@dataclass(frozen=True)
class Pose:
    """Where a frame is in another one.

    Attributes:
        position: Of its origin [m].
        quaternion: Its orientation x, y, z, w; made to have length 1 exactly where it nearly has.
    """

    position: Triple = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", triple(self.position, "the position"))
        values = numbers(self.quaternion, "the quaternion", 4, -2.0, 2.0, "")
        object.__setattr__(self, "quaternion", unit(values, "the quaternion"))

    def __matmul__(self, other: Pose) -> Pose:
        """The pose `other`, given in this frame, in the frame that this one is given in."""
        (ax, ay, az, aw), (bx, by, bz, bw) = self.quaternion, other.quaternion
        product = (
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        )
        return Pose(self.point(other.position), product)

    def inverse(self) -> Pose:
        """Where the other frame is in this one."""
        x, y, z, w = self.quaternion
        back = Pose((0.0, 0.0, 0.0), (-x, -y, -z, w))
        px, py, pz = back.direction(self.position)
        return Pose((-px, -py, -pz), back.quaternion)

    def point(self, point: Triple) -> Triple:
        """A point given in this frame, in the frame that this one is given in."""
        turned = self.direction(point)
        return tuple(p + t for p, t in zip(self.position, turned, strict=True))  # type: ignore[return-value]

    def direction(self, vector: Triple) -> Triple:
        """A vector given in this frame, turned into the frame that this one is given in."""
        (qx, qy, qz, qw), (x, y, z) = self.quaternion, vector
        tx, ty, tz = 2.0 * (qy * z - qz * y), 2.0 * (qz * x - qx * z), 2.0 * (qx * y - qy * x)
        return (
            x + qw * tx + qy * tz - qz * ty,
            y + qw * ty + qz * tx - qx * tz,
            z + qw * tz + qx * ty - qy * tx,
        )

    def identity(self) -> tuple[float, ...]:
        """Rounded numbers that are equal for equal poses: q and -q are the same orientation."""
        turn = rounded(self.quaternion)
        sign = 1.0 if next(value for value in reversed(turn) if value) > 0.0 else -1.0
        return (*rounded(self.position), *(sign * value + 0.0 for value in turn))
