"""Many messages of a world, damaged ones among them, and plans in between: never a crash, never a plan in half a world.

The environment variable SOBO_WORLD_MESSAGES says how many.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from world_senders import CloudSender, Known, MarkerSender, SceneSender, Sender, known_of
from world_session import Served, served_session

from sobo_planner.ros.inputs.world_topics import OBSTACLES, PLANNING_SCENE, POINTS, TOPICS
from sobo_planner.ros.support.status import Status

MESSAGES = int(os.environ.get("SOBO_WORLD_MESSAGES", "600"))
EVERY = 30  # messages from one plan to the next


def agree(held: dict[str, Known], believed: dict[str, Known]) -> bool:
    """Whether the same objects are there, each as it was sent."""
    return held.keys() == believed.keys() and all(
        value is None or held[name] == pytest.approx(value, abs=1e-6) for name, value in believed.items()
    )


def take(served: Served, senders: dict[str, Sender], topic: str, chance: random.Random) -> None:
    """Sends a message and compares what is known afterwards with what may be believed."""
    sender, before = senders[topic], len(served.refusals)
    getattr(served.intake, topic)(sender.send(chance))
    refused = len(served.refusals) > before
    others = {name for other in senders.values() if other is not sender for name in other.believed or {}}
    expected = sender.settle(refused, others)
    assert expected is None or refused == expected, served.refusals[-1:]
    believed = {name: known for each in senders.values() for name, known in (each.believed or {}).items()}
    held = {thing.name: known_of(thing) for thing in served.intake.worlds.seen.world.everything}
    assert agree(held, believed)


def ask(served: Served, goal: np.ndarray, heard_of_all: bool) -> dict[str, Any] | None:
    """Asks for a plan, which must be free in the world that is known."""
    report, seen = served.ask(goal), served.intake.worlds.seen
    if not heard_of_all:
        assert report is None and served.count(Status.NO_WORLD) > 0
    elif report is not None:
        assert (report["world"]["version"], report["world"]["hash"]) == (seen.world.version, seen.world.hash)
        motion = served.motions[-1]
        time, n = motion.dt * np.arange(len(motion.X)), served.home.size
        robot = served.session.task.robot.with_world(seen.world)
        assert robot.first_contact(time, motion.X[:, :n], motion.X[:, n:]) is None
    return report


def test_no_message_breaks_anything_and_no_plan_is_made_in_half_a_world(home: np.ndarray) -> None:
    chance = random.Random(0)
    senders = {OBSTACLES: MarkerSender(), PLANNING_SCENE: SceneSender(), POINTS: CloudSender()}
    asked: Counter[str] = Counter()
    with served_session(home, TOPICS, world_topics="points") as served:
        served.intake._frames._fixed["camera"] = served.intake._frames.base  # type: ignore[index]
        for number in range(MESSAGES):
            take(served, senders, chance.choice(TOPICS), chance)
            if number % EVERY:
                continue
            turned = served.home + [chance.choice([-0.8, 0.8]), 0.0, 0.0, 0.0, 0.0, 0.0]
            goal = served.session.task.robot.tool_position(turned)
            whole = all(sender.believed is not None for sender in senders.values())
            asked["planned" if ask(served, goal, whole) is not None else "refused" if whole else "not known"] += 1
        statuses = Counter(refusal.status.value for refusal in served.refusals)
        print(f"{MESSAGES} messages, refused: {dict(statuses)}; plans: {dict(asked)}; {served.counts()}")
    assert statuses.keys() == {"BAD_WORLD", "BAD_FRAME", "STALE_WORLD"} and 0.2 < statuses.total() / MESSAGES < 0.8
    assert served.defects == [] and asked["planned"] >= 0.5 * asked.total() and asked["not known"] > 0
