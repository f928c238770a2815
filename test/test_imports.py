"""The run-time package starts without torch, and imports run one way: ros -> planner -> ... -> native."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import sobo_planner

PACKAGE = Path(sobo_planner.__file__).resolve().parent
TRAINING_LIBRARIES = {"torch", "diffusers", "onnx", "onnxscript", "tensorboard", "sobo_training"}
# Each may import what stands before it. The command line is cli.py, commands.py and command_*.py.
LAYERS = (
    "errors",
    "paths",
    "robot",
    "solver",
    "tasks",
    "safety",
    "policy",
    "rollout",
    "plan",
    "refiner",
    "effort",
    "starts",
    "planner",
    "motion",
    "brakes",
    "proposer",
    "receding",
    "ros",
    "cli",
)


def module_names() -> list[str]:
    """Returns the full names of all modules of sobo_planner."""
    found = pkgutil.walk_packages([str(PACKAGE)], "sobo_planner.")
    return ["sobo_planner", *(module.name for module in found)]


def imports(tree: ast.AST, package: str, whole_file: bool) -> Iterator[str]:
    """Yields what a module imports when it loads or (`whole_file`) anywhere, `if TYPE_CHECKING` aside."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*parent, node.module or ""]).strip(".") if node.level else node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif whole_file or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from imports(node, package, whole_file)


def layer_of(name: str) -> int | None:
    """Returns the rank of a module, given by its name in the package; None for helpers of a layer."""
    top = "cli" if name.startswith("command") else name
    return LAYERS.index(top) if top in LAYERS else None


def sources() -> list[tuple[str, ast.AST]]:
    """Returns (path inside the package, syntax tree) of every source file."""
    files = sorted(PACKAGE.rglob("*.py"))
    return [(str(f.relative_to(PACKAGE)), ast.parse(f.read_text(encoding="utf-8"))) for f in files]


def package_of(path: str) -> str:
    """Returns the package that relative imports in a file start from."""
    return ".".join(["sobo_planner", *Path(path).parent.parts])


def test_no_module_imports_training_libraries_when_it_loads() -> None:
    wrong = [
        f"{path} imports {name}"
        for path, tree in sources()
        for name in imports(tree, package_of(path), whole_file=False)
        if name.split(".")[0] in TRAINING_LIBRARIES
    ]
    assert not wrong


def test_only_the_command_line_reaches_for_the_training_package() -> None:
    """Sub-commands that train load sobo_training when they are called; nothing else ever does."""
    wrong = [
        f"{path} imports {name}"
        for path, tree in sources()
        for name in imports(tree, package_of(path), whole_file=True)
        if name.split(".")[0] == "sobo_training" and layer_of(path.removesuffix(".py")) != LAYERS.index("cli")
    ]
    assert not wrong


def test_imports_run_one_way() -> None:
    wrong = []
    for path, tree in sources():
        own = layer_of(path.split("/")[0].removesuffix(".py"))
        for name in imports(tree, package_of(path), whole_file=True):
            other = layer_of(name.split(".")[1]) if name.startswith("sobo_planner.") else None
            if own is not None and other is not None and other > own:
                wrong.append(f"{path} imports {name}")
    assert not wrong


def test_every_module_loads_without_torch() -> None:
    """In a process where torch and its companions cannot be imported; ros/ only where rclpy is."""
    code = f"""
import importlib, importlib.util, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(TRAINING_LIBRARIES)!r}:
            raise ImportError(name + " is not part of the run-time package")

has_ros = importlib.util.find_spec("rclpy") is not None
sys.meta_path.insert(0, Block())
for name in {module_names()!r}:
    if has_ros or not name.startswith("sobo_planner.ros"):
        importlib.import_module(name)
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
