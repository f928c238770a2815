"""Worlds as a bag holds them: one message for each that something was planned in."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sobo_planner.ros.record import fast_cdr
from sobo_planner.world import Mesh, World


@dataclass(frozen=True)
class Surrounding:
    """A world and how far plans in it keep from its objects.

    Attributes:
        world: The world.
        margin: Distance to be kept from obstacles [m].
    """

    world: World
    margin: float

    def cdr(self) -> bytes:
        """The message, as docs/bags.md has it."""
        about = {"version": self.world.version, "hash": self.world.hash, "margin": self.margin}
        return fast_cdr.text(json.dumps(about | {"world": self.world.to_dict()}, separators=(",", ":")))

    @property
    def size(self) -> int:
        """About how large the message is [bytes]."""
        shapes = [part.shape for each in self.world.everything for part in each.parts]
        meshes = [shape for shape in shapes if isinstance(shape, Mesh)]
        return 300 * (1 + len(shapes)) + sum(60 * len(each.vertices) + 25 * len(each.faces) for each in meshes)
