"""The worlds of a recording: which one an instance was made in, and the task there."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sobo_planner.errors import RobotError, WorldError
from sobo_planner.tasks import ArmReach
from sobo_planner.world import World, world_from_dict
from sobo_training.bags.decoding import Decode

# Tasks in worlds that are kept: each has a solver's memory with it.
KEPT = 4
USED, DAMAGED = "worlds that plans were made in", "cannot be read as a world"


class UnknownWorldError(Exception):
    """It is not known in which world something was made."""


@dataclass(frozen=True)
class LoggedWorld:
    """A world as it was recorded.

    Attributes:
        world: The world, with a version of its own.
        margin: Distance that was kept from its objects [m].
    """

    world: World
    margin: float

    @property
    def key(self) -> str:
        """The same for what means the same."""
        return f"{self.world.hash} {self.margin!r}"


class LoggedWorlds:
    """The worlds of one bag, in the order in which they were recorded.

    Args:
        frame: The root link, which worlds are given in.
    """

    def __init__(self, frame: str) -> None:
        self._frame = frame
        self._times: list[int] = []
        self._versions: list[int | None] = []
        self._worlds: list[LoggedWorld | None] = []

    def add(self, time: int, payload: bytes, decode: Decode) -> str:
        """Takes a message that was recorded at a time [ns]. Returns what became of it."""
        version, found, use = None, None, USED
        try:
            data = json.loads(decode("std_msgs/msg/String", payload).data)
            version, margin = int(data["version"]), float(data["margin"])
            world = world_from_dict(data["world"], self._frame)
            if world.hash != data["hash"] or not 0.0 <= margin <= 1.0:
                raise ValueError("its parts contradict each other")
            found = LoggedWorld(world, margin)
        except (ValueError, KeyError, TypeError, AttributeError, WorldError):
            use = DAMAGED
        self._times.append(time)
        self._versions.append(version)
        self._worlds.append(found)
        return use

    def of(self, version: int | None, time: int) -> LoggedWorld | None:
        """The world of a version, or without one that at a time [ns]; None for an arm without surroundings.

        Raises:
            UnknownWorldError: Its message is damaged or lost.
        """
        if version is not None:
            found = next((w for v, w in zip(self._versions, self._worlds, strict=True) if v == version and w), None)
            if found is None:
                raise UnknownWorldError("the world that it was made in is damaged or lost")
            return _unless_empty(found)
        before = [place for place, recorded in enumerate(self._times) if recorded <= time]
        if not before:
            return None
        there = self._worlds[max(before, key=lambda place: (self._times[place], place))]
        if there is None:
            raise UnknownWorldError("the world at that time is damaged")
        return _unless_empty(there)


def _unless_empty(logged: LoggedWorld) -> LoggedWorld | None:
    return logged if logged.world.everything else None


class Views:
    """The present task in worlds that were recorded; the last few are kept.

    Args:
        task: The present task.
    """

    def __init__(self, task: ArmReach) -> None:
        self._task = task
        self._views: OrderedDict[str, ArmReach] = OrderedDict()

    def of(self, logged: LoggedWorld | None) -> ArmReach:
        """The task in a world.

        Raises:
            UnknownWorldError: It does not fit the task's arm.
        """
        if logged is None:
            return self._task
        if logged.key not in self._views:
            try:
                self._views[logged.key] = self._task.with_world(logged.world, logged.margin)
            except RobotError as error:
                raise UnknownWorldError("its world does not fit the arm") from error
        self._views.move_to_end(logged.key)
        while len(self._views) > KEPT:
            self._views.popitem(last=False)
        return self._views[logged.key]


def described(logged: LoggedWorld) -> dict[str, Any]:
    """A world as JSON values, as reports hold it."""
    return {"margin": logged.margin, "world": logged.world.to_dict()}
