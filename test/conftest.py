"""Settings of the whole test suite: one thread, fixed seeds, ROS kept on this computer."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

# Before numpy, torch and rclpy are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
if Path(sys.prefix, "share", "ament_index").is_dir():
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)

# A background job of a shell ignores Ctrl-C, and so would the processes that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import numpy as np
import pytest
from hypothesis import settings

from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.tasks import ArmReach, load_task

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Gives every test the same random numbers, whichever tests run with it."""
    random.seed(0)
    np.random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
        torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def task() -> ArmReach:
    """The UR5's task as shipped; modules that test with another task define their own."""
    return load_task("ur5")


@pytest.fixture(scope="session")
def unlimited() -> ArmReach:
    """The same arm without limits on accelerations, whose plans last two seconds."""
    return load_task("ur5", **{"problem.integrator": "semi_implicit_euler"})


@pytest.fixture(scope="session")
def home(task: ArmReach) -> np.ndarray:
    """The UR5's home posture."""
    return np.array(task.config.robot.home)


@pytest.fixture(scope="session")
def policy(task: ArmReach) -> Policy:
    """The UR5's policy as shipped."""
    return Policy.load(share_path("config/policies/ur5"), task)
