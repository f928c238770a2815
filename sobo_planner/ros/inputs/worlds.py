"""The world as it is known now: a file and what comes on topics, merged into immutable snapshots."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sobo_planner.errors import SoboError
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import AttachedObject, World, WorldObject


@dataclass(frozen=True)
class Layer:
    """What one source says.

    Attributes:
        objects: Obstacles.
        attached: Attached objects.
        allowed: Pairs that may touch.
        measured: When it was so, in monotonic time [s].
    """

    objects: tuple[WorldObject, ...] = ()
    attached: tuple[AttachedObject, ...] = ()
    allowed: frozenset[tuple[str, str]] = frozenset()
    measured: float = math.inf

    @classmethod
    def of(cls, world: World, measured: float = math.inf) -> Layer:
        """All that a world holds."""
        return cls(world.objects, world.attached, world.allowed, measured)

    def same(self, other: Layer | None) -> bool:
        """Whether it says the same as another one, whenever that was."""
        return other is not None and (self.objects, self.attached, self.allowed) == (
            other.objects,
            other.attached,
            other.allowed,
        )


@dataclass(frozen=True)
class SeenWorld:
    """A snapshot and when it was so.

    Attributes:
        world: All that is known.
        measured: Monotonic time [s] of the source that was heard of the longest ago; infinite without any.
        missing: Sources that nothing has come in from.
    """

    world: World
    measured: float = math.inf
    missing: tuple[str, ...] = ()

    @property
    def age(self) -> float:
        """Seconds since it was measured; 0 for a world that comes from a file alone."""
        return max(time.monotonic() - self.measured, 0.0)

    @property
    def summary(self) -> dict[str, float]:
        """What reports say of it."""
        return {"version": self.world.version, "objects": len(self.world.everything), "age_s": self.age}


class Worlds:
    """Merges layers into snapshots. One thread accepts, any thread looks.

    Args:
        base: What is there always.
        sources: Names of the topics that it comes from.
        tried: Raises a SoboError for a world that cannot be used, which is then not taken.
    """

    def __init__(self, base: World, sources: Sequence[str], tried: Callable[[World], object]) -> None:
        self.sources = tuple(sources)
        self._base, self._tried = Layer.of(base), tried
        self._layers: Mapping[tuple[str, str], Layer] = MappingProxyType({})
        self._seen = SeenWorld(base, missing=self.sources)
        self.problems: dict[str, str] = {}

    @property
    def seen(self) -> SeenWorld:
        """The latest snapshot."""
        return self._seen

    def accept(self, source: str, layer: Layer, part: str = "") -> None:
        """Replaces what a source says.

        Args:
            source: Name of the topic.
            layer: What it says now.
            part: Which part of it, for a topic on which several speak.

        Raises:
            Refused: BAD_WORLD, the world would not be one, or not fit the arm; the last one stays.
        """
        layers = {**self._layers, (source, part): layer}
        world = self._seen.world
        if not layer.same(self._layers.get((source, part))):
            world = self._merged(layers)
        heard = {name for name, _ in layers}
        missing = tuple(name for name in self.sources if name not in heard)
        measured = min(each.measured for each in layers.values())
        self._layers, self._seen = layers, SeenWorld(world, measured, missing)
        self.problems.pop(source, None)

    def refused(self, source: str, refusal: Refused) -> None:
        """Notes why a message of a source was refused, for the diagnostics; until one is taken."""
        self.problems[source] = refusal.detail

    def _merged(self, layers: Mapping[tuple[str, str], Layer]) -> World:
        every = [self._base, *layers.values()]
        try:
            world = World(
                tuple(each for layer in every for each in layer.objects),
                tuple(each for layer in every for each in layer.attached),
                frozenset(pair for layer in every for pair in layer.allowed),
            )
            self._tried(world)
        except SoboError as error:
            raise Refused(Status.BAD_WORLD, str(error)) from error
        return world

    def ages(self, now: float) -> dict[str, float]:
        """Age of each source that was heard of [s], at a monotonic time [s]."""
        ages: dict[str, float] = {}
        for (name, _), layer in self._layers.items():
            ages[name] = max(ages.get(name, 0.0), now - layer.measured)
        return ages

    def fresh(self, timeout: float) -> SeenWorld:
        """The latest snapshot.

        Args:
            timeout: Age [s] that it may have; 0: any.

        Raises:
            Refused: NO_WORLD, a source has not been heard of yet; STALE_WORLD, it is too old.
        """
        seen = self._seen
        if seen.missing:
            problems = "; ".join(filter(None, (self.problems.get(name) for name in seen.missing)))
            detail = f"nothing valid has come in yet on {', '.join(seen.missing)}"
            raise Refused(Status.NO_WORLD, f"{detail}; the last message: {problems}" if problems else detail)
        if 0.0 < timeout < seen.age:
            name, age = max(self.ages(time.monotonic()).items(), key=lambda item: item[1])
            problem = self.problems.get(name, "")
            why = f"; the last message: {problem}" if problem else ""
            detail = f"what came on {name} is {age:.2f} s old, allowed are {timeout:g} s (world_timeout)"
            raise Refused(Status.STALE_WORLD, detail + why)
        return seen

    def values(self, now: float) -> dict[str, str]:
        """What the diagnostics say, at a monotonic time [s]."""
        seen = self._seen
        ages = {f"world_age_{name}_s": f"{age:.3f}" for name, age in self.ages(now).items()}
        return {
            "world_version": str(seen.world.version),
            "world_objects": str(len(seen.world.everything)),
            "world_age_s": "" if math.isinf(seen.measured) else f"{now - seen.measured:.3f}",
            "world_missing": ", ".join(seen.missing),
            **ages,
            **{f"world_problem_{name}": problem for name, problem in self.problems.items()},
        }
