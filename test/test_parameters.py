"""Parameters as people write them: taken where the meaning is clear, else refused in one line with the reason."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from sobo_planner.errors import ConfigError
from sobo_planner.ros import arm_simulator_node, planner_node
from sobo_planner.ros.support import domain, node_parameters
from sobo_planner.ros.support.parameters import SIMILAR, Parameters, ParameterSpec

SPECS = (
    ParameterSpec("rate", 100.0, "A number.", (1.0, 1000.0)),
    ParameterSpec("count", 25, "An integer.", (1, 100)),
    ParameterSpec("on", True, "A switch."),
    ParameterSpec("folder", "", "A text."),
    ParameterSpec("box", [], "Any number of numbers."),
    ParameterSpec("force", [0.0, 0.0, 0.0], "Three numbers.", size=3),
    ParameterSpec("fixed", 1.0, "Fixed.", read_only=True),
)


@pytest.fixture(scope="module")
def context() -> Iterator[Context]:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    yield context
    context.try_shutdown()


@pytest.fixture
def make(context: Context) -> Iterator[Callable[..., Node]]:
    nodes = []

    def node(*assignments: str, file: Path | None = None) -> Node:
        words = [word for each in assignments for word in ("-p", each)]
        words += ["--params-file", str(file)] if file else []
        arguments = ["--ros-args", *words] if words else []
        nodes.append(Node("probe", context=context, cli_args=arguments, use_global_arguments=False))
        return nodes[-1]

    yield node
    for each in nodes:
        each.destroy_node()


def checked(node: Node) -> None:
    parameters = Parameters(node)
    parameters.declare(SPECS)
    parameters.check_names()


def test_defaults(make: Callable[..., Node]) -> None:
    node = make()
    values = Parameters(node).declare(SPECS)
    assert values == {"rate": 100.0, "count": 25, "on": True, "folder": "", "box": [], "force": [0.0] * 3, "fixed": 1.0}
    assert list(node.get_parameter("force").value) == [0.0] * 3
    assert node.get_parameter_or("box", None).value is None


@pytest.mark.parametrize(
    ("assignment", "name", "value"),
    [
        ("rate:=20", "rate", 20.0),
        ("rate:=2.5", "rate", 2.5),
        ("rate:=1", "rate", 1.0),
        ("rate:=1000", "rate", 1000.0),
        ("count:=100", "count", 100),
        ("on:=false", "on", False),
        ("folder:=~/x", "folder", "~/x"),
        ("box:=[0, 1]", "box", [0.0, 1.0]),
        ("box:=[0.5, 1.0]", "box", [0.5, 1.0]),
        ("box:=[]", "box", []),
        ("force:=[1, 2, -3]", "force", [1.0, 2.0, -3.0]),
        ("fixed:=3", "fixed", 3.0),
    ],
)
def test_what_is_taken(make: Callable[..., Node], assignment: str, name: str, value: Any) -> None:
    node = make(assignment)
    found = Parameters(node).declare(SPECS)[name]
    assert (list(found) if isinstance(value, list) else found) == value
    if value != []:
        kept = node.get_parameter(name)
        assert kept.type_ is next(spec for spec in SPECS if spec.name == name).type
        assert (list(kept.value) if isinstance(value, list) else kept.value) == value


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("rate:=fast", "rate must be a number, got 'fast'"),
        ("rate:=true", "rate must be a number, got True"),
        ("rate:=[1.0]", r"rate must be a number, got \[1.0\]"),
        ("rate:=0.5", "rate must lie between 1 and 1000, got 0.5"),
        ("rate:=1001", "rate must lie between 1 and 1000, got 1001.0"),
        ("rate:=.nan", "rate must lie between 1 and 1000, got nan"),
        ("rate:=-.inf", "got -inf"),
        ("count:=0", "count must lie between 1 and 100, got 0"),
        ("count:=2.0", "count must be an integer, got 2.0"),
        ("on:=1", "on must be true or false, got 1"),
        ("folder:=5", "folder must be a text, got 5"),
        ("box:=1.0", "box must be a list of numbers, got 1.0"),
        ("box:=[a, b]", r"box must be a list of numbers, got \['a', 'b'\]"),
        ("force:=[1, 2]", r"force needs 3 finite numbers, got \[1.0, 2.0\]"),
        ("force:=[1.0, .nan, 0.0]", r"force needs 3 finite numbers, got \[1.0, nan, 0.0\]"),
        ("force:=[]", "force must be a list of numbers, got nothing"),
    ],
)
def test_what_is_refused(make: Callable[..., Node], assignment: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Parameters(make(assignment)).declare(SPECS)


def test_from_a_file(make: Callable[..., Node], tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("/**:\n  ros__parameters:\n    rate: 30\n    box: [0, 1, 2]\n    force: [1.5, 2.5, 3.5]\n")
    values = Parameters(make(file=file)).declare(SPECS)
    assert (
        values["rate"] == 30.0 and list(values["box"]) == [0.0, 1.0, 2.0] and list(values["force"]) == [1.5, 2.5, 3.5]
    )


def test_what_is_set_at_run_time(make: Callable[..., Node]) -> None:
    node = make()
    parameters = Parameters(node)
    parameters.declare(SPECS[:3])
    parameters.declare(SPECS[3:])

    def result(name: str, value: Any) -> Any:
        return node.set_parameters([Parameter(name, value=value)])[0]

    for name, value, kept in (
        ("rate", 7, 7.0),
        ("force", [1, 2, 3], [1.0, 2.0, 3.0]),
        ("box", [4], [4.0]),
        ("count", 3, 3),
    ):
        assert result(name, value).successful
        found = node.get_parameter(name).value
        assert (list(found) if isinstance(kept, list) else found) == kept
        assert type(found) is not int or name == "count"
    for name, value in (
        ("rate", "7"),
        ("rate", 0),
        ("rate", 5000),
        ("count", 7.0),
        ("on", 1),
        ("fixed", 2),
        ("box", ["a"]),
    ):
        refused = result(name, value)
        assert not refused.successful and refused.reason, name
    for bad in ([1.0, 2.0], [1.0, 2.0, float("inf")]):
        refused = result("force", bad)
        assert not refused.successful and "force needs 3 finite numbers" in refused.reason
    assert node.get_parameter("rate").value == 7.0 and list(node.get_parameter("force").value) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("rat", "rate"), ("Rate", "rate"), ("folders", "folder"), ("counts", "count"), ("fixd", "fixed")],
)
def test_a_misspelt_name_is_refused(make: Callable[..., Node], slip: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"there is no parameter {slip}; did you mean {meant}?"):
        checked(make(f"{slip}:=1"))


def test_names_of_other_nodes_and_of_rclpy_are_no_fault(make: Callable[..., Node]) -> None:
    checked(make("robot_description:=x", "update_rate:=5", "use_sim_time:=false", "rate:=1"))
    checked(make("qos_overrides./tf.reliability:=x"))


def test_no_two_parameters_are_so_similar_that_one_is_taken_for_the_other() -> None:
    for specs in (node_parameters.PLANNER, node_parameters.SIMULATOR):
        assert len({spec.name for spec in specs}) == len(specs)
        for spec in specs:
            default = [0.0] if spec.default == [] else spec.default
            assert spec.descriptor().description and not spec.objection(Parameter("x", spec.type, default))
            others = [each.name for each in specs if each is not spec]
            assert not difflib.get_close_matches(spec.name, others, 1, SIMILAR)


@pytest.mark.parametrize(
    ("main", "arguments", "says"),
    [
        ("planner", ["-p", "rate:=fast"], "ConfigError: the parameter rate must be a number, got 'fast'"),
        ("planner", ["-p", "state_timeout:=0"], "state_timeout must lie between 0.01 and 60, got 0"),
        ("planner", ["-p", "tool_box:=[0, 1.5]"], "write all numbers of a list with a decimal point, or none"),
        ("planner", ["-p", "tool_box:=[0, 1]"], "tool_box needs 6 numbers"),
        ("planner", ["-p", "joint_box:=[1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]"], "joint_box"),
        ("planner", ["-p", "joint_box:=[.nan, 0.0]"], "joint_box needs 12 numbers"),
        ("planner", ["-p", "state_timout:=1"], "there is no parameter state_timout; did you mean state_timeout?"),
        ("planner", ["-p", "base_frame:=no_such_link"], "base_frame: 'no_such_link' is neither the URDF's root link"),
        ("planner", ["-p", "base_frame:=wrist_3_link"], "nor fixed to it; these are: base_link"),
        ("planner", ["-p", "deadline:={a: 1}"], "the ROS arguments cannot be used"),
        ("planner", ["-p", "use_sim_time:=1"], "use_sim_time"),
        ("planner", ["--params-file", "/none.yaml"], "/none.yaml"),
        ("planner", ["--no-such-thing"], "--no-such-thing"),
        ("planner", ["-p", "task:=~/no_such_task.yaml"], "HOME/no_such_task.yaml"),
        ("planner", ["-p", "policy:=~/no_such_policy"], "the policy folder HOME/no_such_policy does not exist"),
        ("simulator", ["-p", "mass_error:=9"], "mass_error must lie between -0.9 and 5, got 9"),
        ("simulator", ["-p", "start_position:=[0, 0]"], "start_position needs 6 finite numbers, got [0.0, 0.0]"),
        ("simulator", ["-p", "plant:=real"], "the parameter plant must be one of model, mujoco, got 'real'"),
        ("simulator", ["-p", "use_gain:=false"], "there is no parameter use_gain; did you mean use_gains?"),
    ],
)
def test_what_cannot_be_taken_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    main: str,
    arguments: list[str],
    says: str,
) -> None:
    for name, value in domain.isolated_environment(str(tmp_path / "ros")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    run = {"planner": planner_node.main, "simulator": arm_simulator_node.main}[main]
    assert run(["node", "--ros-args", *arguments]) == 1
    lines = [
        line for line in capfd.readouterr().err.splitlines() if line.startswith(("ConfigError: ", "PolicyError: "))
    ]
    assert len(lines) == 1 and says.replace("HOME", str(tmp_path)) in lines[0]
    assert "Traceback" not in lines[0]
