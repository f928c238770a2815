"""Threads that give way to the one that has cycles to keep."""

from __future__ import annotations

import os
import threading

NICER = 5  # steps of niceness: a third of the share


def give_way() -> None:
    """Lets the other threads of this process go before the calling one, where the system has priorities of threads.

    A process that runs with real-time priority (`chrt`) has this thread one step lower, at least at the lowest.
    """
    if not hasattr(os, "sched_getscheduler"):  # Linux has it
        return
    try:
        kind, priority = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
        if kind in (os.SCHED_FIFO, os.SCHED_RR):
            lowest = os.sched_get_priority_min(kind)
            os.sched_setscheduler(0, kind, os.sched_param(max(priority - 1, lowest)))
        else:
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICER)
    except OSError:  # a sandbox may forbid it: it goes on as it is
        return
