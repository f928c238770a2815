"""The tool that asks whether bugs are noticed: its edits, and what becomes of them in a small tree."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "mutants"


@pytest.fixture(autouse=True)
def _modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def lines(source: str) -> set[str]:
    """Changed lines of all mutants of a source."""
    from edits import mutants

    found = mutants("file.py", source)
    assert all(mutant.apply(source) != source and ast.parse(mutant.apply(source)) for mutant in found)
    return {mutant.after for mutant in found}


def inside(statement: str, head: str = "def f(a, b, c):") -> set[str]:
    """Changed lines of a statement in a function."""
    return lines(f"{head}\n    {statement}\n")


@pytest.mark.parametrize(
    "statement, after",
    [
        ("x = a < b", {"x = a >= b"}),
        ("x = (a) <= (b)", {"x = (a) > (b)"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = a not in b", {"x = a in b"}),
        ("x = a < b <= c", {"x = a >= b <= c", "x = a < b > c"}),
        ("x = len(a) < b", {"x = len(a) >= b", "x = len(a) <= b"}),
        ("x = a and b", {"x = a or b"}),
        ("x = a or b or c", {"x = a and b or c", "x = a or b and c"}),
        ("x = not a", {"x = a"}),
        ("x = -a", {"x = a"}),
        ("x = a + b", {"x = a - b"}),
        ("x = (a - (b)) * c", {"x = (a + (b)) * c", "x = (a - (b)) / c"}),
        ("x = a // b", {"x = a * b"}),
        ("x = a**b", {"x = a*b"}),
        ("a += b", {"a -= b", "pass"}),
        ("a.x = b", {"pass"}),
        ("a[b] = c", {"pass"}),
        ("a(b)", {"pass"}),
        ("yield a", {"pass"}),
        ("raise a", {"pass"}),
        ("del a[b]", {"pass"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x = a.argmax()", {"x = a.argmin()"}),
        ("x = all(a)", {"x = any(a)"}),
        ("x = np.abs(a)", {"x = (a)"}),
        ("x = 3", {"x = 4", "x = 0"}),
        ("x = 0", {"x = 1"}),
        ("x = 0.5", {"x = 1.0", "x = 0.0"}),
        ("x = True", {"x = False"}),
        ("return a", {"return None"}),
        ("x = a if b else c", {"x = a if True else c", "x = a if False else c"}),
        ("x = [y for y in a if b]", {"x = [y for y in a if True]"}),
        ("x = a(key=2)", {"x = a(key=3)", "x = a(key=0)"}),
    ],
)
def test_edits_of_a_statement(statement: str, after: set[str]) -> None:
    assert inside(statement) == after


def test_conditions_are_taken_and_left() -> None:
    assert inside("if a: b()") >= {"if True: b()", "if False: b()"}
    assert inside("if a < b: c()") == {"if True: c()", "if False: c()", "if a < b: pass"}, "not turned round as well"
    assert inside("while a: b()") == {"while False: b()", "while a: pass"}, "no endless loop on purpose"
    assert lines("def f(a):\n    for x in a:\n        if x: continue\n        break\n") >= {"if x: break", "continue"}


def test_values_of_functions_that_decide() -> None:
    assert inside("return a.b", "def f(a) -> bool:") == {"return True", "return False"}
    assert inside("return True", "def f(a) -> bool:") == {"return False"}
    assert inside("return None") == set()


@pytest.mark.parametrize(
    "statement",
    [
        '"""Text 1."""',
        'x = f"{a + 1}"',
        'x = "a" + "b"',
        "x: Literal[3] = a",
        "assert a is not None",
        "self.log.info(a + 1)",
        "x = zip(a, b, strict=True)",
        "import a",
    ],
)
def test_what_decides_nothing_is_left_alone(statement: str) -> None:
    assert inside(statement) == set()


def test_defaults_fields_and_constants_are_edited() -> None:
    assert lines("LIMIT = 2.0\n") == {"LIMIT = 4.0", "LIMIT = 0.0"}
    assert inside("pass", "def f(a: int = 1) -> None:") == {
        "def f(a: int = 2) -> None:",
        "def f(a: int = 0) -> None:",
    }
    assert lines("class A:\n    x: float = 0.0\n") == {"x: float = 1.0"}


def test_an_edit_matters_where_its_line_runs() -> None:
    from edits import mutants

    source = "N = 3\n\n\ndef f(a=1):\n    if (a\n            > 2):\n        return N\n    return a\n"
    reach = {(mutant.line, mutant.reach) for mutant in mutants("file.py", source)}
    assert reach == {(1, ()), (4, (5, 6, 7, 8)), (5, (5, 6)), (6, (5, 6)), (7, (7,)), (8, (8,))}


def test_tests_that_execute_an_edit_are_chosen_quick_ones_first() -> None:
    from campaign import Reach
    from edits import mutants

    constant, body = mutants("file.py", "N = True\n\n\ndef f() -> bool:\n    return False\n")
    seconds = {"a.py::slow": 2.0, "a.py::quick": 1.0, "b.py::x": 0.5, "c.py::other": 0.1, "a.py::broken": 0.1}
    reach = Reach(
        seconds, {"file.py": {5: {"a.py::slow", "a.py::quick", "a.py::broken", "c.py::other"}}}, ["a.py::broken"]
    )
    assert reach.tests(body, ["a.py", "b.py"]) == ["a.py::quick", "a.py::slow"]
    assert reach.tests(constant, ["a.py", "b.py"]) == ["b.py::x", "a.py::quick", "a.py::slow"], "b.py may import N"
    reach.seconds["a.py::slow"] = 60.0
    assert reach.tests(body, ["a.py", "b.py"]) == ["a.py::quick"]


# ---------------------------------------------------------------- the table


def test_every_file_has_tests_and_what_is_left_out_exists() -> None:
    """An entry that fits no mutant any more is out of date."""
    from edits import mutants
    from table import equivalents, targets, tests_of

    files = targets(ROOT, [])
    assert len(files) > 25
    assert [path for path in files if not tests_of(ROOT, path)] == []
    identities = {each.identity for path in files for each in mutants(path, (ROOT / path).read_text())}
    left_out = equivalents(ROOT)
    assert sorted(set(left_out) - identities) == [] and all(left_out.values())


def test_bugs_of_the_review_can_still_be_injected() -> None:
    from bugs import BUGS, bug_of

    for bug in BUGS:
        source = (ROOT / bug.path).read_text()
        assert ast.parse(bug_of(bug, source).apply(source))


# ---------------------------------------------------------------- a run

LIMITS = '''"""Two decisions."""

COUNT = 3


def over(value: float, limit: float) -> bool:
    return value > limit


def first(values: list) -> int:
    for number, value in enumerate(values):
        if value:
            return number
    return COUNT
'''
TESTS = """from sobo_planner.safety.limits import first, over


