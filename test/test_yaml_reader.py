"""YAML as people mean it: exponents, duplicate keys, errors that say where."""

from __future__ import annotations

from pathlib import Path

import pytest

from sobo_planner.cli import main
from sobo_planner.cli.shared import parse_overrides
from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.paths import share_path
from sobo_planner.tasks import load_task
from sobo_planner.yaml_reader import parse_yaml, read_yaml

UR5 = share_path("config/ur5.yaml").read_text()


def line_with(text: str, content: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if content in line)


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    path = tmp_path / "arm.yaml"
    path.write_text(UR5)
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-2", 0.02),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("+1e+3", 1000.0),
        ("-2e-2", -0.02),
        (".5e1", 5.0),
        ("1.e2", 100.0),
        ("2.5e-3", 0.0025),
        ("1.5", 1.5),
        ("7", 7),
        ("-.inf", float("-inf")),
        ("'2e-2'", "2e-2"),
        ("e5", "e5"),
        ("1e", "1e"),
        ("2e-2m", "2e-2m"),
        ("[1e-3, 2]", [0.001, 2]),
        ("{a: 1e-3}", {"a": 0.001}),
    ],
)
def test_numbers(text: str, value: object) -> None:
    read = parse_yaml(text)
    assert read == value and type(read) is type(value)
    assert parse_overrides([f"key={text}"]) == {"key": value}


def test_a_number_with_an_exponent_means_the_same_everywhere(task_file: Path) -> None:
    task_file.write_text(UR5.replace("  dt: 0.02", "  dt: 2e-2"))
    assert "2e-2" in task_file.read_text()
    assert load_task(task_file).dt == load_task("ur5", dt="2e-2").dt == load_task("ur5", dt=0.02).dt == 0.02
    assert load_task(task_file).hash == load_task("ur5").hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "task.yaml:3: cannot be read as YAML: duplicate key 'a', first on line 1"),
        ("a:\n  b: 1\n  c: 2\n  'b': 3\n", "task.yaml:4: .*duplicate key 'b', first on line 2"),
        ("a: {b: 1, b: 1}\n", "task.yaml:1: .*duplicate key 'b', first on line 1"),
        ("- a: 1\n  a: 2\n", "task.yaml:2: .*duplicate key 'a', first on line 1"),
        ("a: [1\n", "task.yaml:2: cannot be read as YAML: expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", "task.yaml:2: .*cannot start any token"),
        ("a: 1\nb: c: d\n", "task.yaml:2: .*mapping values are not allowed here"),
        ("a: 1\nb: *nothing\n", "task.yaml:2: .*undefined alias"),
        ("a: 1\nb: 2020-13-45\n", "task.yaml:2: .*not a valid timestamp"),
        ("a: 1\nb: !!python/object:os.system {}\n", "task.yaml:2: .*could not determine a constructor"),
        ("a: 1\nb: \x07\n", "task.yaml:2: .*'\\\\x07' is not allowed"),
        ("a: 1\n---\nb: 2\n", "task.yaml:2: .*but found another document"),
        ("[" * 20000, "task.yaml: cannot be read as YAML: nested too deeply"),
    ],
)
def test_errors_are_one_line_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(text)
    for read in (read_yaml, load_task):
        with pytest.raises(ConfigError, match=message) as refused:
            read(path)
        assert "\n" not in str(refused.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigError, match=r"task\.yaml:2: cannot be read as UTF-8 text"):
        load_task(path)


def test_merged_keys_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nother: {<<: *base, b: 3}\n")
    assert read_yaml(path).data["other"] == {"a": 1, "b": 3}


def test_a_duplicate_key_of_a_task_file_names_both_lines(task_file: Path) -> None:
    first = line_with(UR5, "  dt: 0.02")
    task_file.write_text(UR5.replace("  dt: 0.02\n", "  dt: 0.02\n  dt: 0.05\n"))
    with pytest.raises(ConfigError, match=rf"arm\.yaml:{first + 1}: .*duplicate key 'dt', first on line {first}$"):
        load_task(task_file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  dt: 0.02", "  dt: fast", "problem.dt must be a number within 1e+12, got 'fast'"),
        ("  dt: 0.02", "  dt: -1", "problem: dt must lie in [1e-06, 100] s, got -1.0"),
        ("  dt: 0.02", "  dtt: 0.02", "unknown key problem.dtt; known: horizon, dt"),
        ("name: ur5", "name: a/b", "name must be letters"),
        ("kind: arm_reach", "kind: arm", "unknown kind of task 'arm'"),
        ("  urdf: urdf/ur5.urdf", "  urdf: no.urdf", "robot.urdf: shipped file 'no.urdf' was not found"),
        ("  tool_frame: tool0", "  tool_frame: hand", "robot: "),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_line(task_file: Path, old: str, new: str, message: str) -> None:
    assert UR5.count(old) == 1
    task_file.write_text(UR5.replace(old, new))
    with pytest.raises(SoboError) as refused:
        load_task(task_file)
    assert str(refused.value).startswith(f"{task_file}:{line_with(UR5, old)}: {message}")
    assert "\n" not in str(refused.value)


def test_a_missing_key_is_named_with_the_line_of_its_section(task_file: Path) -> None:
    task_file.write_text(UR5.replace("  dt: 0.02\n", ""))
    with pytest.raises(ConfigError, match=rf"arm\.yaml:{line_with(UR5, 'problem:')}: the key problem.dt is missing"):
        load_task(task_file)


def test_what_an_override_says_has_no_line(task_file: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_task(task_file, dt="fast")
    assert str(refused.value).startswith(f"{task_file}: problem.dt must be a number")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["r_init=1", "r_init=2"], "--set r_init is given twice, as 1 and as '2'; give it once"),
        (["r_init=[1"], "--set r_init: '[1' is not YAML: expected ',' or ']'"),
    ],
)
def test_overrides_that_mean_nothing(pairs: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "ur5", "--goal", "0.4", "-0.2", "0.4", "--set", *pairs]) == 2
    assert capsys.readouterr().err.startswith(f"sobo: {message}")
