"""The checks of the documents find what is wrong: each is shown a right text and wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import document_checks as checks
import pytest


@dataclass
class Spec:
    name: str
    default: Any
    bounds: tuple[float, float] | None = None
    read_only: bool = False
    description: str = "What it is."


SPECS = (Spec("task", "ur5", read_only=True), Spec("rate", 100.0, (1.0, 500.0)), Spec("push", [0.0, 0.5]))
TABLE = """
| parameter | default | range | run time | |
|---|---|---|---|---|
| `task` | `ur5` | | no | a task |
| `rate` | 100 Hz | 1-500 | yes | plans a second |
| `push` | [0, 0.5] N | | yes | a force |
"""


def test_a_right_parameter_table() -> None:
    assert checks.check_parameters(checks.tables_with(TABLE, "parameter")[0], SPECS) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("`ur5`", "`ur10`", "task: the default is 'ur5', not '`ur10`'"),
        ("100 Hz", "10 Hz", "rate: the default is 100.0, not '10 Hz'"),
        ("[0, 0.5]", "[0.5, 0]", "push: the default is"),
        ("1-500", "1-50", "rate: the range is (1.0, 500.0), not '1-50'"),
        ("1-500", "", "rate: the range is"),
        ("| | no", "| 0-1 | no", "task: the range is None, not '0-1'"),
        ("| no |", "| yes |", "task: read_only is True, but run time says 'yes'"),
        ("`rate`", "`pace`", "rate is not in the table"),
        ("`rate`", "`pace`", "pace is no parameter"),
        ("a task", "", "task is not described"),
    ],
)
def test_a_wrong_parameter_table(old: str, new: str, says: str) -> None:
    rows = checks.tables_with(TABLE.replace(old, new), "parameter")[0]
    assert any(says in problem for problem in checks.check_parameters(rows, SPECS))


@pytest.mark.parametrize(
    ("cell", "default", "right"),
    [
        ("", "", True),
        ("empty", "", True),
        ("`none`", "", False),
        ("false", False, True),
        ("true", False, False),
        ("0.5 s", 0.5, True),
        ("0.5", 0.55, False),
        ("-1e-3", -0.001, True),
        ("the task's home", [1.0, 2.0], True),
        ("1, 2", [1.0, 2.0], True),
        ("1, 2, 3", [1.0, 2.0], False),
    ],
)
def test_defaults(cell: str, default: Any, right: bool) -> None:
    assert checks.says_default(cell, default) is right


def test_ranges_below_zero() -> None:
    assert checks.says_range("-0.9-5", (-0.9, 5.0)) and not checks.says_range("0.9-5", (-0.9, 5.0))


def test_names_of_an_enumeration() -> None:
    text = "| status | meaning |\n|---|---|\n| `OK` | fine |\n| `BAD` | not fine |\n"
    rows = checks.tables_with(text, "status", "meaning")[0]
    assert checks.check_names(rows, "status", ["OK", "BAD"]) == []
    assert checks.check_names(rows, "status", ["OK", "BAD", "UGLY"]) == ["UGLY is not in the table"]
    assert checks.check_names(rows, "status", ["OK"]) == ["BAD does not exist"]
    assert checks.check_names(rows + rows[:1], "status", ["OK", "BAD"]) == ["OK is listed twice"]
    rows[0]["meaning"] = ""
    assert checks.check_names(rows, "status", ["OK", "BAD"]) == ["`OK`: meaning is empty"]


def test_texts_of_an_enumeration() -> None:
    rows = checks.tables("| status | meaning | advice |\n|---|---|---|\n| `OK` | fine | nothing |\n")[0]
    assert checks.check_texts(rows, "status", {"OK": ("fine", "nothing")}) == []
    [wrong] = checks.check_texts(rows, "status", {"OK": ("fine", "wait")})
    assert wrong == "OK: the code says ['fine', 'wait'], the table ['fine', 'nothing']"
    assert len(checks.check_texts(rows, "status", {"OK": ("fine", "nothing"), "BAD": ("no", "wait")})) == 1


SOURCE = """
TOPIC = "control"
class Node:
    def start(self):
        self.create_publisher(String, "plan", 10)
        self.create_lifecycle_publisher(String, TOPIC, 10)
        self.create_subscription(String, "goal", self.on_goal, 10)
        self.create_service(Trigger, "~/hold", self.hold)
        self.create_publisher(String, other.TOPIC, 10)
        self.create_publisher(String, topic, 10)
        self.create_timer(1.0, self.tick)
"""


def test_topics() -> None:
    found = checks.interfaces({"node": SOURCE, "other": 'TOPIC = "report"'})
    assert found == {"publisher": {"plan", "control", "report"}, "subscription": {"goal"}, "service": {"~/hold"}}
    rows = [{"topic": "in `goal`"}, {"topic": "out `plan`"}, {"topic": "service `~/hold`"}]
    assert checks.check_topics(rows, found) == []
    assert checks.check_topics([{"topic": "out `goal`"}], found) == ["the code creates no publisher 'goal'"]
    assert checks.check_topics([{"topic": "to `goal`"}], found) == ["'to `goal`' is neither in, out nor service"]


def test_commands() -> None:
    shell = "```sh\n. env && make x  # why\n$ a 'b # c' \\\n  --d\n\n# all\n```\n"
    text = shell + "```python\nno()\n```\n`sobo plan x`, `make`\n"
    assert checks.commands(text) == [[".", "env"], ["make", "x"], ["a", "b # c", "--d"]]
    assert checks.inline_commands(text, "sobo") == [["sobo", "plan", "x"]]
    assert checks.blocks(text, "python") == ["no()\n"]


def test_tables_keep_bars_that_are_text() -> None:
    assert checks.tables("| a | |\n|---|---|\n| `x\\|y` | z |\n") == [[{"a": "`x|y`", "1": "z"}]]


def test_links_and_paths(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").touch()
    (tmp_path / "docs" / "tool.py").touch()
    assert checks.check_links("[x](docs/a.md#part) [y](https://example.org/no)", tmp_path) == []
    assert checks.check_links("![x](docs/b.png)", tmp_path) == ["docs/b.png does not exist"]
    assert checks.check_paths("`docs/*.md`, `docs/a.md`, `tool.py`, `other/x`, `docs/<name>`", tmp_path, ["docs"]) == []
    wrong = checks.check_paths("`docs/b.md` and `tools.py`", tmp_path, ["docs"])
    assert wrong == ["docs/b.md does not exist", "no file is called tools.py"]


def test_paths_may_begin_inside_the_package(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "part").mkdir(parents=True)
    (package / "part" / "a.py").touch()
    text = "`part/a.py`, `part/b.py`, `elsewhere/c.py`"
    assert checks.check_paths(text, tmp_path, ["docs"]) == []
    assert checks.check_paths(text, tmp_path, ["docs"], package) == ["part/b.py does not exist"]


def test_names_of_tests() -> None:
    here = Path(__file__)
    assert checks.check_tests(f"`{here.name}::test_names_of_tests`", here.parent) == []
    assert checks.check_tests("test_no.py::test_a", here.parent) == ["test_no.py::test_a does not exist"]
    assert checks.check_tests(f"{here.name}::test_names", here.parent) == [f"{here.name}::test_names does not exist"]


def test_makefiles_and_launch_files() -> None:
    assert checks.make_targets("A := 1\nall: b  ## help\n\techo a\n\techo b\nb:\n") == {
        "all": "\techo a\n\techo b\n",
        "b": "",
    }
    assert checks.launch_arguments('x = [DeclareLaunchArgument("rviz", default_value="no")]') == {"rviz"}
