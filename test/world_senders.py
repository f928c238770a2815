"""Senders of worlds on topics that send some damaged messages, and know what may be believed of them.

A sender says of each message whether it has to be refused, and keeps what a receiver that takes messages whole or not
at all must hold afterwards: all that was sent, or what it held before.
"""

from __future__ import annotations

import itertools
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import numpy as np
from scene_messages import Message, attached, ball, pose, scene
from visualization_msgs.msg import Marker, MarkerArray
from world_messages import cube, markers, points, stamp

from sobo_planner.world import AttachedObject, Sphere, WorldObject

NOW = 1000.0  # ROS time [s]
OLD = NOW - 1e4  # past any `world_timeout`
EDGE = 0.02  # `points_resolution` [m]
ODD = [math.nan, math.inf, -math.inf, 1e308, -1e9, 5e-324, -0.0, 0.0, 1.0, -2.0]
SIZES = [0.05, 0.1, 0.15]

# What is known of an object: numbers that are rounded; None for anything.
Known = tuple[float, ...] | None


def known_of(thing: WorldObject | AttachedObject) -> Known:
    """What a world says of an object: that of clouds how many cells it fills, that of others size and place."""
    if thing.name.startswith("points"):
        volumes = [math.prod(part.shape.to_dict()["box"]["size"]) for part in thing.parts]
        return (round(sum(volumes) / EDGE**3),)
    shape = thing.parts[0].shape
    size = shape.radius if isinstance(shape, Sphere) else shape.to_dict()["box"]["size"][0]
    return round(size, 9), round(thing.pose.position[0], 9), len(thing.parts)


class Sender(ABC):
    """One that sends on a topic.

    Attributes:
        believed: What a receiver must hold, by the names of objects; None before it took anything.
    """

    def __init__(self) -> None:
        self.believed: dict[str, Known] | None = None

    @abstractmethod
    def send(self, chance: random.Random) -> Any:
        """The next message."""

    @abstractmethod
    def settle(self, refused: bool, others: Collection[str]) -> bool | None:
        """What follows for `believed` when it is known whether the message was refused.

        Args:
            refused: Whether it was.
            others: Names of what comes from elsewhere.

        Returns:
            Whether it had to be; None if either is right.
        """


class MarkerSender(Sender):
    """Cubes with the numbers 0 to 5."""

    def __init__(self) -> None:
        super().__init__()
        self._meant: dict[str, Known] = {}
        self._doubt: set[str] = set()  # sent in messages that were refused
        self._lost = False  # a message that deletes all was refused
        self._message = MarkerArray()
        self._damaged: bool | None = False  # None: something in it was changed, to whatever

    def send(self, chance: random.Random) -> MarkerArray:
        """See `Sender.send`."""
        sent = [self._any(chance) for _ in range(chance.randrange(5))]
        self._damaged = chance.choices([False, True, None], [6, 3, 1])[0]
        if self._damaged:
            sent.insert(chance.randrange(len(sent) + 1), _damaged_marker(chance))
        elif self._damaged is None and sent and not self._doubt and not self._lost:
            _change(chance.choice(sent), chance)
        else:
            self._damaged = False
        self._message = markers(*sent)
        return self._message

    @staticmethod
    def _any(chance: random.Random) -> Marker:
        action = chance.choices([Marker.ADD, Marker.DELETE, Marker.DELETEALL], [6, 3, 1])[0]
        at = (chance.choice([0.6, 0.7, -0.5]), chance.choice([-0.4, 0.1, 0.4]), chance.choice([0.1, 0.5]))
        return cube(chance.randrange(6), chance.choice(SIZES), at, action=action)

    def settle(self, refused: bool, others: Collection[str]) -> bool | None:
        """See `Sender.settle`."""
        if refused if self._damaged is None else self._damaged:
            self._distrust()
            return self._damaged
        meant, doubt, lost = dict(self._meant), set(self._doubt), self._lost
        for marker in self._message.markers:
            name = f"cell/{marker.id}"
            if marker.action == Marker.DELETEALL:
                meant, doubt, lost = {}, set(), False
                continue
            doubt.discard(name)
            meant.pop(name, None)
            if marker.action == Marker.ADD:
                here = (round(marker.scale.x, 9), round(marker.pose.position.x, 9), 1)
                meant[name] = None if self._damaged is None else here
        self._meant, self._doubt, self._lost = meant, doubt, lost
        if doubt or lost:
            return True
        if meant.keys() & others:
            self._distrust()
            return True
        self.believed = dict(meant)
        return False

    def _distrust(self) -> None:
        """All that the message names has to come again."""
        for marker in self._message.markers:
            if marker.action == Marker.DELETEALL:
                self._lost = True
            else:
                self._doubt.add(f"cell/{marker.id}")


