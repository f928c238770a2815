"""What configuring makes of the parameters of the planner node, without a node that runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from sobo_planner.errors import ConfigError, PolicyError, WorldError
from sobo_planner.paths import share_path
from sobo_planner.ros.inputs.inbox import Inbox
from sobo_planner.ros.outputs.diagnostics import Ledger
from sobo_planner.ros.serve import session as module
from sobo_planner.ros.serve.plan_once import PlanOnce, details_of
from sobo_planner.ros.serve.policy_source import open_policy
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.serve.serving import Core
from sobo_planner.ros.serve.session import Session
from sobo_planner.ros.support import domain
from sobo_planner.ros.support.node_parameters import PLANNER
from sobo_planner.tasks import ArmReach, load_arm

Make = Callable[..., Session]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = Node("session", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def make(node: Node) -> Iterator[Make]:
    """Makes a session from parameters that differ from their defaults."""
    made: list[Session] = []

    def make(**values: Any) -> Session:
        made.append(Session(node, {spec.name: spec.default for spec in PLANNER} | {"policy": "none"} | values))
        return made[-1]

    yield make
    for session in made:
        session.drop()


def core_of(session: Session, values: dict[str, Any]) -> Core:
    return Core(
        session.task,
        Inbox(),
        session.outputs,
        session.followed,
        Ledger(),
        session.brakes,
        values,
        now=lambda: 0.0,
        info=print,
        warn=print,
        defect=print,
    )


def test_each_mode_has_its_server(make: Make) -> None:
    for mode, server in (("plan_once", PlanOnce), ("receding_horizon", RecedingHorizon)):
        session = make(mode=mode)
        assert type(session.server(core_of(session, session._values))) is server
        assert session._proposer is None, "without a policy nothing proposes"


@pytest.mark.parametrize(
    "record, gains, told", [("", "tracking", False), ("bags", "tracking", True), ("", "task", True)]
)
def test_plans_come_with_gains_of_the_optimum_where_they_are_recorded_or_used(
    make: Make, record: str, gains: str, told: bool
) -> None:
    assert make(mode="plan_once", record=record, gains=gains)._planner._maker.first_order is told


def test_a_policy_proposes_beside_the_cycles_until_the_session_is_closed(make: Make) -> None:
    session = make(mode="receding_horizon", policy="", rate=50.0, propose_every=7)
    assert session.policy_name.endswith("config/policies/ur5") and session.policy_problem == ""
    server = session.server(core_of(session, session._values))
    assert isinstance(server, RecedingHorizon)
    proposer = session._proposer
    assert proposer is not None and server._report._proposer is proposer
    planner = server._planner
    assert planner._budget == pytest.approx(0.2 / 50.0) and planner._starts._propose_every == 7
    session.close()
    assert session._proposer is None and not proposer._thread.is_alive()


def test_goals_of_either_type_have_their_task(make: Make) -> None:
    assert make().task.goal_type == "position"
    assert make(goal_type="pose", mode="receding_horizon").task.goal_type == "pose"


@pytest.mark.parametrize("name", ["mode", "goal_type"])
def test_names_that_do_not_exist_are_refused_with_those_that_do(make: Make, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be one of .*, .*, got 'nonsense'"):
        make(**{name: "nonsense"})


def test_boxes_are_read_in_pairs_and_corners(make: Make, task: ArmReach) -> None:
    bounds = [value for k in range(6) for value in (-2.0 - 0.1 * k, 2.0 + 0.1 * k)]
    checker = make(joint_box=bounds, tool_box=[-1.0, -0.9, 0.1, 0.5, 0.6, 0.7]).checker
    np.testing.assert_allclose(checker.position_lower, [-2.0 - 0.1 * k for k in range(6)])
    np.testing.assert_allclose(checker.position_upper, [2.0 + 0.1 * k for k in range(6)])
    box = checker.tool_box if hasattr(checker, "tool_box") else checker._tool_box
    np.testing.assert_allclose(box, [[-1.0, -0.9, 0.1], [0.5, 0.6, 0.7]])
    free = make().checker
    np.testing.assert_allclose(free.position_lower, task.robot.position_lower)


@pytest.mark.parametrize("count", [1, 6, 11, 13])
def test_a_joint_box_of_another_size_is_refused(make: Make, count: int) -> None:
    with pytest.raises(ConfigError, match=f"joint_box needs 12 numbers, two for each joint, got {count}"):
        make(joint_box=count * [1.0])


@pytest.mark.parametrize("count", [1, 3, 5, 7])
def test_a_tool_box_of_another_size_is_refused(make: Make, count: int) -> None:
    with pytest.raises(ConfigError, match=f"tool_box needs 6 numbers, lower and upper corner, got {count}"):
        make(tool_box=count * [1.0])


def test_names_carry_the_prefix(make: Make, task: ArmReach) -> None:
    session = make(tf_prefix="left_")
    assert session.outputs._joint_names == [f"left_{name}" for name in task.robot.joint_names]
    assert session.frames.base_frame == f"left_{task.config.robot.base_frame}"


@pytest.mark.parametrize(
    "parameter, configured, expected",
    [("", "base", "base"), ("base_link", "base", "base_link"), ("base", "", "base"), ("", "", "base_link")],
)
def test_the_base_frame_is_the_parameters_the_tasks_or_the_root_link(
    make: Make, monkeypatch: pytest.MonkeyPatch, parameter: str, configured: str, expected: str
) -> None:
    task = load_arm("ur5")
    robot = dataclasses.replace(task.config.robot, base_frame=configured)
    monkeypatch.setattr(task, "config", dataclasses.replace(task.config, robot=robot))
    monkeypatch.setattr(module, "load_arm", lambda name: task)
    assert make(base_frame=parameter).frames.base_frame == expected


def test_a_base_frame_that_moves_or_is_unknown_is_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match="the parameter base_frame: 'tool0' is neither .* root link nor fixed to it"):
        make(base_frame="tool0")


@pytest.mark.parametrize("goal_type", ["position", "pose"])
def test_what_plans_need_is_prepared(make: Make, monkeypatch: pytest.MonkeyPatch, goal_type: str) -> None:
    """The first plan does not take longer than the others."""
    prepared: list[str] = []
    monkeypatch.setattr(module.Planner, "prepare", lambda planner, kind: prepared.append(kind))
    make(goal_type=goal_type)
    assert prepared == [goal_type]


@pytest.mark.parametrize("fault", [None, "outputs", "frames"])
def test_all_is_taken_back_whatever_fails(make: Make, monkeypatch: pytest.MonkeyPatch, fault: str | None) -> None:
    session, done = make(), []

    def end(name: str) -> Callable[[], None]:
        def note() -> None:
            done.append(name)
            if name == fault:
                raise RuntimeError(name)

        return note

    with monkeypatch.context() as patch:
        patch.setattr(session.outputs, "destroy", end("outputs"))
        patch.setattr(session.frames, "close", end("frames"))
        patch.setattr(session, "_proposer", SimpleNamespace(close=end("policy")))
        with nullcontext() if fault is None else pytest.raises(RuntimeError, match=fault):
            session.drop()
        assert done == ["outputs", "frames", "policy"]


# ---------------------------------------------------------------- policies


def test_no_policy_is_a_choice(task: ArmReach) -> None:
    assert open_policy("none", task, "native") == (None, "none", "")


def test_the_shipped_policy_is_the_default(task: ArmReach) -> None:
    policy, name, problem = open_policy("", task, " onnxruntime , native")
    assert policy is not None and problem == ""
    assert name == str(share_path("config/policies/ur5"))


def test_a_task_without_a_shipped_policy_is_worth_a_warning(task: ArmReach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "name", "own_arm", raising=False)
    policy, name, problem = open_policy("", task, "native")
    assert (policy, name) == (None, "none") and problem.startswith("no policy is shipped for the task own_arm: ")


def test_a_folder_that_is_not_there_is_refused(task: ArmReach) -> None:
    with pytest.raises(PolicyError, match="/nowhere does not exist"):
        open_policy("/nowhere", task, "native")


def test_plans_keep_away_from_the_objects_of_a_world_file(make: Make) -> None:
    """Both the planner and the last check of what is published know them."""
    goal = np.array([0.75, 0.0, 0.3])
    session = make(world=str(share_path("config/worlds/shelf.yaml")), world_margin=0.002)
    home = np.concatenate([session.task.config.robot.home, np.zeros(session.task.nu)])
    assert session.task.robot.margin == 0.002
    plan = session._planner.plan(home, goal)
    details = details_of(plan)["world"]
    assert details["objects"] == 5
    assert details["distance"] > 0.002
    careless = make()._planner.plan(home, goal)
    arrays = (careless.time, careless.X, careless.U, careless.K)
    assert "shelf" in session.checker.check(*arrays).detail
    assert "world" not in details_of(careless)
    receding = make(world=str(share_path("config/worlds/shelf.yaml")), mode="receding_horizon")
    assert receding.server(core_of(receding, receding._values))._planner.task.least_clearance > 0.0


def test_a_damaged_world_is_refused(make: Make, tmp_path) -> None:
    path = tmp_path / "cell.yaml"
    path.write_text("objects:\n  ball:\n    sphere: {radius: 0}\n")
    with pytest.raises(WorldError, match="cell.yaml:3: .* radius of a sphere"):
        make(world=str(path))
    with pytest.raises(WorldError, match="none.yaml"):
        make(world=str(tmp_path / "none.yaml"))
