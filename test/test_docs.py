"""The documents are true: tables say what the code says, links and names lead somewhere."""

from __future__ import annotations

import re
from typing import Any

import document_checks as checks
import pytest
import yaml
from document_checks import DOCUMENTS, ROOT, every_document

from sobo_planner.paths import share_path
from sobo_planner.tasks import KINDS
from sobo_planner.tasks.config_reader import leaf_keys

CODE = ("benchmarks", "examples", "scripts", "sobo_planner", "src", "test", "training")
TOPS = (*CODE, "config", "docs", "launch", "urdf")
# Columns of the table of statuses in docs/ros.md.
STATUS_COLUMNS = ("status", "meaning", "what to do")
# Modules of sobo_planner/ros that make the planner node's topics and services.
PLANNER = ("planner_node.py", "inputs/*.py", "outputs/*.py", "serve/*.py")
# Paths that are of other packages.
OF_OTHERS = {"config/ur_controllers.yaml"}


def node_parameters() -> Any:
    pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
    from sobo_planner.ros.support import node_parameters

    return node_parameters


def test_parameter_tables_say_what_the_nodes_declare() -> None:
    module = node_parameters()
    planner, simulator = checks.tables_with(DOCUMENTS["docs/ros.md"], "parameter", "default", "range", "run time")
    assert checks.check_parameters(planner, module.PLANNER) == []
    assert checks.check_parameters(simulator, [*module.SIMULATOR, module.start_position([0.0])]) == []
    [short] = checks.tables_with(DOCUMENTS["README.md"], "parameter", "default")
    assert checks.check_parameters(short, module.PLANNER) == []


def test_every_status_has_its_line() -> None:
    node_parameters()
    from sobo_planner.ros.support.status import TEXTS, Status

    [rows] = checks.tables_with(DOCUMENTS["docs/ros.md"], *STATUS_COLUMNS)
    assert checks.check_names(rows, STATUS_COLUMNS[0], [status.value for status in Status]) == []
    texts = {status.value: (TEXTS[status].meaning, TEXTS[status].advice) for status in Status}
    assert checks.check_texts(rows, STATUS_COLUMNS[0], texts) == []


def ros_modules(*patterns: str) -> dict[str, str]:
    """Sources of the ROS layer by module name: all of them, or those of the patterns."""
    files = [path for pattern in patterns or ("**/*.py",) for path in (ROOT / "sobo_planner" / "ros").glob(pattern)]
    return {path.stem: path.read_text() for path in files if path.stem != "__init__"}


@pytest.mark.parametrize("name", ["README.md", "docs/ros.md"])
def test_topics_exist_in_the_code(name: str) -> None:
    found = checks.interfaces(ros_modules())
    topics = [table for table in checks.tables_with(DOCUMENTS[name], "topic")]
    assert topics
    for rows in topics:
        assert checks.check_topics(rows, found) == []


def test_every_topic_of_the_planner_is_documented() -> None:
    found = checks.interfaces(ros_modules(*PLANNER))
    assert found["publisher"] and found["subscription"] and found["service"]
    for name in ("README.md", "docs/ros.md"):
        missing = [each for names in found.values() for each in names if f"`{each}`" not in DOCUMENTS[name]]
        assert not missing, f"{name} does not name {missing}"


def known_keys() -> set[str]:
    keys = {key for config, _ in KINDS.values() for key in leaf_keys(config)}
    sections = {key.rsplit(".", 1)[0] for key in keys if "." in key}
    return keys | sections


def test_keys_in_the_tables_exist() -> None:
    known, found = known_keys(), 0
    leaves = {key.rsplit(".", 1)[-1] for key in known}
    for name, text in DOCUMENTS.items():
        for rows in checks.tables_with(text, "key"):
            for key in [key for row in rows for key in checks.quoted(row["key"])]:
                found += 1
                assert key in known or key in leaves, f"{name}: no task file has {key}"
    assert found > 10


def test_the_loops_keys_are_all_explained() -> None:
    [rows] = checks.tables_with(DOCUMENTS["docs/training.md"], "key", "the paper's")
    keys = [key.removeprefix("interplay.") for key in leaf_keys(KINDS["lqr"][0]) if key.startswith("interplay.")]
    assert checks.check_names([{"key": row["key"]} for row in rows], "key", keys) == []


def test_tasks_of_the_readme_are_shipped() -> None:
    [rows] = checks.tables_with(DOCUMENTS["README.md"], "task file", "kind")
    for row in rows:
        for name in checks.quoted(row["task file"]):
            task = yaml.safe_load(share_path(f"config/{name}.yaml").read_text())
            assert checks.quoted(row["kind"]) == [task["kind"]], name


@every_document
def test_links_lead_somewhere(name: str) -> None:
    assert checks.check_links(DOCUMENTS[name], (ROOT / name).parent) == []


@every_document
def test_paths_exist(name: str) -> None:
    wrong = checks.check_paths(DOCUMENTS[name], ROOT, TOPS, ROOT / "sobo_planner")
    assert [each for each in wrong if not each.startswith(tuple(OF_OTHERS))] == []


@every_document
def test_tests_that_documents_name_exist(name: str) -> None:
    assert checks.check_tests(DOCUMENTS[name], ROOT / "test") == []


def test_every_fault_has_a_test() -> None:
    faults = [row for rows in checks.tables_with(DOCUMENTS["docs/faults.md"], "fault", "tests") for row in rows]
    assert len(faults) > 20
    for row in faults:
        assert re.search(r"test_\w+\.py::test_\w+", row["tests"]) and row["what happens"], row["fault"]


def test_documents_are_linked_from_the_readme() -> None:
    for name in DOCUMENTS:
        assert name == "README.md" or f"]({name})" in DOCUMENTS["README.md"], name