def _damaged_marker(chance: random.Random) -> Marker:
    marker = cube(chance.randrange(6))
    fault = chance.randrange(6)
    if fault == 0:
        marker.pose.position.y = chance.choice([math.nan, math.inf, 1e300])
    elif fault == 1:
        marker.scale.z = chance.choice([0.0, -0.1, math.nan])
    elif fault == 2:
        marker.header.frame_id = chance.choice(["", "map", "/base_link"])
    elif fault == 3:
        marker.type = chance.choice([Marker.ARROW, Marker.MESH_RESOURCE, 99])
    elif fault == 4:
        marker.pose.orientation.w = 0.3
    else:
        marker.header.stamp = stamp(OLD)
    return marker


def _change(marker: Marker, chance: random.Random) -> None:
    """Sets a number, a type or a frame of a marker to anything."""
    owner, name = chance.choice(
        [
            *((marker.pose.position, axis) for axis in "xyz"),
            *((marker.pose.orientation, axis) for axis in "xyzw"),
            *((marker.scale, axis) for axis in "xyz"),
            *((marker.color, channel) for channel in "rgba"),
        ]
    )
    try:
        setattr(owner, name, chance.choice(ODD))
    except AssertionError:  # more than the type of the field holds
        marker.type = chance.randrange(13)


class SceneSender(Sender):
    """Balls, and some that the tool holds, in whole scenes and changes to them."""

    NAMES = ("can", "cup", "mug", "cell/1")

    def __init__(self) -> None:
        super().__init__()
        self._lost = True
        self._whole = self._damaged = False
        self._next: dict[str, Known] = {}
        self._held: set[str] = set()

    def send(self, chance: random.Random) -> Message:
        """See `Sender.send`."""
        self._damaged = chance.random() < 0.2
        self._whole = chance.random() < (0.5 if self._lost else 0.2)
        message = self._whole_scene(chance) if self._whole else self._changes(chance)
        if self._damaged:
            _damage_scene(message, chance)
        return message

    def _whole_scene(self, chance: random.Random) -> Message:
        names = chance.sample(self.NAMES, chance.randrange(len(self.NAMES)))
        placed = {name: (chance.choice(SIZES), chance.choice([-0.6, 0.8])) for name in names}
        self._next = {name: (*values, 1) for name, values in placed.items()}
        held = chance.random() < 0.5
        if held:
            self._next["part"] = (0.03, 0.0, 1)
        return scene(*(_ball(name, *values) for name, values in placed.items()), held=(_part(),) if held else ())

    def _changes(self, chance: random.Random) -> Message:
        self._next, sent = dict(self.believed or {}), []
        for name in chance.sample(self.NAMES, chance.randrange(4)):
            size, x = chance.choice(SIZES), chance.choice([-0.6, 0.8])
            if name in self._next and chance.random() < 0.6:
                move = chance.random() < 0.5
                sent.append(ball(name, at=pose(x), operation=b"\3" if move else b"\1"))
                before = self._next.pop(name)
                if move:
                    sent[-1].primitives, sent[-1].primitive_poses = [], []
                    self._next[name] = None if before is None else (before[0], x, 1)
            else:
                sent.append(_ball(name, size, x))
                self._next[name] = (size, x, 1)
        if "part" in self._next and chance.random() < 0.3:  # it is let go of, and is gone
            del self._next["part"]
            sent.append(ball("part", operation=b"\1"))
            let_go = _part()
            let_go.object.operation = b"\1"
            return scene(*sent, held=(let_go,), is_diff=True)
        return scene(*sent, is_diff=True)

    def settle(self, refused: bool, others: Collection[str]) -> bool | None:
        """See `Sender.settle`."""
        bad = self._damaged or (self._lost and not self._whole) or bool(self._next.keys() & others)
        self._lost = bad
        if not bad:
            self.believed = self._next
        return bad


