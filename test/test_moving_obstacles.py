"""A ball through the arm's way while it replans: the arm does not run into it, and gets to its goal afterwards.

The environment variable SOBO_MOVING_OBSTACLES says how many runs there are. Time is simulated, and the arm is where it
is meant to be.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from closed_loop import UNHURRIED
from server_bench import Bench, N, server_bench

from sobo_planner.receding import RecedingPlanner
from sobo_planner.receding.leaving import SETTLED
from sobo_planner.ros.inputs.worlds import Layer, Worlds
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.support.status import Status
from sobo_planner.tasks import ArmReach
from sobo_planner.world import Pose, Sphere, World, WorldObject

RUNS = int(os.environ.get("SOBO_MOVING_OBSTACLES", "2"))
RATE, UPDATES = 60.0, 30.0  # cycles a second, and worlds
RADIUS, SPEED = 0.1, 0.25  # [m], [m/s]
MARGIN = 0.1  # [m]: as far as the ball comes while the arm stops
LOOKS = 4  # at the distance, a cycle
LONGEST = 20.0  # [s] of a run


@dataclass(frozen=True)
class Ball:
    """One that moves along a line."""

    middle: np.ndarray
    direction: np.ndarray
    passes: float  # the middle, at this time [s]

    def at(self, time: float) -> np.ndarray:
        """Its centre [m]."""
        centre: np.ndarray = self.middle + SPEED * (time - self.passes) * self.direction
        return centre

    def world(self, time: float) -> World:
        """What surrounds the arm."""
        x, y, z = self.at(time).tolist()
        return World((WorldObject("ball", Sphere(RADIUS), Pose((x, y, z))),))


class Run:
    """A node's server in simulated time."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.values |= {"world_timeout": 0.0, "world_margin": MARGIN}
        self.worlds = Worlds(World(), ("obstacles",), lambda world: None)
        planner = RecedingPlanner(
            bench.task, bench.checker, bench.brakes, bench.followed, budget=UNHURRIED, propose_every=25, margin=MARGIN
        )
        self.server = RecedingHorizon(replace(bench.core, worlds=self.worlds), planner, None, RATE)
        self.hits: list[str] = []
        self._touched = False

    def state(self) -> np.ndarray:
        timeline = self.bench.followed.timeline
        at_rest = np.concatenate([self.bench.home, np.zeros(N)])
        return at_rest if timeline is None else timeline.state(self.bench.time)

    def tick(self, ball: Ball) -> None:
        """A cycle, and the time until the next one."""
        bench, world = self.bench, ball.world(np.floor(self.bench.time * UPDATES) / UPDATES)
        self.worlds.accept("obstacles", Layer(world.objects, measured=time.monotonic()))
        bench.measure(self.state())
        self.server._tick()
        for _ in range(LOOKS):
            bench.time += 1.0 / RATE / LOOKS
            x = self.state()
            contact = bench.task.robot.with_world(ball.world(bench.time)).contact(x[:N])
            if contact is not None and not self._touched and np.abs(x[N:]).max() > 0.02:
                self.hits.append(f"{contact.first} and {contact.second} at {bench.time:.2f} s")
            self._touched = contact is not None


@pytest.fixture
def bench(task: ArmReach, home: np.ndarray) -> Iterator[Bench]:
    with server_bench(task, home) as bench:
        yield bench


def crossing(run: Run, turned: np.ndarray, rng: np.random.Generator) -> Ball:
    """A ball through the tool's way to a posture, near neither the arm nor that posture yet."""
    home, robot = run.bench.home, run.bench.task.robot
    while True:
        middle = robot.tool_position(home + rng.uniform(0.4, 0.8) * (turned - home))
        direction = rng.normal(size=3)
        ball = Ball(middle, direction / np.linalg.norm(direction), run.bench.time + rng.uniform(0.8, 2.5))
        near = robot.with_world(ball.world(run.bench.time)).nearest_object(np.array([home, turned]))
        if near is not None and near.distance > 0.2:
            return ball


