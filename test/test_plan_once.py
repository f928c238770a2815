"""Mode `plan_once`, goal by goal on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from server_bench import Bench, server_bench

from sobo_planner.errors import (
    DeadlineError,
    GoalError,
    PlanInterruptedError,
    PlanningError,
    PlanRefusedError,
    SoboError,
    StartError,
)
from sobo_planner.planning import Planner, PlanStatus
from sobo_planner.ros.demo.client import Motion as Followed
from sobo_planner.ros.serve.plan_once import PlanOnce, details_of
from sobo_planner.ros.support.status import Status
from sobo_planner.tasks import ArmReach


@pytest.fixture
def bench(task: ArmReach, home: np.ndarray) -> Iterator[Bench]:
    with server_bench(task, home) as bench:
        yield bench


def test_only_a_plan_that_ends_short_has_a_reason_and_none_counts_as_refused(bench: Bench) -> None:
    plan = Planner(bench.task).plan(np.concatenate([bench.home, np.zeros(bench.task.nu)]), bench.goal(0.5))
    short = replace(plan, status=PlanStatus.SHORT, tool_error=0.02)
    assert "reason" not in details_of(plan) and "20.0 mm" in details_of(short)["reason"]
    nothing = np.zeros(0)
    for each in (plan, short):
        assert Followed(details_of(each), nothing, nothing, nothing, nothing).refused == ""
    refused = {"status": "refused", "reason": "BAD_GOAL", "detail": "x is NaN"}
    assert Followed(refused, nothing, nothing, nothing, nothing).refused == "BAD_GOAL: x is NaN"


def test_plans_begin_on_arrival_at_rest_and_later_at_speed(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    server._serve(bench.goal(0.5))
    first = bench.outputs.timeline
    assert first is not None and first.last.begin == bench.time
    bench.time += 0.6
    bench.measure()
    server._serve(bench.goal(-0.3))
    second = bench.outputs.timeline
    assert second is not None and second.last.begin == pytest.approx(bench.time + 0.25)
    np.testing.assert_allclose(second.last.X[0], first.state(second.last.begin), atol=0.02)
    assert [report["lead"] for report in bench.reports(2)] == [0.0, pytest.approx(0.25)]
    assert server.status is Status.PLANNED


def test_nothing_is_planned_for_while_a_request_to_stop_waits(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    bench.inbox.put(None)
    assert not server.guarded(bench.goal(0.5), lambda: server._serve(bench.goal(0.5)))
    assert bench.counts() == {"CANCELLED": 1} and bench.outputs.timeline is None
    bench.inbox.take()
    assert server.guarded(bench.goal(0.5), lambda: server._serve(bench.goal(0.5)))
    assert bench.outputs.timeline is not None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StartError("joint a is outside"), Status.BAD_START),
        (GoalError("out of reach"), Status.OUT_OF_REACH),
        (PlanInterruptedError("interrupted"), Status.CANCELLED),
        (DeadlineError("no plan within 0.02 s"), Status.DEADLINE_MISSED),
        (PlanRefusedError("TOOL_BOX"), Status.PLAN_REFUSED),
        (PlanningError("no start"), Status.PLANNING_FAILED),
    ],
)
def test_each_error_of_the_planner_has_its_status(bench: Bench, error: SoboError, status: Status) -> None:
    class Refuses:
        policy_failures = 0

        def plan(self, *_: object) -> None:
            raise error

    server = PlanOnce(bench.core, Refuses())  # type: ignore[arg-type]
    bench.measure()
    assert not server.guarded(bench.goal(0.5), lambda: server._serve(bench.goal(0.5)))
    assert bench.counts() == {status.value: 1} and bench.outputs.timeline is None
