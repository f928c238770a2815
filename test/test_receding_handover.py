"""What an arm that replans follows, and where it will be at the hand-over; solver, starts and checker are scripted."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_receding import HANDOVER, Setup, resting

from sobo_planner.errors import StartError
from sobo_planner.motion import Timeline
from sobo_planner.receding import handover as handover_module
from sobo_planner.tasks import ArmReach

LOST = 0.3  # [rad] from its motion that an arm does not follow
OVERSHOOT = 0.05  # [rad] beyond its limit that a joint may be while it follows


@pytest.fixture
def setup(task: ArmReach, home: np.ndarray) -> Setup:
    return Setup(home)


def test_a_measured_state_is_unwound_to_what_the_arm_follows(setup: Setup, monkeypatch) -> None:
    seen = []

    def unwound(task, x, reference):
        seen.append(reference)
        return setup.x

    monkeypatch.setattr(handover_module, "unwound", unwound)
    setup.cycle(setup.x + 0.001)
    assert seen == []  # nothing is followed
    followed = resting(setup.task, setup.x)
    setup.followed.add(followed, 100.0)
    setup.cycle(setup.x + 0.001)
    assert len(seen) == 1 and (seen[0] == followed.state(100.0)).all()
    with pytest.raises(StartError, match="shape"):
        setup.cycle(setup.x[:5])
    assert len(seen) == 1


def test_after_forgetting_the_arm_is_braked_from_where_it_is(setup: Setup) -> None:
    setup.cycle(publish=True)
    setup.followed.forget()
    cycle = setup.cycle()
    assert setup.starts.before[1].begin == 100.0 and not cycle.lost


def test_an_arm_far_from_its_motion_is_lost(setup: Setup) -> None:
    for off, lost in ((0.99 * LOST, False), (1.01 * LOST, True), (-0.99 * LOST, False), (-1.01 * LOST, True)):
        setup.followed.forget()
        setup.cycle(publish=True)
        x = setup.x.copy()
        x[3] += off
        assert setup.cycle(x).lost is lost


def test_an_arm_a_little_beyond_its_limits_is_taken_to_be_at_them(setup: Setup) -> None:
    upper = setup.task.robot.position_upper
    edge = setup.x.copy()
    edge[5] = upper[5]
    setup.followed.add(resting(setup.task, edge), 100.0)
    beyond = edge.copy()
    beyond[5] += 0.99 * OVERSHOOT
    assert not setup.cycle(beyond).lost
    beyond[5] = upper[5] + 1.01 * OVERSHOOT
    with pytest.raises(StartError):
        setup.cycle(beyond)


def test_an_arm_far_below_its_limits_is_refused_too(setup: Setup) -> None:
    edge = setup.x.copy()
    edge[5] = setup.task.robot.position_lower[5]
    setup.followed.add(resting(setup.task, edge), 100.0)
    beyond = edge.copy()
    beyond[5] -= 1.01 * OVERSHOOT
    with pytest.raises(StartError):
        setup.cycle(beyond)


def test_a_cycle_begins_where_the_arm_will_be(setup: Setup) -> None:
    moving = resting(setup.task, setup.x)
    moving.X[:, 0] += 0.01 * np.arange(setup.task.horizon + 1)
    setup.followed.add(moving, 100.0)
    setup.cycle(Timeline(moving).state(100.0))
    assert setup.starts.x0[0][0] == pytest.approx(moving.state(HANDOVER)[0], abs=0.02)
    assert len(setup.starts.x0) == 1


def test_a_cycle_begins_where_the_arm_is_meant_to_be_if_its_links_would_touch(setup: Setup, monkeypatch) -> None:
    setup.followed.add(resting(setup.task, setup.x), 100.0)
    off = setup.x.copy()
    off[0] += 0.01
    setup.cycle(off)
    desired = setup.x[: setup.task.nu]
    monkeypatch.setattr(type(setup.task.robot), "contact", lambda self, q: None if (q == desired).all() else "a and b")
    setup.cycle(off)
    assert setup.starts.x0[0][0] != setup.x[0] and (setup.starts.x0[1] == setup.x).all()


def test_a_lost_arm_drops_the_draft_and_the_sequence(setup: Setup) -> None:
    first = setup.cycle(publish=True).motion
    away = setup.x.copy()
    away[3] += 2 * LOST
    setup.solver.calls.clear()
    setup.cycle(away)
    assert setup.starts.before[1] is not first and setup.solver.calls == ["restart", "choose"]
