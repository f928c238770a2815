"""The command `sobo`: help, errors, planning without torch."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from sobo_planner.cli.main import expand_overrides, main
from sobo_planner.cli.shared import parse_overrides
from sobo_planner.errors import ConfigError
from sobo_planner.planning.plan import PlanStatus
from sobo_planner.planning.planner import Planner

GOAL = ["--goal", "0.4", "-0.2", "0.4"]
COMMANDS = ("collect", "train", "interplay", "consensus", "export", "evaluate", "plan", "view", "bench")


def sobo(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "sobo_planner.cli"]
    return subprocess.run([sys.executable, *program, *arguments], capture_output=True, text=True)


def test_help_lists_the_sub_commands():
    done = sobo("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


def test_help_imports_nothing_heavy():
    code = """
import sys
from sobo_planner.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
heavy = {"torch", "onnxruntime", "numpy", "sobo_training", "sobo_planner._native"} & set(sys.modules)
print(heavy, file=sys.stderr)
sys.exit(bool(heavy))
"""
    began = time.process_time(), os.times().children_user
    done = sobo(code=code)
    assert done.returncode == 0, done.stderr
    assert os.times().children_user - began[1] < 2.0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_sub_command_explains_its_arguments(name):
    done = sobo(name, "--help")
    assert done.returncode == 0
    assert "--debug" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["plan", "no_such_task", *GOAL], "no_such_task"),
        (["plan", "ur5", *GOAL, "--set", "no_such_key=1"], "r_init"),
        (["plan", "ur5", *GOAL, "--set", "r_init"], "KEY=VALUE"),
        (["plan", "ur5", *GOAL, "--start", "0", "0"], "2 values"),
        (["plan", "ur5", *GOAL, "--start", "0", "0", "99", "0", "0", "0"], "99"),
        (["plan", "ur5", "--goal", "5", "0", "0"], "5"),
        (["plan", "ur5", "--goal", "nan", "0", "0"], "nan"),
        (["plan", "ur5", *GOAL, "1"], "--goal has 4 values; a position has 3, a pose 7"),
        (["plan", "ur5", *GOAL, "0", "0", "1", "1"], "has the norm 1.414214, expected 1"),
        (["plan", "ur5", *GOAL, "--out", "plan.txt"], "plan.txt"),
        (["plan", "ur5", *GOAL, "--policy", "/no/such/policy"], "/no/such/policy"),
        (["collect", "ur5", "--out", "/dev/null/data"], "/dev/null/data"),
        (["collect", "ur5", "-n", "0", "--out", "data"], "count must be at least 1, got 0"),
        (["evaluate", "ur5", "--policy", "/no/such/policy"], "/no/such/policy"),
        (["train", "ur5", "--data", "/no/such/data", "--out", "run"], "/no/such/data"),
        (["export", "--run", "/no/such/run", "--out", "policy"], "/no/such/run"),
    ],
)
def test_errors_are_one_line_with_the_reason(arguments, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    message = [line for line in errors.splitlines() if line.startswith("sobo: ")]
    assert len(message) == 1 and reason in errors
    assert "Traceback" not in errors


def test_debug_shows_the_traceback(capsys):
    assert main(["plan", "no_such_task", *GOAL, "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_wrong_usage_exits_with_2():
    done = sobo("plan", "ur5")
    assert done.returncode == 2
    assert "--goal" in done.stderr


def test_plan_prints_json_and_never_imports_torch(tmp_path):
    code = """
