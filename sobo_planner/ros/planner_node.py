"""Planner node: joint states and a goal in, trajectories with their feedback gains out. A lifecycle node.

Callbacks only check and store; one planning thread takes the latest goal and the latest state, plans (the
solver releases the GIL) and publishes. A goal that cannot be served is refused with a named reason, in the
log, in /diagnostics and on `plan_report`; it is never queued or retried.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from sobo_planner.errors import SoboError
from sobo_planner.ros.inputs.arrivals import Arrivals
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.inputs.state_topic import StateTopic
from sobo_planner.ros.outputs import diagnostics, linear_feedback
from sobo_planner.ros.outputs.plan_outputs import RELIABLE
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.serve.activation import ENDS_WITHIN, Serving
from sobo_planner.ros.serve.core import FRESH, Core
from sobo_planner.ros.serve.fault_log import FaultLog, logged
from sobo_planner.ros.serve.health import Health
from sobo_planner.ros.serve.requests import Desk, Requests
from sobo_planner.ros.serve.session import Session
from sobo_planner.ros.serve.watchdog import PERIOD
from sobo_planner.ros.support import node_parameters
from sobo_planner.ros.support.parameters import Parameters, changed
from sobo_planner.ros.support.process import WorkerThread, run_node

MARKERS_PERIOD = 0.2  # [s] between two looks at what RViz is to show

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
LIVE_PARAMETERS = tuple(spec.name for spec in node_parameters.PLANNER if not spec.read_only)


class PlannerNode(LifecycleNode):
    """Configuring loads task and policy, activating begins to serve."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("planner", **kwargs)
        self._ledger = diagnostics.Ledger()
        self._log = FaultLog(self, self._ledger)
        self._session: Session | None = None
        self._serving: Serving | None = None
        self._ended: WorkerThread | None = None  # of the activation before
        self._failure: SoboError | None = None
        self._values: dict[str, Any] = {}
        self._recording = Recording(self)
        # Before the parameters: a node whose parameters are refused is destroyed, too.
        self._requests = Requests(self, self._ledger, self._log.warn, self._values, self._recording)
        record = partial(self._recording.note_all, "joint_states")
        self._arrivals = Arrivals(StateTopic(self), self._now, self._values, record, self._log.note)
        parameters = Parameters(self)
        self._values.update(parameters.declare(node_parameters.PLANNER))
        parameters.check_names()
        parameters.objects = self._objection
        self.add_post_set_parameters_callback(self._on_parameters_set)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        # On simulated time too: a clock that stands still is a reason to look at the diagnostics.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        for period, step in ((1.0, self._publish_diagnostics), (MARKERS_PERIOD, self._show), (PERIOD, self._watch)):
            self.create_timer(period, step, clock=steady)
        if linear_feedback.available():
            self.create_timer(1.0 / self._values["rate"], self._publish_control)

    def autostart(self) -> None:
        """Configures and activates itself if the parameter says so. Raises SoboError when that fails."""
        if not self._values["autostart"]:
            return
        if self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS:
            raise self._failure or SoboError("the node could not be configured and activated")

    # ---------------------------------------------------------------- lifecycle

    @logged
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads task and policy; refused, naming what does not fit, when one of them cannot be used."""
        try:
            report = self._requests.report
            self._session = Session(self, self._values, report, self._log.note, self._recording)
            self._recording.begin(self._values, self._session.description)
        except SoboError as error:
            self._failure = error
            self._drop_session()
            self.get_logger().error(f"not configured: {type(error).__name__}: {error}")
            return FAILURE
        self._failure = None
        session = self._session
        if session.policy_problem:
            self.get_logger().warning(f"planning from interpolation: {session.policy_problem}")
        self.get_logger().info(f"task {session.task.name}, policy {session.policy_name}: configured")
        return SUCCESS

    @logged
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begins to serve, with nothing that came in before."""
        assert self._session is not None
        session = self._session
        if self._ended is not None and self._ended.is_alive():
            self.get_logger().error("not activated: the planning thread of before still hangs; start the node anew")
            return FAILURE
        session.states.forget()
        core = Core(
            session.task,
            Inbox(self._arrivals),
            session.outputs,
            session.followed,
            self._ledger,
            session.brakes,
            self._values,
            now=self._now,
            info=self.get_logger().info,
            warn=self._log.warn,
            defect=self._log.defect,
            worlds=None if session.world_topics is None else session.world_topics.intake.worlds,
        )
        serving = Serving.of(session, core, self._values["effort_rate"], self._publish_diagnostics)
        session.outputs.open()
        self._serving = serving
        self._arrivals.open(session.states, core.inbox)
        self._requests.open(Desk(session.frames, core.inbox, serving.server, session.joint_names))
        serving.start()
        self.get_logger().info(f"{self._values['mode']}: ready")
        return super().on_activate(state)

    @logged
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Brings a moving arm to rest and publishes nothing any more."""
        self._end_serving()
        return super().on_deactivate(state)

    @logged
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drops task and policy."""
        self._drop_session()
        return SUCCESS

    @logged
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends as `destroy_node` does."""
        self._end_serving()
        self._drop_session()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Brings the node back to how it was before it was configured, whatever a transition threw."""
        self.get_logger().error("a transition failed; the node is unconfigured again")
        for step in (self._end_serving, self._drop_session):
            try:
                step()
            except Exception:  # the other step is needed all the more
                self._log.defect("what was made could not be taken back")
        return SUCCESS

    def _end_serving(self) -> None:
        """Brings a moving arm to rest and ends the planning thread, also one that hangs."""
        self._requests.close()
        self._arrivals.close()
        serving, self._serving = self._serving, None  # callbacks find an inactive node from here on
        if serving is None or self._session is None:
            return
        self._ended = serving.worker
        serving.end(self._session.followed)
        self._session.outputs.close()
        serving.worker.join_within(ENDS_WITHIN)
        self._session.close()

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        try:
            if session is not None:
                session.drop()
        finally:
            self._recording.end()

    def destroy_node(self) -> None:
        """Brings the arm to rest, ends the planning thread, then the node."""
        self._end_serving()
        self._drop_session()
        super().destroy_node()

    # ---------------------------------------------------------------- what comes in

    def _now(self) -> float:
        return float(1e-9 * self.get_clock().now().nanoseconds)

    def _objection(self, values: Mapping[str, Any]) -> str:
        return "" if self._session is None else self._session.objection(values)

    def _on_parameters_set(self, parameters: list[Parameter]) -> None:
        self._recording.parameters(parameters)
        values = changed(parameters, LIVE_PARAMETERS)
        self._values.update(values)
        if self._session is not None:
            self._session.take(values)

    # ---------------------------------------------------------------- what goes out

    def _watch(self) -> None:
        self._arrivals.take_rest(PERIOD)
        if self._session is not None and self._session.world_topics is not None:
            self._session.world_topics.intake.expire()
        if self._serving is not None:
            self._serving.watchdog.look()

    def _show(self) -> None:
        if self._session is not None:
            self._session.markers.update()

    def _publish_control(self) -> None:
        if self._session is None:
            return
        state = None if self._serving is None else self._serving.inbox.look()
        x = state.x if state is not None and state.age <= FRESH else None
        self._session.outputs.publish_control(self._now(), x)

    def _publish_diagnostics(self) -> None:
        inbox, server = (None, None) if self._serving is None else (self._serving.inbox, self._serving.server)
        held, failure = self._requests.held, self._failure
        health = Health(self._session, inbox, server, held, failure, self._values, self._recording)
        status = health.message(self._ledger.values())
        stamp, name = self.get_clock().now().to_msg(), self.get_fully_qualified_name()
        self._diagnostics.publish(diagnostics.diagnostics_message(stamp, status, name))


def main(args: list[str] | None = None) -> int:
    """Runs the node until it is interrupted. Returns the exit status."""
    return run_node(PlannerNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
