"""Snapshots merged from what several sources say."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.errors import RobotError
from sobo_planner.ros.inputs.worlds import Layer, Worlds
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.world import AttachedObject, Sphere, World, WorldObject

TABLE, CAN, CUP = (WorldObject(name, Sphere(0.1)) for name in ("table", "can", "cup"))
HELD = AttachedObject("held", "tool0", Sphere(0.03))
BASE = World((TABLE,), (), frozenset({("a", "b")}))


def worlds(*sources: str) -> Worlds:
    return Worlds(BASE, sources or ("obstacles",), lambda world: None)


def refusal(known: Worlds, timeout: float) -> Refused:
    with pytest.raises(Refused) as refused:
        known.fresh(timeout)
    return refused.value


def test_nothing_is_planned_until_all_sources_were_heard() -> None:
    known = worlds("obstacles", "points")
    assert refusal(known, 0.0).status is Status.NO_WORLD
    known.accept("points", Layer(measured=time.monotonic()))
    assert "on obstacles" in refusal(known, 0.0).detail
    known.refused("obstacles", Refused(Status.BAD_WORLD, "no such type"))
    assert refusal(known, 0.0).detail.endswith("the last message: no such type")
    known.accept("obstacles", Layer((CAN,), measured=time.monotonic()))
    assert known.fresh(10.0).world.objects == (CAN, TABLE) and known.problems == {}


def test_all_layers_are_in_the_world() -> None:
    known = worlds("obstacles", "planning_scene")
    now = time.monotonic()
    known.accept("obstacles", Layer((CAN,), measured=now))
    known.accept("planning_scene", Layer((CUP,), (HELD,), frozenset({("cup", "held")}), now))
    world = known.seen.world
    assert world == World((CAN, CUP, TABLE), (HELD,), frozenset({("a", "b"), ("cup", "held")}))
    known.accept("obstacles", Layer(measured=now))
    assert known.seen.world.objects == (CUP, TABLE) and known.seen.world.version > world.version
    assert len(world.objects) == 3, "who has a snapshot keeps it"


def test_parts_of_a_source_replace_each_other_only() -> None:
    known, now = worlds("points"), time.monotonic()
    known.accept("points", Layer((CAN,), measured=now), "left")
    known.accept("points", Layer((CUP,), measured=now), "right")
    known.accept("points", Layer(measured=now), "left")
    assert known.seen.world.objects == (CUP, TABLE)


def test_the_same_again_is_the_same_snapshot_and_younger() -> None:
    known, now = worlds(), time.monotonic()
    known.accept("obstacles", Layer((CAN,), measured=now - 5.0))
    before = known.seen
    known.accept("obstacles", Layer((WorldObject("can", Sphere(0.1)),), measured=now))
    assert known.seen.world is before.world and before.age >= 5.0 > known.seen.age


def test_a_world_is_as_old_as_its_oldest_source() -> None:
    known, now = worlds("obstacles", "points"), time.monotonic()
    known.accept("obstacles", Layer(measured=now - 3.0))
    known.accept("points", Layer(measured=now))
    assert known.fresh(0.0).age >= 3.0 and known.fresh(60.0)
    stale = refusal(known, 2.0)
    assert stale.status is Status.STALE_WORLD
    assert "obstacles is 3." in stale.detail and "2 s (world_timeout)" in stale.detail
    known.refused("obstacles", Refused(Status.BAD_WORLD, "no such type"))
    assert "no such type" in refusal(known, 2.0).detail
    values = known.values(now)
    assert values["world_age_s"] == "3.000" and values["world_age_points_s"] == "0.000"
    assert values["world_problem_obstacles"] == "no such type" and values["world_objects"] == "1"


def test_worlds_that_do_not_fit_are_refused_and_the_last_one_stays() -> None:
    def tried(world: World) -> None:
        if world.attached:
            raise RobotError("there is no such link")

    known, now = Worlds(BASE, ("obstacles", "planning_scene"), tried), time.monotonic()
    known.accept("obstacles", Layer((CAN,), measured=now))
    before = known.seen
    for layer, message in ((Layer((TABLE,)), "two objects are named 'table'"), (Layer((), (HELD,)), "no such link")):
        with pytest.raises(Refused, match=message) as refused:
            known.accept("planning_scene", layer)
        assert refused.value.status is Status.BAD_WORLD and known.seen is before
    assert known.seen.missing == ("planning_scene",)


def test_a_world_without_topics_has_no_age() -> None:
    assert Worlds(BASE, (), lambda world: None).fresh(0.1).age == 0.0
