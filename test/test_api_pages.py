"""`make docs`: a page for every module, with the sections of the docstrings."""

from __future__ import annotations

import ast
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from document_checks import ROOT, make_targets

import sobo_planner
import sobo_training

SCRIPT = ROOT / "docs" / "api.py"


def modules() -> list[str]:
    """All modules of both packages; programs aside."""
    names = []
    for package in (sobo_planner, sobo_training):
        found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        names += [package.__name__, *(module.name for module in found)]
    return [name for name in names if not name.endswith(".__main__")]


def build(folder: Path, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Runs the script with folders in front of the module path."""
    pytest.importorskip("pdoc", reason="needs pdoc: the extra `docs`")
    path = os.pathsep.join([*map(str, paths), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command, environment = [sys.executable, str(SCRIPT), str(folder)], {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    build(folder)
    return folder


@pytest.mark.slow
def test_every_module_has_a_page(pages: Path) -> None:
    has_ros = importlib.util.find_spec("rclpy") is not None
    expected = [name for name in modules() if has_ros or not name.startswith("sobo_planner.ros")]
    missing = [name for name in expected if not (pages / f"{name.replace('.', '/')}.html").is_file()]
    assert missing == []
    index = (pages / "index.html").read_text()
    public = [name for name in expected if "._" not in name]
    assert [name for name in public if f">{name}</a>" not in index] == []


@pytest.mark.slow
def test_what_cannot_be_imported_is_left_out_and_said(tmp_path: Path) -> None:
    """Without rclpy and torch the rest is built."""
    for module in ("rclpy", "torch"):
        (tmp_path / f"{module}.py").write_text(f"raise ImportError('no {module} here')")
    said = build(tmp_path / "api", tmp_path).stderr
    assert "left out: sobo_planner.ros: " in said and "left out: sobo_training.networks.unet: " in said
    assert (tmp_path / "api" / "sobo_planner" / "planning" / "planner.html").is_file()
    assert not (tmp_path / "api" / "sobo_planner" / "ros.html").exists()


@pytest.mark.slow
def test_sections_of_docstrings_are_rendered(pages: Path) -> None:
    """As lists under headings: raw `Args:` lines would show that the style was not recognised."""
    page = (pages / "sobo_planner" / "robot.html").read_text()
    text = unescape(re.sub(r"<[^>]+>", "", page))
    assert re.search(r"<h6[^>]*>Arguments:</h6>", page) and re.search(r"<h6[^>]*>Raises:</h6>", page)
    assert "The URDF; package:// meshes" in text
    assert "Args:" not in text


def test_diagrams_are_indented() -> None:
    """By four columns more than the text: otherwise Markdown runs their lines together."""
    drawn = re.compile(r"--+>|<--|--\+|^\w+ {3,}\w")
    wrong = []
    for path in [*(ROOT / "sobo_planner").rglob("*.py"), *(ROOT / "training").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                lines = (ast.get_docstring(node) or "").splitlines()
                wrong += [f"{path.name}: {line}" for line in lines if drawn.search(line) and line[:4].strip()]
    assert wrong == []


def test_make_docs_runs_the_script() -> None:
    assert "docs/api.py build/docs" in make_targets((ROOT / "Makefile").read_text())["docs"]
