"""Receding horizon in closed loop: every motion may be executed, hand-overs are continuous, goals are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from closed_loop import LEAD, PERIOD, Loop, PromptProposer, receding

from sobo_planner.errors import SoboError, StartError
from sobo_planner.motion import POSITION_JUMP, Motion
from sobo_planner.motion.braking import Brakes
from sobo_planner.policy import Policy
from sobo_planner.receding import LOST, NEAR, RecedingPlanner
from sobo_planner.receding.starters import CycleStarts
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.timing import Pace

N = 6
TAKEN_UP = 0.01  # [m] from a goal that the motion towards it ends at most


@pytest.fixture
def planner(task: ArmReach, policy: Policy) -> Iterator[RecedingPlanner]:
    proposer = PromptProposer(task, policy)
    yield receding(task, proposer)
    proposer.close()


@pytest.fixture
def start(home: np.ndarray) -> np.ndarray:
    return np.concatenate([home, np.zeros(N)])


@pytest.fixture
def goal(task: ArmReach, home: np.ndarray) -> Callable[[float], np.ndarray]:
    """Positions around home, by an offset of all joints [rad]."""
    return lambda offset: task.robot.tool_position(home + offset)


def test_a_goal_is_reached_and_held(task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal) -> None:
    loop, target = Loop(task, planner, start), goal(0.4)
    cycles = loop.run(target, 100)
    assert all(cycle.motion is not None and cycle.tool_error < TAKEN_UP for cycle in cycles)
    assert {"interpolation", "shifted"} <= {cycle.source for cycle in cycles} <= {"interpolation", "policy", "shifted"}
    assert not any(cycle.lost for cycle in cycles)
    cycles = loop.run(target, 40)
    assert all(cycle.refined or cycle.iterations == 0 for cycle in cycles), "a start may be optimal already"
    distances = []
    for _ in range(4):
        loop.run(target, 5)
        distances.append(loop.tool_distance(target))
    assert max(distances) < 0.002


@pytest.mark.parametrize("offset", [-0.5, 0.9])
def test_it_gets_to_the_goal_and_not_only_plans_to(
    task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal, offset: float
) -> None:
    """Where the end of the horizon never comes, weight at the end alone leaves the arm centimetres short."""
    loop = Loop(task, planner, start)
    loop.run(goal(offset), 150)
    assert loop.tool_distance(goal(offset)) < 0.002


@pytest.mark.parametrize("mass_error, noise", [(0.0, (0.0, 0.0)), (0.1, (1e-4, 1e-2)), (-0.1, (5e-4, 3e-2))])
def test_new_goals_at_speed_are_taken_up_at_once(
    task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal, mass_error: float, noise: tuple[float, float]
) -> None:
    """With hand-overs that stay continuous, which the loop checks for every one."""
    loop = Loop(task, planner, start, mass_error, noise)
    speeds = []
    for offset in (0.5, -0.5, 0.8, -0.2):
        cycles = loop.run(goal(offset), 30)
        assert any(cycle.motion is not None and cycle.tool_error < TAKEN_UP for cycle in cycles[:2])
        assert all(cycle.motion is not None and cycle.tool_error < TAKEN_UP for cycle in cycles[2:])
        assert not any(cycle.lost for cycle in cycles)
        speeds.append(np.abs(loop.x[N:]).max())
    assert min(speeds[:3]) > 0.5, "the arm moved when goals came"
    begins = np.diff([motion.begin for motion in loop.motions])
    np.testing.assert_allclose(begins, PERIOD, atol=1e-9)


def test_hand_overs_take_up_what_the_arm_is_off(task: ArmReach, planner: RecedingPlanner, start, goal) -> None:
    """A heavier arm sags under its plan; desired states follow it rather than pulling ever harder."""
    loop = Loop(task, planner, start, mass_error=0.3)
    loop.run(goal(0.5), 60)
    gaps = [b.X[0, :N] - a.state(b.begin)[:N] for a, b in zip(loop.motions, loop.motions[1:], strict=False)]
    assert np.abs(gaps).max() > 1e-4
    assert np.abs(loop.x[:N] - loop.desired(loop.now)[:N]).max() < 2 * POSITION_JUMP


@pytest.mark.parametrize("seed, draws", [(10, 6), (13, 2), (15, 3)])
def test_a_goal_whose_ways_collide_is_taken_up_in_the_end(
    task: ArmReach, planner: RecedingPlanner, start: np.ndarray, seed: int, draws: int
) -> None:
    """Other postures are tried for as long as no motion leads to the goal; every cycle says what was wrong."""
    rng = np.random.default_rng(seed)
    loop = Loop(task, planner, start)
    for _ in range(draws - 1):
        loop.run(task.sample(rng).target, 45)
    cycles = loop.run(task.sample(rng).target, 80)  # as many as the node gives a goal
    late = [cycle for cycle in cycles if cycle.motion is None or cycle.tool_error > NEAR]
    assert late, "this goal is a hard one"
    assert all(cycle.objection for cycle in late if cycle.motion is None)
    assert cycles[-1].tool_error < NEAR


def speeds(task: ArmReach, motions: list[Motion]) -> np.ndarray:
    """Largest share of its rated speed that any joint reaches, motion by motion."""
    return np.array([(np.abs(motion.X[:, N:]) / task.robot.velocity_limit).max() for motion in motions])


def test_a_share_of_the_speeds_is_kept_from_the_next_cycle_on(task: ArmReach, start: np.ndarray, goal) -> None:
    """An arm that is faster when the share is lowered slows down, and never speeds up on the way."""
    planner = receding(task)
    loop = Loop(task, planner, start)
    loop.run(goal(0.9), 30)
    assert speeds(task, loop.motions).max() > 0.6
    before = len(loop.motions)
    planner.set_pace(Pace(velocity_scaling=0.2))
    cycles = loop.run(goal(0.9), 60)
    slower = speeds(task, loop.motions[before:])
    # A motion begins as fast as the arm will be, which may be a little more than it was to be.
    assert slower[0] > 0.4 and (np.diff(slower) <= 0.01).all() and slower[-10:].max() <= 0.205
    assert all(motion.dt == pytest.approx(5.0 * task.dt) for motion in loop.motions[before:])
    assert all(cycle.motion is not None for cycle in cycles[2:]) and cycles[-1].tool_error < TAKEN_UP
    assert sum(cycle.refined for cycle in cycles[:40]) >= 34, "the problem is not infeasible while it slows down"
    planner.set_pace(Pace())
    loop.run(goal(-0.5), 40)
    assert loop.motions[-1].dt == task.dt and speeds(task, loop.motions[-10:]).max() > 0.4


def test_without_a_policy_interpolation_starts(task: ArmReach, start: np.ndarray, goal) -> None:
    loop = Loop(task, receding(task), start)
    cycles = loop.run(goal(0.4), 30)
    assert cycles[0].source == "interpolation"
    assert {cycle.source for cycle in cycles} == {"interpolation", "shifted"}
    assert cycles[-1].tool_error < TAKEN_UP


def test_poses(task: ArmReach, policy: Policy, home: np.ndarray, start: np.ndarray) -> None:
    posed = task.with_orientation()
    proposer = PromptProposer(posed, policy)
    loop = Loop(posed, receding(posed, proposer), start)
    loop.run(task.robot.tool_pose(home + 0.5), 10)
    target = task.robot.tool_pose(home + 0.2)
    loop.run(target, 110)
    assert loop.tool_distance(target) < 0.002
    assert posed.orientation_error(loop.x, target) < 0.01
    proposer.close()


def test_an_arm_that_does_not_follow_is_not_run_away_from(
    task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal
) -> None:
    loop = Loop(task, planner, start, frozen=True)
    cycles = loop.run(goal(0.9), 100)
    assert sum(cycle.lost for cycle in cycles) >= 2
    # Between the look at the arm and the hand-over after the next one the motion goes on.
    on_the_way = (LEAD + 1) * PERIOD * task.robot.velocity_limit
    for motion in loop.motions:
        times = np.arange(motion.begin, motion.begin + PERIOD, 1e-3)
        followed = np.array([loop.desired(time)[:N] for time in times if time <= loop.motions[-1].begin])
        if len(followed):
            assert (np.abs(followed - start[:N]) <= LOST + POSITION_JUMP + on_the_way).all()
    lost = [motion for motion, cycle in zip(loop.motions, cycles, strict=True) if cycle.lost]
    for motion in lost:
        np.testing.assert_allclose(motion.X[0, :N], start[:N], atol=POSITION_JUMP)
    loop.frozen = False
    loop.run(goal(0.9), 150)
    assert loop.tool_distance(goal(0.9)) < 0.002, "and goes on once the arm does"


def test_an_arm_that_was_pushed_away_is_planned_for_anew(task: ArmReach, planner: RecedingPlanner, start, goal) -> None:
    loop = Loop(task, planner, start)
    loop.run(goal(0.3), 40)
    loop.x = loop.x + np.concatenate([np.full(N, 1.3 * LOST), np.zeros(N)])
    where = loop.x[:N].copy()
    cycle = loop.run(goal(0.3), 1)[0]
    assert cycle.lost and cycle.motion is not None
    np.testing.assert_allclose(cycle.motion.X[0, :N], where, atol=POSITION_JUMP)


def test_an_arm_that_touches_off_its_motion_is_planned_for_from_the_motion(
    task: ArmReach, start: np.ndarray, rng: np.random.Generator
) -> None:
    """A few thousandths of a radian next to a motion that keeps links apart they may touch: no reason to stop."""
    robot, free = task.robot, start[:N]
    touching = next(q for q in rng.uniform(-3, 3, (1000, N)) if robot.colliding_pair(q) is not None)
    while np.abs(touching - free).max() > POSITION_JUMP / 4:
        middle = 0.5 * (free + touching)
        free, touching = (middle, touching) if robot.colliding_pair(middle) is None else (free, middle)
    X, U = np.tile(np.append(free, np.zeros(N)), (task.horizon + 1, 1)), np.tile(robot.gravity(free), (task.horizon, 1))
    planner, target = receding(task), robot.tool_position(free)
    planner.followed.add(Motion(0.0, task.dt, X, U, np.zeros((task.horizon, N, 2 * N))), 0.0)
    cycle = planner.cycle(np.append(touching, np.zeros(N)), 0.1, target, 0.1 + LEAD * PERIOD)
    assert cycle.motion is not None and not cycle.lost
    np.testing.assert_allclose(cycle.motion.X[0], X[0], atol=1e-12)


def test_forgetting_begins_where_the_arm_is(task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal) -> None:
    loop = Loop(task, planner, start)
    loop.run(goal(0.4), 30)
    planner.followed.forget()
    elsewhere = start + 0.7 * (np.arange(2 * N) < N)
    cycle = planner.cycle(elsewhere, 500.0, goal(0.4), 500.02)
    assert not cycle.lost and cycle.motion is not None
    np.testing.assert_allclose(cycle.motion.X[0], elsewhere, atol=1e-3)
    assert cycle.source != "shifted", "the goal is as new"


def test_after_a_stop_starts_go_on_from_it(task: ArmReach, start: np.ndarray, goal) -> None:
    """And not from what was on its way to the goal before, which the arm is far from by then."""
    planner = receding(task)
    loop = Loop(task, planner, start)
    loop.run(goal(0.8), 30)
    begin = loop.now + LEAD * PERIOD
    stop = Brakes(task, PlanChecker(task)).stop(loop.desired(begin), begin)
    before = loop.motions[-1]
    planner.followed.add(stop, loop.now)
    instance = Instance(stop.state(stop.end), goal(0.8))
    starts = CycleStarts(task, PlanChecker(task), None, 1)
    _, shifted = starts.best(stop, instance, stop.end, planner._solver, None)
    np.testing.assert_allclose(shifted.X[:, :N], np.tile(instance.x0[:N], (task.horizon + 1, 1)), atol=1e-6)
    assert np.abs(before.state(stop.end) - instance.x0).max() > 0.1, "the motion before ends elsewhere"


# ---------------------------------------------------------------- refusals


def test_a_start_a_little_out_of_limits_is_served(task: ArmReach, planner: RecedingPlanner, start, goal) -> None:
    start[5] = task.robot.position_upper[5] + 1e-8
    cycle = planner.cycle(start, 0.0, goal(0.2), 0.02)
    assert cycle.motion is not None and cycle.tool_error < TAKEN_UP


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("joint, value", [(5, 1.0), (1, -1.0)])
def test_a_start_out_of_limits_is_refused_with_numbers(
    task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal, served: bool, joint: int, value: float
) -> None:
    if served:
        Loop(task, planner, start.copy()).run(goal(0.2), 2)
    robot = task.robot
    bound = robot.position_upper[joint] if value > 0 else robot.position_lower[joint]
    start[joint] = bound + value
    with pytest.raises(StartError) as refused:
        planner.cycle(start, 0.0, goal(0.2), 0.02)
    for text in (robot.joint_names[joint], f"{bound + value:.4f}", f"{bound:.4f}"):
        assert text in str(refused.value)


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("state", ["nan", "inf", "short", "folded"])
def test_states_that_no_motion_may_begin_at(
    task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal, rng, served: bool, state: str
) -> None:
    if served:
        Loop(task, planner, start.copy()).run(goal(0.2), 2)
    if state == "folded":
        start[:N] = next(q for q in rng.uniform(-3, 3, (1000, N)) if task.robot.colliding_pair(q) is not None)
    x = {"nan": start + np.nan, "inf": start + np.inf, "short": start[:5], "folded": start}[state]
    with pytest.raises(StartError):
        planner.cycle(x, 0.0, goal(0.2), 0.02)
    assert planner.cycle(np.append(np.array(task.config.robot.home), np.zeros(N)), 0.0, goal(0.2), 0.02).motion


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize(
    "target", [[5.0, 0.0, 0.0], [0.0, 0.0, 1e9], [np.nan, 0.0, 0.3], [0.4, 0.3], [0.4, 0.3, 0.4, 0.0, 0.0, 0.0, 1.0]]
)
def test_goals_that_cannot_be_reached_are_refused(
    task: ArmReach, planner: RecedingPlanner, start: np.ndarray, goal, served: bool, target: list[float]
) -> None:
    loop = Loop(task, planner, start)
    if served:
        loop.run(goal(0.2), 3)
    with pytest.raises(SoboError) as refused:
        planner.cycle(loop.x, loop.now, np.array(target), loop.now + LEAD * PERIOD)
    assert type(refused.value).__name__ == "GoalError"
    assert loop.run(goal(0.2), 2)[-1].tool_error < TAKEN_UP, "the goal before goes on to be served"


def test_times_are_those_of_the_caller(task: ArmReach, policy: Policy, start: np.ndarray, goal) -> None:
    """The same from 0 on and from today on: nothing looks at a clock of its own."""
    runs = []
    for origin in (0.0, 1_700_000_000.0):
        proposer = PromptProposer(task, policy)
        loop = Loop(task, receding(task, proposer), start, origin=origin)
        loop.run(goal(0.4), 10)
        runs.append(loop.motions[-1])
        proposer.close()
    early, late = runs
    assert late.begin - early.begin == pytest.approx(1_700_000_000.0, abs=1e-6)
    # Rounding of large times lets a torque act a millisecond longer here and there.
    np.testing.assert_allclose(early.X, late.X, atol=0.02)