@pytest.mark.parametrize("seed", range(RUNS))
def test_the_arm_stops_for_what_crosses_its_way_and_goes_on(bench: Bench, seed: int) -> None:
    rng, run, robot = np.random.default_rng(seed), Run(bench), bench.task.robot
    turned = bench.home + [1.2 * rng.choice([-1.0, 1.0]), 0.0, 0.0, 0.0, 0.0, 0.0]
    ball, goal, began = crossing(run, turned, rng), robot.tool_position(turned), bench.time
    bench.inbox.put(goal)
    arrived = False
    while not arrived and bench.time < began + LONGEST:
        run.tick(ball)
        gone = bench.time > ball.passes and np.linalg.norm(ball.at(bench.time) - goal) > 0.5
        arrived = bool(gone and np.linalg.norm(robot.tool_position(run.state()[:N]) - goal) < 0.01)
    print(f"seed {seed}: {bench.time - began:.1f} s, hits: {run.hits}, {bench.counts()}")
    assert run.hits == [] and arrived and bench.defects == [] and bench.count(Status.CANCELLED) == 0


@dataclass(frozen=True)
class Resting(Ball):
    """One that stays where it is until it is taken away."""

    def at(self, time: float) -> np.ndarray:
        """Its centre [m]."""
        return self.middle if time < self.passes else self.middle + 10.0


def test_a_goal_that_is_occupied_when_it_is_sent_is_reached_once_it_is_free(bench: Bench) -> None:
    run, robot = Run(bench), bench.task.robot
    goal = robot.tool_position(bench.home + [0.8, 0.0, 0.0, 0.0, 0.0, 0.0])
    ball, began = Resting(goal, goal, bench.time + 1.0), bench.time
    bench.inbox.put(goal)
    while bench.time < began + 0.99:
        run.tick(ball)
    assert run.server.status is Status.OBSTACLE_AHEAD and bench.count(Status.OBSTACLE_AHEAD) >= 3
    assert np.array_equal(run.state()[:N], bench.home) and bench.counts().keys() == {Status.OBSTACLE_AHEAD.value}
    while np.linalg.norm(robot.tool_position(run.state()[:N]) - goal) > 0.01 and bench.time < began + LONGEST:
        run.tick(ball)
    assert bench.time < began + LONGEST and run.hits == [] and bench.defects == []
    assert run.server.status is Status.TRACKING


def test_an_arm_that_touches_what_stands_still_leaves_it_for_its_goal(bench: Bench) -> None:
    """Within the margin, too: it ends there as far away as it is to be."""
    run, robot = Run(bench), bench.task.robot
    place = robot.frame_position(bench.home, "wrist_1_link")
    beside = next(
        place + [0.0, 0.0, by]
        for by in np.arange(0.3, 0.0, -0.001)
        if robot.with_world(Resting(place + [0.0, 0.0, by], place, np.inf).world(0.0))
        .nearest_object(bench.home[None, :])
        .distance
        < -0.005
    )
    ball, began = Resting(beside, beside, np.inf), bench.time
    goal = robot.tool_position(bench.home + [1.0, 0.3, -0.3, 0.0, 0.0, 0.0])
    gaps = []
    bench.inbox.put(goal)
    while np.linalg.norm(robot.tool_position(run.state()[:N]) - goal) > 0.01 and bench.time < began + LONGEST:
        run.tick(ball)
        gaps.append(robot.with_world(ball.world(bench.time)).nearest_object(run.state()[None, :N]).distance)
    assert bench.time < began + LONGEST and bench.defects == [] and bench.count(Status.CANCELLED) == 0
    within = np.minimum(gaps, MARGIN)
    assert (within >= np.maximum.accumulate(within) - 5e-4).all() and within[-1] == MARGIN
    assert bench.count(Status.BAD_START) == pytest.approx(SETTLED * RATE, abs=2)
