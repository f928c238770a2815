"""Every command that the documents name is run: here with budgets of seconds, or by what `ELSEWHERE` names."""

from __future__ import annotations

import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import document_checks as checks
import pytest
import yaml
from document_checks import DOCUMENTS, ROOT, every_document

from sobo_planner.cli.main import main, parse
from sobo_planner.paths import share_path

MAKE = checks.make_targets((ROOT / "Makefile").read_text())


@dataclass(frozen=True)
class Elsewhere:
    """Commands that something else than this module runs.

    Attributes:
        pattern: The whole command line.
        by: Test, `file::test`, or script that runs it.
        says: What stands there, and shows that it does.
    """

    pattern: str
    by: str
    says: tuple[str, ...]


# What `test_commands_work` runs here comes first; these follow; then what cannot be run, with the reason.
ELSEWHERE = (
    Elsewhere(r"make demo", "test/test_demo.py::test_two_goals", ("demo_command(",)),
    Elsewhere(r"make demo", "test/test_demo.py", ('"-m", "sobo_planner.ros.demo"',)),
    Elsewhere(r"make test", ".ci/run", ("make test",)),
    Elsewhere(r"make build", "Makefile", ("test: lint", "lint: build")),
    Elsewhere(r"make docs", "test/test_api_pages.py", ('SCRIPT = ROOT / "docs" / "api.py"', "str(SCRIPT)")),
    Elsewhere(r"ruff .*|mypy", "Makefile", ("/ruff check\n", "/ruff format --check\n", "/mypy\n")),
    Elsewhere(r"python setup\.py --quiet build_ext --inplace", "Makefile", ("setup.py --quiet build_ext --inplace",)),
    Elsewhere(r"make bench|sobo bench .*", "test/test_bench.py::test_command_line", ('main(["bench", "ur5"',)),
    Elsewhere(r"sobo interplay .*", "test/test_interplay.py", ('"-m", "sobo_planner.cli", *arguments', '"interplay"')),
    Elsewhere(r"sobo consensus .*", "test/test_consensus.py", ('["consensus", "lqr"', '"--method", "pods"')),
    Elsewhere(r"sobo diffuse .*", "test/test_diffuse.py", ('main(["diffuse"', '"--picture"')),
    Elsewhere(r"ros2 run .* effort_rate:=.*", "test/test_node_efforts.py", ('"effort_rate:=100.0"',)),
    Elsewhere(
        r"sobo view .*",
        "test/test_cli_view.py",
        ('"-m", "sobo_planner.cli", "view"', 'main(["view", str(plan), "--png"'),
    ),
    Elsewhere(r"sobo imitate .*", "test/test_imitate.py", ('"imitate", "ur5", "--demonstrations"', "main([*arguments")),
    Elsewhere(r"sobo learn-control .*", "test/test_learn_control.py", ('"learn-control", "pendulum-swingup"',)),
    Elsewhere(r"sobo from-bag .*", "test/test_from_bag.py", ('main(["from-bag"', '"--out"')),
    Elsewhere(r"python3? -m colcon build .*", "test/test_packaging.py", ('"-m", "colcon"', '"--symlink-install"')),
    Elsewhere(
        r"python benchmarks/receding_horizon\.py .*",
        "test/test_receding_benchmark.py::test_a_few_seconds",
        ("sys.executable, str(SCRIPT)", '"--engine", "onnxruntime"'),
    ),
    Elsewhere(r"python benchmarks/soak\.py .*", "test/test_soak.py", ('"soak.py"', '"--minutes"', '"--out"')),
    Elsewhere(
        r"make mutants|python benchmarks/mutants .*",
        "test/test_mutants.py",
        ('"benchmarks/mutants", "--jobs"', '"--survivors"'),
    ),
    Elsewhere(r"python benchmarks/paper/\w+\.py .*", "test/test_paper.py::test_smoke", ('"--scale", "smoke"',)),
)
NOT_RUN = {
    r"\. \S+": "sources a file, whose making is what matters",
    r"python -m pytest .*": "runs tests, as this one is run",
    r"cd \S+": "changes the folder of the shell",
    r"python3 -m venv --system-site-packages .*": "needs a ROS distribution; make creates such an environment there",
    r"pip install .*": "needs a ROS distribution; its requirements are compared with pyproject.toml and setup.py",
    r"ros2 run sobo_planner planner_node .*execute:=action .*": "needs a ROS distribution, and a controller",
    r"python benchmarks/recording\.py .*": "takes 25 minutes; test_recording_benchmark.py tests its parts",
    r"ros2 launch .*": "needs a ROS distribution; its arguments are compared with the launch file",
}
# Last options win: what is documented runs, with a budget of seconds.
BUDGET = {
    "collect": ["-n", "3", "--starts", "1"],
    "train": ["--steps", "2", "--batch", "4", "--verdict", "1"],
    "export": ["--verdict", "1"],
    "evaluate": ["--instances", "1", "--starts", "1"],
}


def line(words: list[str]) -> str:
    return " ".join(words)


def all_commands() -> list[list[str]]:
    return [words for text in DOCUMENTS.values() for words in checks.commands(text)]


def runs_here(words: list[str]) -> bool:
    return words[0] == "sobo" and words[1] in ("plan", "collect", "train", "export", "evaluate")


def test_every_command_is_run_or_says_why_not() -> None:
    patterns = [each.pattern for each in ELSEWHERE] + list(NOT_RUN)
    uncovered = [
        line(words)
        for words in all_commands()
        if not runs_here(words) and not any(re.fullmatch(pattern, line(words)) for pattern in patterns)
    ]
    assert not uncovered, "run these in test_commands_work, or name in ELSEWHERE what does"


