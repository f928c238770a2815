"""Fixtures of the tests that read bags of others, for `pytest_plugins`."""

from __future__ import annotations

import logged_bags as logged
import numpy as np
import pytest
from foreign_bags import RATE, ReadBags, moved, reader, rests

from sobo_planner.tasks import ArmReach


@pytest.fixture(scope="module")
def stops(home: np.ndarray) -> list[np.ndarray]:
    """Where the arm rests."""
    return rests(home)


@pytest.fixture(scope="module")
def positions(stops: list[np.ndarray]) -> np.ndarray:
    """Its motion from each to the next."""
    return moved(stops)


@pytest.fixture(scope="module")
def states(task: ArmReach, positions: np.ndarray) -> list[logged.Message]:
    """Joint states of the arm."""
    return logged.joint_states(task.robot.joint_names, positions, RATE)


@pytest.fixture
def read(task: ArmReach) -> ReadBags:
    """Reads bags for the arm."""
    return reader(task)
