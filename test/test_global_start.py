"""Ways past objects: where they are looked for, for how long, and what becomes of them; with a scripted search."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sobo_planner.planning.global_start import AROUND, EVERYWHERE, ROOM, GlobalStarter, free_way
from sobo_planner.planning.proposals import GLOBAL
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance

WAY = np.zeros((3, 2))
INSTANCE = Instance(np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.5, 0.0, 0.5]))
GOALS = [np.array([2.0, 0.0]), np.array([1.5, -7.0])]


class Arm:
    """A task with two joints; of its searches the one with this number finds a way."""

    nu, goal_type, fits, duration = 2, "position", True, None

    def __init__(self, found: int = 99, limit: float = 20.0, finite: bool = True) -> None:
        self.found, self.finite, self.asked = found, finite, []
        native = SimpleNamespace(global_path=self.global_path)
        self.robot: Any = SimpleNamespace(
            native=native, position_lower=np.full(2, -limit), position_upper=np.full(2, limit)
        )

    def global_path(self, q: Any, goals: Any, lower: Any, upper: Any, options: Any) -> np.ndarray | None:
        self.asked.append(
            {name: getattr(options, name) for name in ("seed", "beyond", "max_samples", "time_limit")}
            | {"lower": lower, "upper": upper, "goals": goals.tolist()}
        )
        return WAY if len(self.asked) == self.found else None

    def goal_postures(self, instance: Instance, budget: Budget) -> list[np.ndarray]:
        return GOALS

    def past_bends(self, way: np.ndarray, instance: Instance) -> tuple[Guess, float]:
        X = np.full((5, 4), 1.0 if self.finite else np.nan)
        return Guess(X, np.zeros((4, 2))), 1.5

    def lasting(self, duration: float) -> Any:
        return SimpleNamespace(cost=lambda X, U, target: 10.0 * duration)

    def cost(self, X: np.ndarray, U: np.ndarray, target: np.ndarray) -> float:
        return 7.0


def test_ways_with_room_near_start_and_goal_are_looked_for_first() -> None:
    arm = Arm()
    assert free_way(arm, INSTANCE, UNLIMITED, seed=3) is None
    assert [(each["beyond"], each["max_samples"]) for each in arm.asked] == [*ROOM, *ROOM]
    assert ROOM == ((0.01, 1000), (0.0, 20_000)) and 2.0 * AROUND == EVERYWHERE == 2.0 * np.pi
    assert {each["seed"] for each in arm.asked} == {3}
    assert {each["time_limit"] for each in arm.asked} == {0.0}, "no limit"
    for each, around in zip(arm.asked, (AROUND, AROUND, EVERYWHERE, EVERYWHERE), strict=True):
        np.testing.assert_allclose(each["lower"], [1.0 - around, -7.0 - around])
        np.testing.assert_allclose(each["upper"], [2.0 + around, 0.0 + around])
        assert each["goals"] == [goal.tolist() for goal in GOALS]


@pytest.mark.parametrize("found", [1, 2, 3, 4])
def test_the_search_ends_with_the_first_way(found: int) -> None:
    arm = Arm(found)
    assert free_way(arm, INSTANCE, UNLIMITED) is WAY and len(arm.asked) == found and arm.asked[0]["seed"] == 0


def test_joints_stay_within_their_limits_or_where_they_are() -> None:
    arm = Arm(1, limit=0.9)  # the arm stands beyond its limits
    free_way(arm, INSTANCE, UNLIMITED)
    np.testing.assert_allclose(arm.asked[0]["lower"], [-0.9, -1.0])
    np.testing.assert_allclose(arm.asked[0]["upper"], [1.0, 0.9])


def test_joint_goals_are_their_own_posture() -> None:
    arm = Arm(1)
    arm.goal_type = "joints"
    free_way(arm, Instance(INSTANCE.x0, np.array([0.3, 0.4])), UNLIMITED)
    assert arm.asked[0]["goals"] == [[0.3, 0.4]]


def test_the_search_takes_the_time_that_is_left_and_ends_with_it() -> None:
    now = [0.0]
    budget = Budget(2.0, clock=lambda: now[0])
    arm = Arm()
    now[0] = 0.5
    free_way(arm, INSTANCE, budget)
    assert [each["time_limit"] for each in arm.asked] == [pytest.approx(1.5)] * 4
    arm, now[0] = Arm(), 3.0
    assert free_way(arm, INSTANCE, budget) is None
    assert [each["time_limit"] for each in arm.asked] == [1e-3], "0 would be no limit"


def test_a_way_is_a_start_in_its_own_time() -> None:
    arm = Arm(1)
    (proposal,) = GlobalStarter(5).propose(arm, INSTANCE, UNLIMITED)
    assert (proposal.source, proposal.cost, proposal.duration) == (GLOBAL, np.inf, 1.5) and arm.asked[0]["seed"] == 5
    arm = Arm(1)
    arm.fits = False
    (proposal,) = GlobalStarter(5).propose(arm, INSTANCE, UNLIMITED)
    assert proposal.duration is None
    assert GlobalStarter(5).propose(Arm(1, finite=False), INSTANCE, UNLIMITED) == []
    assert GlobalStarter(5).propose(Arm(), INSTANCE, UNLIMITED) == [] and GlobalStarter(5).phase == "start"
