"""What objects of a world mean, in plain values: the same however their poses are split and their shapes ordered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sobo_planner.world.objects import AttachedObject, Part
from sobo_planner.world.shapes import HalfSpace
from sobo_planner.world.values import rounded


def meaning_of_shapes(parts: Iterable[Part]) -> list[Any]:
    """Placed shapes in an order of their own."""
    return sorted((_meaning_of_part(part) for part in parts), key=json.dumps)


def meaning_of_attached(each: AttachedObject) -> list[Any]:
    """What an attached object means."""
    centre = None if each.centre is None else each.pose.point(each.centre)
    touches = sorted({*each.touches} - {each.link})
    return [each.name, each.link, meaning_of_shapes(each.shapes), touches, *rounded([each.mass, centre])]


def _meaning_of_part(part: Part) -> list[Any]:
    shape, pose = part.shape, part.pose
    if isinstance(shape, HalfSpace):
        normal = pose.direction(shape.normal)
        return rounded(
            [shape.kind, normal, shape.offset + sum(n * p for n, p in zip(normal, pose.position, strict=True))]
        )
    return [shape.identity, *pose.identity()]
