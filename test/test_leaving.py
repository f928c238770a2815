"""Leaving a contact that the arm is in: out of it, into nothing else, and not back. Distances are Coal's own."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import coal
import numpy as np
import pinocchio as pin
import pytest

from sobo_planner.errors import PlanRefusedError, StartError
from sobo_planner.planning import Planner
from sobo_planner.planning.leaving import DEEPEST, LEAST_ROOM, RESTING, way_out
from sobo_planner.safety import Limit, PlanChecker
from sobo_planner.safety.points import sampled
from sobo_planner.tasks import ArmReach
from sobo_planner.world import HalfSpace, Mesh, Pose, Sphere, World, WorldObject

N = 6
# What a pair may come nearer again by: 0.3 mm, and what it may move between two looks, twice 0.1 mm.
AGAIN = 5e-4
LINKS = ("forearm_link", "wrist_1_link", "wrist_2_link", "wrist_3_link")


@pytest.fixture(scope="module")
def planner(task: ArmReach) -> Planner:
    return Planner(task, checker=PlanChecker(task))


@pytest.fixture(scope="module")
def home(task: ArmReach) -> np.ndarray:
    return np.array(task.config.robot.home)


def at_rest(q: np.ndarray) -> np.ndarray:
    return np.concatenate([q, np.zeros(N)])


def ball(centre: np.ndarray, radius: float) -> World:
    return World((WorldObject("ball", Sphere(radius), Pose(tuple(centre.tolist()))),))


def touched_by_a_ball(task: ArmReach, q: np.ndarray, link: str, direction: np.ndarray, depth: float) -> World:
    """A ball that comes from a direction until it overlaps some link by so much [m]."""
    place, radius = task.robot.frame_position(q, link), 0.06
    near, far = 0.0, 1.0
    for _ in range(40):
        middle = 0.5 * (near + far)
        robot = task.robot.with_world(ball(place + middle * direction, radius))
        deeper = robot.nearest_object(q[None, :]).distance < -depth
        near, far = (middle, far) if deeper else (near, middle)
    return ball(place + far * direction, radius)


class Distances:
    """All pairs of the UR5's bodies with a ball, by Pinocchio and Coal without this project's code."""

    def __init__(self, urdf: str, world: World) -> None:
        self.model = pin.buildModelFromXML(urdf)
        self.geometry = pin.GeometryModel()
        pin.buildGeomFromUrdfString(self.model, urdf, pin.GeometryType.COLLISION, self.geometry)
        [body] = world.objects
        [part] = body.shapes
        place = pin.SE3(np.eye(3), np.array(part.pose.position))
        last = self.geometry.addGeometryObject(pin.GeometryObject("ball", 0, place, coal.Sphere(part.shape.radius)))
        for i, each in enumerate(self.geometry.geometryObjects):
            if each.parentJoint > 0:
                self.geometry.addCollisionPair(pin.CollisionPair(i, last))
        self.data, self.places = self.model.createData(), self.geometry.createData()

    def along(self, Q: np.ndarray) -> np.ndarray:
        """Signed distances [m], (len(Q), pairs)."""
        out = []
        for q in Q:
            pin.computeDistances(self.model, self.data, self.geometry, self.places, q)
            out.append([result.min_distance for result in self.places.distanceResults])
        return np.array(out)


def free_goal(task: ArmReach, world: World, rng: np.random.Generator, q: np.ndarray) -> np.ndarray:
    robot = task.robot.with_world(world)
    while True:
        goal = q + rng.uniform(-1.0, 1.0, N)
        if robot.contact(goal) is None:
            return goal


def outcome(task: ArmReach, planner: Planner, home: np.ndarray, seed: int) -> str:
    """What becomes of a ball from some side, up to `DEEPEST` in some link; whatever moves is checked."""
    rng = np.random.default_rng(seed)
    q, direction = home + rng.uniform(-0.5, 0.5, N), rng.normal(size=3)
    if task.robot.contact(q) is not None:
        return "links touch"
    depth = rng.choice([1e-5, 5e-4, DEEPEST - 1e-4, rng.uniform(0.0, DEEPEST)])
    world = touched_by_a_ball(task, q, rng.choice(LINKS), direction / np.linalg.norm(direction), float(depth))
    try:
        plan = planner.plan(at_rest(q), joints=free_goal(task, world, rng, q), world=world)
    except StartError as error:
        assert "no way out" in str(error)
        return "no way out"
    except PlanRefusedError:
        return "no plan from there"
    _, Q = sampled(plan.time, plan.X[:, :N], plan.X[:, N:], 4e-3)
    distances = Distances(task.robot.urdf, world).along(Q)
    assert plan.left is not None and plan.left.second == "ball"
    assert plan.left.distance == pytest.approx(distances[0].min(), abs=1e-6)
    touched = distances[0] <= 1e-4
    for column in distances[:, touched].T:
        before = np.maximum.accumulate(column)
        assert (column >= np.minimum(0.0, before) - AGAIN).all()
    assert (distances[:, ~touched] > 0.0).all() and (distances[-1] > 0.0).all()
    free = plan.X[plan.left.steps]
    assert np.abs(free[N:]).max() == 0.0
    assert task.robot.with_world(world).nearest_object(free[None, :N]).distance >= LEAST_ROOM
    return "left and planned"


def test_pairs_that_touch_come_apart_and_others_stay_apart(task: ArmReach, planner: Planner, home: np.ndarray) -> None:
    """The environment variable SOBO_CONTACTS says how many there are."""
    count = int(os.environ.get("SOBO_CONTACTS", "8"))
    outcomes = Counter(outcome(task, planner, home, seed) for seed in range(count))
    print(dict(outcomes))
    tried = count - outcomes["links touch"]
    assert tried >= 0.5 * count and outcomes["left and planned"] >= 0.75 * tried


def test_a_plan_leaves_what_the_forearm_touches(task: ArmReach, planner: Planner, home: np.ndarray) -> None:
    world = touched_by_a_ball(task, home, "wrist_1_link", np.array([0.0, 0.0, 1.0]), 0.01)
    plan = planner.plan(at_rest(home), joints=home + 0.3, world=world)
    assert plan.left is not None and plan.left.distance == pytest.approx(-0.01, abs=1e-4)
    assert plan.reached and plan.optimum is None
    assert len(plan.X) == len(plan.time) == len(plan.U) + 1 == len(plan.K) + 1 == task.horizon + 1 + plan.left.steps
    assert np.ptp(np.diff(plan.time)) < 1e-9
    middle, a = 0.5 * (plan.X[:-1] + plan.X[1:]), np.diff(plan.X[:, N:], axis=0) / plan.time[1]
    needed = [task.robot.inverse_dynamics(x[:N], x[N:], each) for x, each in zip(middle, a, strict=True)]
    np.testing.assert_allclose(plan.U, needed + task.robot.friction_torque(middle[:, N:]), atol=0.1)
    assert plan.surroundings is not None and plan.surroundings.distance > 0.0
    again = planner.recheck(plan, world)
    assert again.surroundings == plan.surroundings
    with pytest.raises(PlanRefusedError, match="the world changed .* ball"):
        planner.recheck(plan, ball(task.robot.tool_position(home + 0.3), 0.1))


def test_it_is_slower_where_the_robot_is_to_be_slower(task: ArmReach, planner: Planner, home: np.ndarray) -> None:
    world = touched_by_a_ball(task, home, "wrist_1_link", np.array([0.0, 0.0, 1.0]), 0.02)
    times = []
    for share in (1.0, 0.1):
        plan = planner.plan(at_rest(home), joints=home + 0.3, world=world, acceleration_scaling=share)
        assert plan.left is not None
        times.append(plan.left.steps * float(plan.time[1]))
        accelerations = np.diff(plan.X[: plan.left.steps + 1, N:], axis=0) / plan.time[1]
        assert (np.abs(accelerations) <= 0.51 * share * task.robot.acceleration_limit).all()
    assert times[1] > 2.0 * times[0]


def test_within_the_margin_is_left_however_far(task: ArmReach, home: np.ndarray) -> None:
    """The bound is on what overlaps."""
    planner = Planner(task, checker=PlanChecker(task), margin=0.1)
    world = touched_by_a_ball(task, home, "wrist_1_link", np.array([0.0, 0.0, 1.0]), -0.02)
    plan = planner.plan(at_rest(home), joints=home + [0.5, 0.2, -0.4, 0.0, 0.0, 0.0], world=world)
    assert plan.left is not None and plan.left.distance == pytest.approx(0.02, abs=1e-4)
    assert plan.surroundings is not None and plan.surroundings.distance >= 0.1


@pytest.mark.parametrize("beyond", [0.001, 0.02])
def test_what_is_deeper_is_refused_with_names_depth_and_bound(
    task: ArmReach, planner: Planner, home: np.ndarray, beyond: float
) -> None:
    world = touched_by_a_ball(task, home, "wrist_1_link", np.array([0.0, 0.0, 1.0]), DEEPEST + beyond)
    depth = f"{1e3 * (DEEPEST + beyond):.1f} mm deep"
    with pytest.raises(StartError, match=rf"_link touches ball, {depth}; .*more than 30 mm is not left"):
        planner.plan(at_rest(home), joints=home + 0.3, world=world)


def test_an_arm_in_motion_is_to_rest_first(task: ArmReach, home: np.ndarray) -> None:
    view = task.with_world(touched_by_a_ball(task, home, "wrist_1_link", np.array([0.0, 0.0, 1.0]), 0.01))
    x = at_rest(home)
    x[N] = 0.99 * RESTING
    assert way_out(view, x).contact.second == "ball"
    x[N] = 1.01 * RESTING
    with pytest.raises(
        StartError, match="touches ball, 10.0 mm deep; the arm moves at 0.05 rad/s, and can leave that once"
    ):
        way_out(view, x)


def test_between_two_balls_there_is_no_way_out(task: ArmReach, planner: Planner, home: np.ndarray) -> None:
    up = np.array([0.0, 0.0, 1.0])
    below, above = (touched_by_a_ball(task, home, "wrist_1_link", way, 0.01).objects[0] for way in (-up, up))
    balls = replace(below, name="lower"), replace(above, name="upper")
    with pytest.raises(StartError, match="touches (lower|upper), .* no way out was found"):
        planner.plan(at_rest(home), joints=home + 0.3, world=World(balls))


def test_out_of_a_floor_with_several_links(task: ArmReach, planner: Planner) -> None:
    """Everything that touches comes apart at once."""
    q = np.array([0.0, -0.2, 0.45, -0.25, 0.0, 0.0])
    lowest = task.robot.with_world(World((WorldObject("floor", HalfSpace((0.0, 0.0, 1.0), 0.0)),)))
    depths = sorted(each.contact.distance for each in lowest.native.near(q, 1.0) if each.contact.second == "floor")
    floor = World(
        (
            WorldObject(
                "floor",
                HalfSpace((0.0, 0.0, 1.0), depths[2] + 0.005),
            ),
        ),
        allowed=frozenset({("base_link", "floor"), ("floor", "shoulder_link"), ("floor", "upper_arm_link")}),
    )
    assert len([e for e in task.robot.with_world(floor).native.near(q, 0.0)]) >= 2
    plan = planner.plan(at_rest(q), joints=q + [0.4, -0.8, 0.3, 0.0, 0.0, 0.0], world=floor)
    assert plan.left is not None and plan.left.second == "floor" and plan.reached


def test_a_mesh_that_links_are_within_says_no_way(task: ArmReach, planner: Planner, home: np.ndarray) -> None:
    """Of surfaces only the distance is known, not how deep something is in them."""
    at = task.robot.frame_position(home, "wrist_1_link")
    corners = [(x, y, 0.0) for x in (-0.3, 0.3) for y in (-0.3, 0.3)]
    sheet = WorldObject("sheet", Mesh(tuple(corners), ((0, 1, 2), (1, 3, 2))), Pose(tuple(at.tolist())))
    with pytest.raises(StartError, match="touches sheet"):
        planner.plan(at_rest(home), joints=home + 0.3, world=World((sheet,)))


def self_contact(task: ArmReach) -> np.ndarray:
    """A posture in which two links overlap a little."""
    rng = np.random.default_rng(5)
    while True:
        q = rng.uniform(-2.5, 2.5, N)
        touched = task.robot.native.near(q, 0.0)
        if touched and min(each.gap for each in touched) > -0.01:
            return q


def test_links_that_touch_each_other_are_taken_apart(task: ArmReach, planner: Planner, home: np.ndarray) -> None:
    q = self_contact(task)
    corners = way_out(task, at_rest(q)).corners
    plan = planner.plan(at_rest(q), joints=corners[-1] + 2.0 * (corners[-1] - corners[0]))
    assert plan.left is not None and plan.left.first.endswith("_link") and plan.left.second.endswith("_link")
    assert task.robot.first_contact(plan.time, plan.X[:, :N], plan.X[:, N:], leaving=True) is None
    assert task.robot.contact(plan.X[plan.left.steps, :N]) is None
    back = plan.X[::-1].copy()
    back[:, N:] *= -1.0
    violation = PlanChecker(task).check(plan.time, back, plan.U[::-1], plan.K[::-1])
    assert violation is not None and violation.limit is Limit.SELF_COLLISION


def test_a_checker_refuses_what_goes_back(task: ArmReach, planner: Planner, home: np.ndarray) -> None:
    """Out and in again, and further in."""
    world = touched_by_a_ball(task, home, "wrist_1_link", np.array([0.0, 0.0, 1.0]), 0.01)
    plan = planner.plan(at_rest(home), joints=home + 0.3, world=world)
    assert plan.left is not None
    checker, steps = PlanChecker(task).of(task.with_world(world)), plan.left.steps
    out = plan.X[: steps + 1]
    back = np.vstack([out, out[-2::-1] * np.repeat([1.0, -1.0], N)])
    time = plan.time[1] * np.arange(len(back))
    assert checker.contact(time[: steps + 1], out[:, :N], out[:, N:]) is None
    violation = checker.contact(time, back[:, :N], back[:, N:])
    assert violation is not None and violation.limit is Limit.COLLISION and "ball" in violation.detail
    begin = float(time[steps])
    assert begin < float(violation.detail.rsplit(" at ", 1)[1].removesuffix(" s")) < 2.0 * begin
    deeper = np.vstack([home, home - (out[-1, :N] - home)])
    assert checker.contact(np.array([0.0, 1.0]), deeper, np.zeros((2, N))) is not None
    moved = replace(world.objects[0], pose=Pose((0.0, 0.0, 3.0)))
    assert PlanChecker(task).of(task.with_world(World((moved,)))).contact(time, back[:, :N], back[:, N:]) is None


@pytest.mark.parametrize(
    ("gap", "nearer", "refused"),
    [(-1e-4, 2e-4, False), (-1e-4, 6e-4, True), (5e-5, 2e-4, True), (5e-5, 0.0, False)],
    ids=["overlap, a little", "overlap, too much", "apart, into contact", "apart, straight out"],
)
def test_what_overlaps_may_come_nearer_by_little_and_what_is_apart_may_not_touch(
    task: ArmReach, home: np.ndarray, gap: float, nearer: float, refused: bool
) -> None:
    """A link at a gap [m] from a ball comes nearer by so much, and then leaves."""
    world = touched_by_a_ball(task, home, "wrist_1_link", np.array([0.0, -0.6, 0.8]), -gap)
    robot = task.robot.with_world(world)
    [pair] = (each for each in robot.native.near(home, 1e-3) if each.contact.second == "ball")
    out = pair.slope / (pair.slope @ pair.slope)
    Q = np.array([home, home - nearer * out, home + 0.02 * out])
    distances = Distances(task.robot.urdf, world).along(Q).min(axis=1)
    assert distances[:2] == pytest.approx([gap, gap - nearer], abs=1e-5)
    assert distances[2] == pytest.approx(gap + 0.02, abs=2e-3)
    found = robot.first_contact(np.arange(3.0), Q, np.zeros_like(Q), leaving=True)
    assert (found is not None) == refused
    assert found is None or (found.second == "ball" and found.time <= 1.0 + 1e-3)
