"""When torques are published, and when they end; the outputs are scripted."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import Script, in_thread, wait

from sobo_planner.ros.serve.effort_loop import EffortLoop
from sobo_planner.tasks import ArmReach


@pytest.fixture
def script(task: ArmReach, home: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script(task, home)
    script.efforts = []
    monkeypatch.setattr(
        script.outputs, "publish_effort", lambda now, state: script.efforts.append((now, state)), raising=False
    )
    return script


@pytest.fixture
def loop(script: Script) -> EffortLoop:
    return EffortLoop(script.core, 200.0)


def age(script: Script, seconds: float) -> None:
    """The newest state was measured so long ago."""
    script.inbox.put_state(script.rest(), script.time, time.monotonic() - seconds)


def test_the_newest_state_has_its_torque(script: Script, loop: EffortLoop) -> None:
    script.follow(0.2)
    loop.tick()
    assert script.efforts == [(script.time, script.inbox.state)]


def test_nothing_is_published_while_nothing_is_followed(script: Script, loop: EffortLoop) -> None:
    script.measure()
    loop.tick()
    assert script.efforts == [] and script.counts() == {}


def test_stale_states_are_refused_and_noted(script: Script, loop: EffortLoop) -> None:
    script.follow(0.2)
    age(script, 0.06)
    loop.tick()
    script.inbox.drop_state()
    loop.tick()
    assert script.efforts == [] and script.counts() == {"STALE_STATE": 2}
    assert "allowed are 0.05 s" in script.warned[0][1] and "not known" in script.warned[1][1]
    age(script, 0.0)
    loop.tick()
    assert len(script.efforts) == 1


def test_torques_go_on_until_the_arm_rests(script: Script, loop: EffortLoop) -> None:
    script.follow(0.5)
    loop.start()
    wait(lambda: len(script.efforts) > 3)
    ending = in_thread(loop.end)

    def measured(x: np.ndarray) -> int:
        script.measure(x)
        return len(script.efforts)

    before = len(script.efforts)
    wait(lambda: measured(script.moving(0.5)) > before + 5)
    assert ending.is_alive()
    script.measure()
    ending.join(5.0)
    assert not ending.is_alive()
    published = len(script.efforts)
    time.sleep(0.02)
    assert len(script.efforts) == published


def test_what_throws_does_not_end_the_loop(script: Script, loop: EffortLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def publish(now: float, state: Any) -> None:
        script.efforts.append(now)
        if len(script.efforts) == 1:
            raise ValueError("once")

    monkeypatch.setattr(script.outputs, "publish_effort", publish)
    script.follow(0.0)
    loop.start()
    wait(lambda: script.measure() or len(script.efforts) > 2)
    loop.end()
    assert script.defects and script.counts()["INTERNAL_ERROR"] == 1
