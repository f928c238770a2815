"""Every state, refusal and fault of the planner node: one name for log, diagnostics, plan report and documentation."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus

from sobo_planner.errors import SoboError

OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE


class Status(str, Enum):
    """What the node does, or why it did not do what was asked. `TEXTS` explains each."""

    # what the node is doing
    UNCONFIGURED = "UNCONFIGURED"
    INACTIVE = "INACTIVE"
    READY = "READY"
    PLANNED = "PLANNED"
    TRACKING = "TRACKING"
    HOLDING = "HOLDING"
    # what came in was refused
    NO_STATE = "NO_STATE"
    STALE_STATE = "STALE_STATE"
    BAD_STATE = "BAD_STATE"
    BAD_GOAL = "BAD_GOAL"
    BAD_FRAME = "BAD_FRAME"
    BAD_START = "BAD_START"
    ARM_MOVES = "ARM_MOVES"
    OUT_OF_REACH = "OUT_OF_REACH"
    NO_WORLD = "NO_WORLD"
    STALE_WORLD = "STALE_WORLD"
    BAD_WORLD = "BAD_WORLD"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"
    # planning failed, or a fallback was used
    PLANNING_FAILED = "PLANNING_FAILED"
    PLAN_REFUSED = "PLAN_REFUSED"
    POLICY_FAILED = "POLICY_FAILED"
    DEADLINE_MISSED = "DEADLINE_MISSED"
    FALLBACK = "FALLBACK"
    OBSTACLE_AHEAD = "OBSTACLE_AHEAD"
    TRACKING_LOST = "TRACKING_LOST"
    CLOCK_JUMP = "CLOCK_JUMP"
    EXECUTION_FAILED = "EXECUTION_FAILED"
    NOT_RESPONDING = "NOT_RESPONDING"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    # the simulated arm
    BAD_PLAN = "BAD_PLAN"


class Text(NamedTuple):
    """Level in the diagnostics, what a status means, and what to do."""

    level: bytes
    meaning: str
    advice: str


TEXTS: dict[Status, Text] = {
    Status.UNCONFIGURED: Text(WARN, "task and policy are not loaded", "configure the node; the log says why it failed"),
    Status.INACTIVE: Text(WARN, "configured, takes no goals and publishes nothing", "activate the node"),
    Status.READY: Text(OK, "active, no goal is served", "send a goal"),
    Status.PLANNED: Text(OK, "`plan_once`: the plan of the last goal is published", "nothing"),
    Status.TRACKING: Text(OK, "`receding_horizon`: replans towards the goal", "nothing"),
    Status.HOLDING: Text(OK, "the arm was brought to rest and stays there; goals are refused", "release `hold`"),
    Status.NO_STATE: Text(
        WARN,
        "for some joint no valid joint state has come in since activation or since ROS time jumped; a goal is refused, "
        "not kept",
        "check `joint_states`, its joint names and `tf_prefix`; send the goal again",
    ),
    Status.STALE_STATE: Text(
        STALE,
        "some joint was measured longer ago than `state_timeout`, or the stamp of a joint state lies that far behind "
        "ROS time, or further ahead of it than `stamp_ahead`; a robot that stands still is not stale",
        "check the driver, the clocks and `use_sim_time`; planning resumes with the next valid state",
    ),
    Status.BAD_STATE: Text(
        WARN,
        "a joint state names a joint twice, has wrong sizes, a position that is not finite or an infinite velocity; "
        "the last valid state is kept",
        "check the sender of `joint_states`",
    ),
    Status.BAD_GOAL: Text(
        WARN, "a number of the goal is not finite, or its quaternion has no unit norm", "correct the goal"
    ),
    Status.BAD_FRAME: Text(
        WARN,
        "the goal's frame is empty, or neither a link fixed to the URDF's root nor known to tf2",
        "give the goal in a link fixed to the root, or install tf2_ros and publish the transform",
    ),
    Status.BAD_START: Text(
        WARN,
        "the arm is outside its limits, or in a contact that it cannot leave, so that no plan may begin there",
        "move the arm by hand or by another controller; the detail names what touches",
    ),
    Status.ARM_MOVES: Text(
        WARN,
        "`plan_once`: the arm moves though it follows nothing that this node published, or left the state that was "
        "planned from, three times",
        "wait until it rests, or call `cancel`, which brakes it; send the goal again",
    ),
    Status.OUT_OF_REACH: Text(WARN, "the goal cannot be reached", "choose another goal"),
    Status.NO_WORLD: Text(
        WARN,
        "nothing valid has come in yet on one of the `world_topics`; goals are refused, not kept",
        "check the sender, its topic and frame; send the goal again",
    ),
    Status.STALE_WORLD: Text(
        STALE,
        "the world is older than `world_timeout`, so that no plan is made, or a message of it is: that is refused, the "
        "last world stays",
        "check the sender and the clocks; for one that sends changes only, set `world_timeout` to 0",
    ),
    Status.BAD_WORLD: Text(
        WARN,
        "something in a message on one of the `world_topics` is damaged or not supported; the whole message is "
        "refused, the last world stays",
        "correct the sender; the detail names the object",
    ),
    Status.SUPERSEDED: Text(OK, "a newer goal came before this one was planned", "nothing"),
    Status.CANCELLED: Text(OK, "the goal was dropped by `cancel`, `hold` or deactivation", "send it again if wanted"),
    Status.PLANNING_FAILED: Text(
        WARN,
        "the solver found no plan that converges or is feasible, from any start",
        "send another goal, or approach it through other goals",
    ),
    Status.PLAN_REFUSED: Text(
        WARN,
        "a plan was found and not published: it leaves a limit or a box, or links touch; the detail names which",
        "choose another goal or start, or widen the box",
    ),
    Status.POLICY_FAILED: Text(
        WARN, "the policy's output is not finite or absurd; another start was used", "train or install another policy"
    ),
    Status.DEADLINE_MISSED: Text(
        WARN,
        "ticks of `receding_horizon` passed without a cycle, because one took too long (they are skipped, never "
        "queued), or a plan was not found within `deadline`, or came too late for a moving arm",
        "lower `rate`, allow a longer `deadline`, or give the node a core of its own",
    ),
    Status.FALLBACK: Text(
        WARN,
        "`receding_horizon`: a cycle found nothing that may be published; the previous plan continues to its end, at "
        "rest",
        "nothing if rare; otherwise look at the other counters",
    ),
    Status.OBSTACLE_AHEAD: Text(
        WARN,
        "`receding_horizon`: an object is in the way of what the arm follows, and no motion past it was found in time, "
        "or it occupies the goal: the arm is brought to rest; or an arm that is braked cannot avoid it",
        "nothing: the arm goes on once there is a motion to its goal",
    ),
    Status.TRACKING_LOST: Text(
        WARN,
        "the arm is far from its plan; planning restarted from the measured state",
        "check the controller, its limits and the protective stop",
    ),
    Status.CLOCK_JUMP: Text(
        WARN,
        "ROS time jumped; goals and plans from before are dropped, and a moving arm is braked",
        "check the time source; send the goal again",
    ),
    Status.NOT_RESPONDING: Text(
        ERROR,
        "the planning thread died or hangs; goals are refused, and a moving arm is braked",
        "deactivate the node and activate it again, or start it anew; report it with the log",
    ),
    Status.EXECUTION_FAILED: Text(
        WARN,
        "`execute: action`: no controller takes goals, or it did not accept, aborted or cancelled the newest one",
        "check that the controller is active, its tolerances and its log; send the goal again",
    ),
    Status.INTERNAL_ERROR: Text(ERROR, "a defect; the traceback is in the log", "report it"),
    Status.BAD_PLAN: Text(WARN, "a message of a plan is malformed; the simulated arm ignores it", "check its sender"),
}


class Refused(SoboError):
    """Input or a plan that is refused whole.

    Attributes:
        status: why.
        detail: what was wrong, with value and bound.
    """

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(f"{status.value}: {detail}")
        self.status = status
        self.detail = detail