def _ball(name: str, radius: float, x: float) -> Message:
    return ball(name, radius, pose(x, 0.0, -0.4))


def _part() -> Message:
    wrist = tuple(f"wrist_{number}_link" for number in (1, 2, 3))
    return attached(ball("part", 0.03, pose()), "tool0", (*wrist, "forearm_link"))


def _damage_scene(message: Message, chance: random.Random) -> None:
    bad = _ball("can", 0.05, 0.8)
    fault = chance.randrange(7)
    if fault == 0:
        bad.primitives[0].dimensions = [chance.choice([math.nan, 0.0, -1.0])]
    elif fault == 1:
        bad.pose.position.z = chance.choice([math.nan, math.inf, 1e300])
    elif fault == 2:
        bad.header.frame_id = chance.choice(["", "map", "/base_link"])
    elif fault == 3:
        bad.operation = b"\7"
    elif fault == 4:
        bad.primitives = []
    elif fault == 5:
        message.link_padding[0].padding = 0.1
    else:
        message.world.octomap.octomap.data = [1]
    message.world.collision_objects.insert(chance.randrange(len(message.world.collision_objects) + 1), bad)


class CloudSender(Sender):
    """Two cameras that see some cells below the arm."""

    FRAMES = ("base_link", "camera")

    def __init__(self) -> None:
        super().__init__()
        self._frame = ""
        self._cells = 0
        self._damaged = False
        self._names: dict[str, str] = {}
        self._sent = 0

    def send(self, chance: random.Random) -> Any:
        """See `Sender.send`."""
        self._frame, self._damaged = chance.choice(self.FRAMES), chance.random() < 0.3
        cells = chance.sample(list(itertools.product(range(25, 28), range(3), range(-20, -16))), chance.randrange(9))
        self._cells, self._sent = len(cells), self._sent + 1
        seen = [(EDGE * (x + 0.5), EDGE * (y + 0.5), EDGE * (z + 0.5)) for x, y, z in cells for _ in range(2)]
        message = points(*seen, at=NOW - 30.0 + 1e-3 * self._sent, frame=self._frame)
        if self._damaged:
            self._damage(message, chance)
        return message

    def _damage(self, message: Any, chance: random.Random) -> None:
        fault = chance.randrange(5)
        if fault == 0:
            message.fields = message.fields[:2]
        elif fault == 1:
            message.height, message.width = 5, 1000
        elif fault == 2:
            message.header.frame_id = chance.choice(["", "map", "/base_link"])
        elif fault == 3:
            before = NOW - 40.0 if self._frame in self._names else OLD  # the cloud before was younger
            message.header.stamp = stamp(chance.choice([OLD, NOW + 1e4, before]))
        else:
            message.width, message.height, message.row_step = 2, 1, 32
            message.data = type(message.data)("B", np.full(8, np.nan, np.float32).tobytes())

    def settle(self, refused: bool, others: Collection[str]) -> bool | None:
        """See `Sender.settle`."""
        if self._damaged:
            return True
        name = self._names.setdefault(self._frame, f"points/{self._frame}" if self._names else "points")
        self.believed = {key: value for key, value in (self.believed or {}).items() if key != name}
        if self._cells:
            self.believed[name] = (self._cells,)
        return False