def test_over():
    assert over(2.0, 1.0)


def test_first():
    assert first([0, 1]) == 1
    assert first([]) == 3
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one file to mutate, and a test that misses a decision."""
    shutil.copytree(FOLDER, tmp_path / "benchmarks" / "mutants", ignore=shutil.ignore_patterns("__pycache__"))
    bugs = tmp_path / "benchmarks" / "mutants" / "bugs.py"
    bugs.write_text(bugs.read_text().split("BUGS: ")[0] + "BUGS: tuple[Bug, ...] = ()\n")
    (tmp_path / "benchmarks" / "mutants" / "equivalent.txt").write_text("")
    package = tmp_path / "sobo_planner" / "safety"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("")
    (package / "limits.py").write_text(LIMITS)
    (tmp_path / "training").mkdir()
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_limits.py").write_text(TESTS)
    return tmp_path


def run(tree: Path, *options: str) -> tuple[int, dict]:
    command = [sys.executable, "benchmarks/mutants", "--jobs", "2", "--json", "out.json", *options]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads((tree / "out.json").read_text())


@pytest.mark.slow
def test_a_run_finds_what_no_test_notices(tree: Path) -> None:
    status, found = run(tree)
    assert {each["after"] for each in found["survivors"]} == {"return True"} and status == 1
    survivor = found["survivors"][0]
    assert survivor["before"] == "return value > limit" and survivor["tests"] == 1
    assert (tree / "sobo_planner" / "safety" / "limits.py").read_text() == LIMITS, "the tree itself is never edited"
    kept = (tree / "build" / "mutants.jsonl").read_text()

    assert run(tree) == (status, found) and (tree / "build" / "mutants.jsonl").read_text() == kept, "nothing ran again"

    better = TESTS + "\n\ndef test_below():\n    assert not over(0.5, 1.0)\n"
    (tree / "test" / "test_limits.py").write_text(better)
    status, found = run(tree, "--survivors")
    assert status == 0 and found["score"] == 100.0 and sum(found["mutants"].values()) == 1


DEADLY = """import os


def f(n: int) -> int:
    if n > 5:
        os.abort()
    while n == 6:
        pass
    return n


def unreached() -> int:
    return 7
"""


@pytest.mark.slow
def test_endless_loops_crashes_and_edits_that_nothing_reaches(tree: Path) -> None:
    (tree / "sobo_planner" / "safety" / "limits.py").write_text(DEADLY)
    test = "from sobo_planner.safety.limits import f\n\n\ndef test_f():\n    assert f(5) == 5\n"
    (tree / "test" / "test_limits.py").write_text(test)
    _, found = run(tree)
    missed = {each["after"]: each["verdict"] for each in found["survivors"]}
    unreached = {after for after, verdict in missed.items() if verdict == "unreached"}
    assert unreached == {"return 8", "return 0", "return None", "pass"}, "the call of abort is one of them"
    assert "if True:" not in missed and "while n != 6:" not in missed, "ended by a signal, or by the time limit"
