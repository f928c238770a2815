"""Fixtures of the tests of a receding horizon whose cycles are scripted, for `pytest_plugins`."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_cycles import ScriptedCycles, ScriptedProposer
from scripted_serving import Script
from server_bench import RATE

from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.tasks import ArmReach


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    """What surrounds the mode: clock, state, inbox and outputs."""
    return Script(task, home)


@pytest.fixture
def cycles(script: Script) -> ScriptedCycles:
    """Stand in for the planner."""
    return ScriptedCycles(script)


@pytest.fixture
def proposer() -> ScriptedProposer:
    """Stands in for the policy."""
    return ScriptedProposer()


@pytest.fixture
def server(script: Script, cycles: ScriptedCycles, proposer: ScriptedProposer) -> RecedingHorizon:
    """The mode."""
    return RecedingHorizon(script.core, cycles, proposer, RATE)  # type: ignore[arg-type]
