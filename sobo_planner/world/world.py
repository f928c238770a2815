"""Snapshots of the arm's surroundings: immutable, and cheap to replace by a changed one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sobo_planner.errors import WorldError
from sobo_planner.world.meaning import meaning_of_attached, meaning_of_shapes
from sobo_planner.world.objects import AttachedObject, WorldObject
from sobo_planner.world.pose import Pose
from sobo_planner.world.values import digest, name, shown

#: Version of the form that `World.to_dict` gives.
FORMAT = 1
#: Shapes of a world, those of attached objects included, and pairs that may touch.
MOST_SHAPES, MOST_PAIRS = 10_000, 100_000

_versions = itertools.count(1)


@dataclass(frozen=True)
class World:
    """A snapshot of obstacles, attached objects, and pairs that may touch.

    Two worlds are equal if they hold the same, in whatever order it was given.

    Attributes:
        objects: Obstacles, sorted by name.
        attached: What is fixed to links, sorted by name.
        allowed: Pairs of names, of objects or links, that may touch; each sorted. What they name need not be there.
        version: Differs between any two snapshots that a process makes; later ones have larger numbers.
    """

    objects: tuple[WorldObject, ...] = ()
    attached: tuple[AttachedObject, ...] = ()
    allowed: frozenset[tuple[str, str]] = frozenset()
    version: int = field(default_factory=lambda: next(_versions), init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", tuple(sorted(self.objects, key=lambda each: each.name)))
        object.__setattr__(self, "attached", tuple(sorted(self.attached, key=lambda each: each.name)))
        seen: set[str] = set()
        for each in self.everything:
            if each.name in seen:
                raise WorldError(f"two objects are named {each.name!r}; names must be unique: rename one")
            seen.add(each.name)
        shapes = sum(len(each.parts) for each in self.everything)
        if shapes > MOST_SHAPES:
            raise WorldError(f"a world may have {MOST_SHAPES} shapes, got {shapes}; leave out what is out of reach")
        if len(self.allowed) > MOST_PAIRS:
            raise WorldError(f"a world may have {MOST_PAIRS} allowed pairs, got {len(self.allowed)}")
        object.__setattr__(self, "allowed", frozenset(allowed_pair(pair) for pair in self.allowed))

    @property
    def everything(self) -> tuple[WorldObject | AttachedObject, ...]:
        """Obstacles, then attached objects."""
        return self.objects + self.attached

    @cached_property
    def hash(self) -> str:
        """Hash of what the world means: the same for any order, any split of poses, and q or -q; to 1e-9 m."""
        meaning = [
            FORMAT,
            [[each.name, meaning_of_shapes(each.shapes)] for each in self.objects],
            [meaning_of_attached(each) for each in self.attached],
            sorted(self.allowed),
        ]
        return digest(meaning)[:16]

    def find(self, name: str) -> WorldObject | AttachedObject:
        """The object of a name, attached ones included.

        Raises:
            WorldError: There is none.
        """
        for each in self.everything:
            if each.name == name:
                return each
        known = shown([each.name for each in self.everything])
        raise WorldError(f"there is no object named {shown(name)}; there are {known}")

    def allows(self, first: str, second: str) -> bool:
        """Whether two objects or links may touch: an allowed pair, or an attached object and a link it touches."""
        return (min(first, second), max(first, second)) in self.touching

    def with_object(self, *objects: WorldObject) -> World:
        """A snapshot with obstacles added, or replaced where there are ones of their names.

        Raises:
            WorldError: A name is that of an attached object, or given twice.
        """
        return replace(self, objects=(*_others(self.objects, objects), *objects))

    def with_attached(self, *attached: AttachedObject) -> World:
        """The same for attached objects.

        Raises:
            WorldError: A name is that of an obstacle, or given twice.
        """
        return replace(self, attached=(*_others(self.attached, attached), *attached))

    def without(self, *names: str) -> World:
        """A snapshot without objects, attached or not; allowed pairs stay.

        Raises:
            WorldError: There is no object of a name.
        """
        gone = [self.find(name) for name in names]
        return replace(self, objects=_others(self.objects, gone), attached=_others(self.attached, gone))

    def with_pose(self, name: str, pose: Pose) -> World:
        """A snapshot in which an object has another pose, in the base frame or that of its link.

        Raises:
            WorldError: There is no object of that name.
        """
        moved = replace(self.find(name), pose=pose)
        return self.with_object(moved) if isinstance(moved, WorldObject) else self.with_attached(moved)

    def with_allowed(self, *pairs: Sequence[str]) -> World:
        """A snapshot in which further pairs of names may touch."""
        return replace(self, allowed=self.allowed | {allowed_pair(pair) for pair in pairs})

    def without_allowed(self, *pairs: Sequence[str]) -> World:
        """A snapshot in which these pairs may not touch; those that were not allowed stay so."""
        return replace(self, allowed=self.allowed - {allowed_pair(pair) for pair in pairs})

    def to_dict(self) -> dict[str, Any]:
        """The world in plain values, as in a world file; `world_from_dict` reads them back to an equal world."""
        return {
            "format": FORMAT,
            "objects": {each.name: each.to_dict() for each in self.objects},
            "attached": {each.name: each.to_dict() for each in self.attached},
            "allowed": [list(pair) for pair in sorted(self.allowed)],
        }

    @cached_property
    def touching(self) -> frozenset[tuple[str, str]]:
        """All pairs that may touch: allowed ones, and attached objects with their links."""
        pairs = {
            allowed_pair((each.name, link))
            for each in self.attached
            for link in {each.link, *each.touches} - {each.name}
        }
        return self.allowed | pairs


def _others(all_of_them: Iterable[Any], some: Iterable[Any]) -> tuple[Any, ...]:
    """Those whose names none of some has."""
    names = {each.name for each in some}
    return tuple(each for each in all_of_them if each.name not in names)


def allowed_pair(pair: Sequence[str]) -> tuple[str, str]:
    """Two names in order.

    Raises:
        WorldError: They are something else.
    """
    if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
        raise WorldError(f"an allowed pair must be two names, got {shown(pair)}")
    first, second = sorted(name(each, "a name in an allowed pair") for each in pair)
    if first == second:
        raise WorldError(f"an allowed pair must be two different names, got {first!r} twice")
    return first, second