def test_no_exception_is_left_over() -> None:
    lines = [line(words) for words in all_commands()]
    for pattern in [*(each.pattern for each in ELSEWHERE), *NOT_RUN]:
        assert any(re.fullmatch(pattern, each) for each in lines), f"no document says {pattern}"


@pytest.mark.parametrize("each", ELSEWHERE, ids=lambda each: each.by)
def test_what_runs_a_command_does_so(each: Elsewhere) -> None:
    file, _, name = each.by.partition("::")
    text = (ROOT / file).read_text()
    if name:
        found = re.search(rf"^def {name}\(.*?(?=^def |^@|\Z)", text, flags=re.M | re.S)
        assert found, f"{file} has no {name}"
        text = found[0]
    assert all(said in text for said in each.says), f"{each.by} does not say {each.says}"


def test_make_runs_what_the_tests_run() -> None:
    assert "-m sobo_planner.ros.demo" in MAKE["demo"]
    assert "-m sobo_planner.cli bench ur5" in MAKE["bench"]
    assert "-m pytest" in MAKE["test"]


@pytest.mark.parametrize("words", [words for words in all_commands() if words[0] == "sobo"], ids=line)
def test_the_command_line_accepts(words: list[str]) -> None:
    parse(words[1:])


@every_document
def test_commands_in_the_running_text_exist(name: str) -> None:
    text = DOCUMENTS[name]
    for words in checks.inline_commands(text, "make"):
        assert all(word in MAKE for word in words[1:] if "=" not in word), line(words)
    for words in checks.inline_commands(text, "sobo"):
        if len(words) > 2:
            parse(words[1:])
        elif words[1:] and not words[1].startswith("-"):
            with pytest.raises(SystemExit) as done:
                parse([words[1], "--help"])
            assert done.value.code == 0, line(words)
    for words in checks.inline_commands(text, "python"):
        exists = importlib.util.find_spec(words[2]) if words[1] == "-m" else (ROOT / words[1]).is_file()
        assert exists, line(words)
    for words in (*checks.inline_commands(text, "ros2"), *(w for w in checks.commands(text) if w[0] == "ros2")):
        if words[1:3] == ["launch", "sobo_planner"]:
            known = checks.launch_arguments((ROOT / "launch" / words[3]).read_text())
            assert {word.split(":=")[0] for word in words[4:]} <= known, line(words)


def run_commands(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]) -> None:
    """Runs a document's commands of the kinds that runs_here names, one after the other, in a folder."""
    for target, source in files.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, folder / target) if source.is_dir() else shutil.copy(source, folder / target)
    monkeypatch.chdir(folder)
    for words in checks.commands(DOCUMENTS[name]):
        if runs_here(words):
            assert main([*words[1:], *BUDGET.get(words[1], [])]) == 0, line(words)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["README.md", "docs/robots.md"])
def test_commands_work(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From plan to policy and back, as documented but with budgets of seconds."""
    run_commands(name, tmp_path, monkeypatch, {"my_arm.yaml": my_arm(tmp_path)})


def test_no_document_has_commands_that_are_left_out() -> None:
    found = {name for name, text in DOCUMENTS.items() if any(map(runs_here, checks.commands(text)))}
    assert found == {"README.md", "docs/robots.md"}, "the documents of test_commands_work"


def my_arm(folder: Path) -> Path:
    """What docs/robots.md calls my_arm.yaml: a copy of the UR5's task whose URDF and name are its own."""
    data = yaml.safe_load(share_path("config/ur5.yaml").read_text())
    shutil.copy(share_path("urdf/ur5.urdf"), folder / "my_arm.urdf")
    path = folder / "source.yaml"
    path.write_text(yaml.safe_dump(data | {"name": "my_arm", "robot": data["robot"] | {"urdf": "my_arm.urdf"}}))
    return path


@pytest.mark.parametrize(("name", "count"), [("README.md", 1), ("docs/robots.md", 1), ("docs/differentiable.md", 4)])
def test_python_blocks_run(name: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    my_arm(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = checks.blocks(DOCUMENTS[name], "python")
    assert len(found) == count
    names: dict[str, object] = {}
    for block in found:
        exec(compile(block.replace('"tool_tip"', '"tool0"'), name, "exec"), names)


def test_every_python_block_is_run() -> None:
    found = {name for name, text in DOCUMENTS.items() if checks.blocks(text, "python")}
    assert found == {"README.md", "docs/robots.md", "docs/differentiable.md"}


def test_extras_exist() -> None:
    setup = (ROOT / "setup.py").read_text()
    named = re.compile(r"""pip install ['"](?:\.|sobo_planner)\[(\w+)\]""")
    extras = {extra for text in DOCUMENTS.values() for extra in named.findall(text)}
    assert extras >= {"ros", "ray"}
    assert [extra for extra in extras if f'"{extra}": ' not in setup] == []


def test_requirements_of_a_ros_installation_are_those_of_the_build() -> None:
    [words] = [words for words in all_commands() if words[:2] == ["pip", "install"]]
    build = re.search(r"requires = \[(.*?)\n\]", (ROOT / "pyproject.toml").read_text(), flags=re.S)
    setup = (ROOT / "setup.py").read_text()
    pinned = {re.split(r"[=<>]", each)[0]: each for each in re.findall(r'"([^"]+)"', build[1])}
    for word in words[2:]:
        name = re.split(r"[=<>]", word)[0]
        assert name in pinned or name.split("[")[0] in setup or name.startswith("colcon"), word
        assert "==" not in word or word == pinned.get(name, word), f"{word}, but pyproject.toml has {pinned[name]}"