import sys
from sobo_planner.cli import main
status = main(sys.argv[1:])
assert "torch" not in sys.modules and "sobo_training" not in sys.modules
sys.exit(status)
"""
    path = tmp_path / "plan.npz"
    done = sobo("plan", "ur5", *GOAL, "--json", "--out", str(path), code=code)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["status"] in ("converged", "feasible")
    assert result["tool_error"] < 0.01
    assert result["goal"] == [0.4, -0.2, 0.4]
    assert set(result["phases_ms"]) >= {"policy", "refine", "total"}
    with np.load(path) as stored:
        assert json.loads(str(stored["summary"])) == result
        assert stored["X"].shape[0] == stored["time"].shape[0] == stored["K"].shape[0] + 1
        assert len(stored["joint_names"]) == 6


def test_plan_to_a_pose(capsys):
    assert main(["plan", "ur5", *GOAL, "0", "1", "0", "0", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["goal"] == [0.4, -0.2, 0.4, 0.0, 1.0, 0.0, 0.0]
    assert result["tool_error"] < 0.01 and result["orientation_error"] < 0.02
    assert main(["plan", "ur5", *GOAL, "0", "1", "0", "0", "--policy", "none"]) == 0
    assert "degrees" in capsys.readouterr().out
    assert main(["plan", "ur5", *GOAL, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["orientation_error"] is None


def test_a_plan_that_ends_too_far_from_its_goal_has_a_status_of_its_own(capsys, monkeypatch, tmp_path):
    """It is printed and stored all the same."""
    path = tmp_path / "plan.json"
    plan = Planner.plan

    def short(*arguments, **options):
        return dataclasses.replace(plan(*arguments, **options), status=PlanStatus.SHORT, tool_error=0.05)

    monkeypatch.setattr(Planner, "plan", short)
    assert main(["plan", "ur5", *GOAL, "--json", "--out", str(path)]) == 3
    printed = json.loads(capsys.readouterr().out)
    assert (printed["status"], printed["tool_error"]) == ("short", 0.05)
    assert json.loads(path.read_text())["status"] == "short"
    assert main(["plan", "ur5", *GOAL]) == 3
    assert "short after" in capsys.readouterr().out
    assert "status is 3" in " ".join(sobo("plan", "--help").stdout.replace("│", " ").split())


def test_plan_without_policy_stores_json(tmp_path, capsys):
    path = tmp_path / "plan.json"
    start = ["--start", "0", "-1.2", "1.5", "-1e-1", "-.2", "0"]
    assert main(["plan", "ur5", *GOAL, *start, "--policy", "none", "--out", str(path)]) == 0
    assert "final tool error" in capsys.readouterr().out
    stored = json.loads(path.read_text())
    assert stored["source"] != "policy"
    np.testing.assert_allclose(stored["X"][0], [0, -1.2, 1.5, -0.1, -0.2, 0, *[0] * 6], atol=1e-9)
    assert len(stored["U"]) == len(stored["X"]) - 1


@pytest.mark.parametrize("name", ["train", "collect"])
def test_a_missing_extra_is_named(name):
    code = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "tqdm"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from sobo_planner.cli import main
sys.exit(main(sys.argv[1:]))
"""
    data = ["--data", "data"] if name == "train" else []
    done = sobo(name, "ur5", *data, "--out", "/no/such/folder/out", code=code)
    assert done.returncode == 2
    assert 'pip install "sobo_planner[train]"' in done.stderr and "Traceback" not in done.stderr


def test_overrides_are_read_as_yaml():
    assert parse_overrides(["a=1", "b=1e-3", "c=[1, 2]", "d=text", "e=true", "f="]) == {
        "a": 1,
        "b": 1e-3,
        "c": [1, 2],
        "d": "text",
        "e": True,
        "f": None,
    }
    for wrong in ("a", "=1", "a=[1"):
        with pytest.raises(ConfigError, match="--set"):
            parse_overrides([wrong])


def test_set_takes_several_pairs():
    given = ["collect", "--set", "a=1", "b=2", "ur5", "c=3", "--set", "d=4", "--seed", "1"]
    wanted = ["collect", "--set", "a=1", "--set", "b=2", "ur5", "c=3", "--set", "d=4", "--seed", "1"]
    assert expand_overrides(given) == wanted
