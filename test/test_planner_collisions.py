"""Plans through self-collision: refined until links keep clear of each other, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.errors import PlanningError, PlanRefusedError
from sobo_planner.motion import Brakes, Followed
from sobo_planner.planning.known_motions import SAME
from sobo_planner.planning.planner import Planner
from sobo_planner.receding import RecedingPlanner
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Solver


@pytest.fixture(scope="module")
def checker(task):
    return PlanChecker(task)


@pytest.fixture(scope="module")
def planners(task, checker):
    """One that does not look at self-collision and one that does."""
    return Planner(task), Planner(task, checker=checker)


def test_plans_that_collide_get_free_ones_and_others_stay_as_they_are(task, planners, checker) -> None:
    rng = np.random.default_rng(0)
    collided = 0
    for _ in range(14):
        instance = task.sample(rng)
        careless, careful = (planner.plan(instance.x0, instance.target) for planner in planners)
        assert careful.reached
        assert checker.check(careful.time, careful.X, careful.U, careful.K) is None
        if checker.check(careless.time, careless.X, careless.U, careless.K) is None:
            for name in ("X", "U", "K"):
                np.testing.assert_array_equal(getattr(careless, name), getattr(careful, name))
        else:
            collided += 1
            assert careless.cost < careful.cost < 1.5 * careless.cost
    assert collided == 4


def test_poses_whose_cheapest_motions_collide_are_reached(task, checker) -> None:
    """The start is 2 mm from contact, and every way to this pose begins by closing the gap."""
    pose_task = task.with_orientation()
    rng = np.random.default_rng(21)
    instance = [pose_task.sample(rng) for _ in range(45)][-1]
    careless, careful = (Planner(task, checker=each).plan(instance.x0, instance.target) for each in (None, checker))
    assert checker.self_collision(careless.time, careless.X[:, :6]) is not None
    assert checker.self_collision(careful.time, careful.X[:, :6]) is None and careful.reached


@pytest.mark.parametrize(
    "start, goal",
    [
        ([1.98, 1.17, 2.45, 0.53, -0.46, 1.44], [0.42, 1.61, 1.41, 3.04, 0.38, 0.75]),
        ([-1.64, 1.67, 2.18, 0.25, 0.28, 2.46], [1.52, -1.09, 1.12, 2.99, -0.89, 1.4]),
    ],
)
def test_joints_are_reached_where_links_touch_on_the_straight_way(task, checker, start, goal) -> None:
    Q = np.linspace(start, goal, 101)
    assert task.robot.first_collision(Q) is not None and task.robot.first_collision(Q[[0, -1]]) is None
    plan = Planner(task, checker=checker).plan([*start, *np.zeros(6)], joints=goal)
    assert plan.reached and plan.source == "global"
    assert checker.check(plan.time, plan.X, plan.U, plan.K) is None
    assert plan.joint_error is not None and plan.joint_error < 5e-3


def test_what_time_does_not_suffice_for_is_refused_with_the_links(task, planners) -> None:
    rng = np.random.default_rng(0)
    instance = [task.sample(rng) for _ in range(7)][-1]

    class Refuses(PlanChecker):
        """Sees every plan collide."""

        def self_collision(self, time, Q):
            return super().self_collision(time, np.tile([0.0, -1.57, 3.1, 0.0, 0.0, 0.0], (len(Q), 1)))

    with pytest.raises(PlanRefusedError, match="SELF_COLLISION: .*_link touches .*_link at 0.000 s"):
        Planner(task, checker=Refuses(task)).plan(instance.x0, instance.target, deadline=0.2)


def test_the_same_refinement_does_not_start_twice_from_one_motion(task, home, monkeypatch) -> None:
    """Of all that is tried to reach a goal in less time than it takes."""
    begun: list[tuple[object, object, np.ndarray]] = []
    solve = Solver.solve

    def counted(self, instance, guess, *limits):
        begun.append((self._refined, self.options, guess.X[1:, : task.nu]))
        return solve(self, instance, guess, *limits)

    planner = Planner(task, checker=PlanChecker(task))
    monkeypatch.setattr(Solver, "solve", counted)
    with pytest.raises(PlanningError, match="the shortest motion that was found takes"):
        planner.plan(np.concatenate([home, np.zeros(6)]), [-0.5, 0.2, 0.3], duration=0.8)
    assert len(begun) > 10
    for k, (refined, options, q) in enumerate(begun):
        same = [before for other, settings, before in begun[:k] if other == refined and settings == options]
        assert not any(np.abs(q - before).max() <= SAME for before in same)


def test_a_receding_horizon_gets_past_a_collision(task, checker) -> None:
    """The motions that the solver prefers collide, and the arm would stay where it is for ever."""
    rng = np.random.default_rng(21)
    instance = [task.sample(rng) for _ in range(21)][-1]
    planner = RecedingPlanner(task, checker, Brakes(task, checker), Followed(), budget=10.0, propose_every=25)
    x, at, collided = instance.x0, 0.0, False
    for _ in range(150):
        cycle = planner.cycle(x, at, instance.target, at + task.dt)
        collided |= "touches" in cycle.objection
        if cycle.motion is not None:
            motion = cycle.motion
            assert checker.check(motion.time, motion.X, motion.U, motion.K) is None
            planner.followed.add(motion, at)
        at += task.dt
        x = planner.followed.timeline.state(at)
        if task.distance(x, instance.target) < 0.05:
            break
    assert collided and task.distance(x, instance.target) < 0.05
