"""Threads beside the cycles give way: by niceness, and by real-time priority where the process has one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from sobo_planner.receding import priority
from sobo_planner.receding.priority import give_way

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="priorities of threads are Linux'")


def in_thread(work: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(
    hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER, reason="started with a priority"
)
def test_the_calling_thread_alone_is_nicer() -> None:
    before = niceness()
    assert in_thread(lambda: (give_way(), niceness())[1]) == min(before + 5, 19)
    assert niceness() == before


@pytest.mark.parametrize(("priority_before", "after"), [(10, 9), (1, 1)])
def test_with_real_time_priority_it_is_one_step_lower(
    monkeypatch: pytest.MonkeyPatch, priority_before: int, after: int
) -> None:
    asked: list[Any] = []
    fake = SimpleNamespace(
        SCHED_FIFO=1,
        SCHED_RR=2,
        sched_getscheduler=lambda thread: 2,
        sched_getparam=lambda thread: SimpleNamespace(sched_priority=priority_before),
        sched_get_priority_min=lambda kind: 1,
        sched_param=lambda value: value,
        sched_setscheduler=lambda *arguments: asked.append(arguments),
    )
    monkeypatch.setattr(priority, "os", fake)
    give_way()
    assert asked == [(0, 2, after)]


def test_where_it_is_forbidden_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(priority.os, "sched_getscheduler", forbidden)
    give_way()
