"""What an active node has: the planning thread, what watches it, and the loop of torques."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sobo_planner.motion import Followed
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.serve.core import Core
from sobo_planner.ros.serve.effort_loop import EffortLoop
from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.serve.session import Session
from sobo_planner.ros.serve.stopping import Stopper
from sobo_planner.ros.serve.watchdog import Watchdog
from sobo_planner.ros.support.process import WorkerThread
from sobo_planner.ros.support.status import Refused, Status

# What the thread may take to end [s] before the arm is stopped without it, and then again.
ENDS_WITHIN = 0.5


@dataclass(frozen=True)
class Serving:
    """What an active node has.

    Attributes:
        inbox: What came in.
        server: Who serves it.
        worker: The planning thread.
        watchdog: Watches it.
        efforts: Publishes torques; None where none are.
    """

    inbox: Inbox
    server: Server
    worker: WorkerThread
    watchdog: Watchdog
    efforts: EffortLoop | None = None

    @classmethod
    def of(cls, session: Session, core: Core, effort_rate: float, tell: Callable[[], None]) -> Serving:
        """Makes it; nothing runs yet. `tell` publishes the diagnostics, and there are so many torques a second."""
        server = session.server(core)
        worker = WorkerThread("planning", server.run_logged)
        watchdog = Watchdog(server, worker.is_alive, Stopper(core, session.watchdog_brakes), tell)
        efforts = EffortLoop(core, effort_rate) if effort_rate > 0.0 else None
        return cls(core.inbox, server, worker, watchdog, efforts)

    def start(self) -> None:
        """Begins to serve."""
        self.worker.start()
        if self.efforts is not None:
            self.efforts.start()

    def end(self, followed: Followed) -> None:
        """Brings a moving arm to rest, whether or not the thread ends: nothing that it plans is published any more."""
        goal = self.inbox.close()
        if goal is not None:
            self.server.core.refuse(Refused(Status.CANCELLED, "the node was deactivated"), goal)
        self.worker.join_within(ENDS_WITHIN)
        if self.inbox.state is not None or followed.timeline is not None:
            self.server.guarded(None, self.watchdog.stopper.stop)
        if self.efforts is not None:
            self.efforts.end()
