"""What the node tells about itself: counters, percentiles, texts for every status."""

from __future__ import annotations

import json
import re
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor

from sobo_planner.motion import Motion
from sobo_planner.ros.outputs import diagnostics
from sobo_planner.ros.outputs.diagnostics import WINDOW, Ledger
from sobo_planner.ros.planner_node import PlannerNode
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.status import TEXTS, Refused, Status

STAMP = Time(sec=5, nanosec=7)
statuses = st.sampled_from(list(Status))


def report(**phases: float) -> dict:
    return {"status": "refined", "source": "shifted", "cost": 1.5, "iterations": 2, "phases_ms": phases}


@given(st.lists(st.floats(0.0, 1e4), min_size=1, max_size=50))
def test_percentiles_are_those_of_numpy(times: list[float]) -> None:
    ledger = Ledger()
    for ms in times:
        ledger.count_plan(report(refine=ms))
    values = ledger.values()
    assert values["plans"] == str(len(times))
    for percent in (50, 99):
        assert float(values[f"refine_ms_p{percent}"]) == pytest.approx(np.percentile(times, percent), abs=1e-3)


def test_percentiles_are_those_of_the_last_plans() -> None:
    ledger = Ledger()
    for ms in range(WINDOW + 500):
        ledger.count_plan(report(total=float(ms)))
    assert float(ledger.values()["total_ms_p50"]) == np.median(np.arange(500, WINDOW + 500))
    assert ledger.values()["plans"] == str(WINDOW + 500)


@given(st.lists(st.tuples(statuses, st.integers(1, 9))))
def test_every_status_has_a_counter(events: list[tuple[Status, int]]) -> None:
    ledger = Ledger()
    for status, times in events:
        ledger.count(status, f"detail of {status.value}", times)
    values = ledger.values()
    for status in Status:
        assert values[f"count_{status.value}"] == str(sum(times for each, times in events if each is status))
    last = f"{events[-1][0].value}: detail of {events[-1][0].value}" if events else None
    assert values.get("last_problem") == last
    assert all(isinstance(value, str) for value in values.values())


def test_counting_from_many_threads() -> None:
    ledger = Ledger()

    def work() -> None:
        for _ in range(300):
            ledger.count(Status.FALLBACK)
            ledger.count_plan(report(total=1.0))
            ledger.values()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.values()["count_FALLBACK"] == ledger.values()["plans"] == "1200"


def test_the_last_plan_is_repeated() -> None:
    ledger = Ledger()
    ledger.count_plan(report(total=1.0))
    ledger.count_plan(report(total=1.0) | {"cost": 7.25, "source": "policy"})
    values = ledger.values()
    assert (values["last_cost"], values["last_source"], values["last_status"]) == ("7.25", "policy", "refined")


@pytest.mark.parametrize("status", Status)
def test_every_status_has_its_texts(status: Status) -> None:
    text = TEXTS[status]
    assert status.value == status.name and re.fullmatch("[A-Z_]+", status.name)
    assert text.level in (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE)
    assert text.meaning.strip() and text.advice.strip() and not text.meaning.endswith(".")
    assert set(TEXTS) == set(Status)


@given(statuses, st.text(max_size=20), st.lists(st.text(min_size=1, max_size=9), max_size=2))
def test_a_problem_raises_the_level(status: Status, detail: str, problems: list[str]) -> None:
    message = diagnostics.status_message("ur5", status, detail, problems, {"plans": "3"})
    level = TEXTS[status].level
    assert message.level == (DiagnosticStatus.WARN if problems and level == DiagnosticStatus.OK else level)
    assert message.message.startswith(f"{status.value}: {detail or TEXTS[status].meaning}")
    assert all(problem in message.message for problem in problems)
    assert {pair.key: pair.value for pair in message.values} == {"status": status.value, "plans": "3"}


@pytest.mark.parametrize(
    ("node", "name", "hardware"),
    [("/planner", "planner", "ur5"), ("/left/planner", "left/planner", "left/ur5"), ("/a/b/p", "a/b/p", "a/b/ur5")],
)
def test_diagnostics_carry_the_full_name_of_the_node(node: str, name: str, hardware: str) -> None:
    """Two arms in two namespaces are two."""
    message = diagnostics.diagnostics_message(STAMP, diagnostics.status_message("ur5", Status.READY, "", [], {}), node)
    assert message.header.stamp == STAMP
    assert [(status.name, status.hardware_id) for status in message.status] == [(name, hardware)]
    unknown = diagnostics.status_message("", Status.UNCONFIGURED, "", [], {})
    assert diagnostics.diagnostics_message(STAMP, unknown, node).status[0].hardware_id == ""


def test_the_node_signs_its_diagnostics() -> None:
    context, found = Context(), []
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = PlannerNode(context=context, namespace="/left", cli_args=["--ros-args", "-p", "autostart:=false"])
    node.create_subscription(DiagnosticArray, "/diagnostics", found.append, 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    while not found:
        executor.spin_once(timeout_sec=10.0)
    assert found[0].status[0].name == "left/planner"
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()


def test_reports_are_strict_json() -> None:
    motion = Motion(3.0, 0.02, np.zeros((3, 4)), np.zeros((2, 2)), np.zeros((2, 2, 4)))
    read = json.loads(diagnostics.to_json(diagnostics.plan_report(4, STAMP, 0.25, motion, {"cost": 1.0})))
    assert read["plan_id"] == 4 and read["lead"] == 0.25 and read["stamp"] == {"sec": 5, "nanosec": 7}
    assert read["start"] == [0.0] * 4 and read["dt"] == 0.02 and read["cost"] == 1.0
    with pytest.raises(ValueError):
        diagnostics.to_json({"cost": float("nan")})
    refused = diagnostics.refusal_report(Refused(Status.BAD_GOAL, "x is NaN"), None)
    assert refused == {"status": "refused", "reason": "BAD_GOAL", "detail": "x is NaN", "goal": None}
