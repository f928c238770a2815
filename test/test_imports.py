"""The run-time package starts without torch, and imports run one way: ros -> planner -> ... -> native."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import sobo_planner
import sobo_training

PACKAGE = Path(sobo_planner.__file__).resolve().parent
TRAINING_LIBRARIES = {"torch", "diffusers", "onnx", "onnxscript", "tensorboard", "sobo_training"}
# Each package or module may import what stands in its own line or before it. Every module has to be in one.
LAYERS = (
    "sobo_planner.errors sobo_planner._native",
    "sobo_planner.files sobo_planner.locks sobo_planner.paths sobo_planner.terminal sobo_planner.yaml_reader",
    "sobo_planner.world",
    "sobo_planner.robot",
    "sobo_planner.solver",
    "sobo_planner.tasks",
    "sobo_planner.sampling",
    "sobo_planner.safety",
    "sobo_planner.policy",
    "sobo_planner.motion",
    "sobo_planner.planning sobo_planner.planner",
    "sobo_planner.plant",
    "sobo_planner.receding",
    "sobo_planner.view",
    "sobo_planner.ros.support",
    "sobo_planner.ros.record",
    "sobo_planner.ros.inputs",
    "sobo_planner.ros.outputs",
    "sobo_planner.ros.serve",
    "sobo_planner.ros.simulator",
    "sobo_planner.ros.planner_node sobo_planner.ros.arm_simulator_node sobo_planner.ros.one_plan",
    "sobo_planner.ros.demo sobo_planner.ros.live",
    "sobo_training.config",
    "sobo_training.memory",
    "sobo_training.optimal_layer",
    "sobo_training.receding_weights",
    "sobo_training.networks",
    "sobo_training.data",
    "sobo_training.bags",
    "sobo_training.learning",
    "sobo_training.latent",
    "sobo_training.imitation",
    "sobo_training.export",
    "sobo_training.evaluation",
    "sobo_training.interplay",
    "sobo_training.reinforcement",
    "sobo_training.consensus",
    "sobo_training.bench",
    "sobo_planner.cli",
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
# Packages that only hold what other layers are made of; `sobo_planner.ros` itself checks for rclpy.
ROOTS = {"sobo_planner", "sobo_planner.ros", "sobo_training"}


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
    """Returns the rank of what an import names: that of the longest prefix which has one."""
    parts = name.split(".")
    prefixes = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((RANKS[prefix] for prefix in prefixes if prefix in RANKS), None)


def sources(folder: Path = PACKAGE) -> list[tuple[str, ast.AST]]:
    """Returns (path inside the package, syntax tree) of every source file."""
    files = sorted(folder.rglob("*.py"))
    return [(str(f.relative_to(folder)), ast.parse(f.read_text(encoding="utf-8"))) for f in files]


def name_of(path: str, package: str = "sobo_planner") -> str:
    """Returns the full name of the module in a file, given by its path inside the package."""
    return ".".join([package, *Path(path).with_suffix("").parts]).removesuffix(".__init__")


def package_of(path: str, package: str = "sobo_planner") -> str:
    """Returns the package that relative imports in a file start from."""
    return ".".join([package, *Path(path).parent.parts])


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
        if name.split(".")[0] == "sobo_training" and layer_of(name_of(path)) != RANKS["sobo_planner.cli"]
    ]
    assert not wrong


PACKAGES = {"sobo_planner": PACKAGE, "sobo_training": Path(sobo_training.__file__).resolve().parent}


def test_every_module_has_a_layer() -> None:
    names = [name_of(path, package) for package, folder in PACKAGES.items() for path, _ in sources(folder)]
    assert not [name for name in names if layer_of(name) is None and name not in ROOTS]
    assert not [name for name in RANKS if name not in names and name != "sobo_planner._native"]


def test_imports_run_one_way() -> None:
    wrong = []
    for package, folder in PACKAGES.items():
        for path, tree in sources(folder):
            own = layer_of(name_of(path, package))
            for name in imports(tree, package_of(path, package), whole_file=True):
                other = layer_of(name)
                if own is not None and other is not None and other > own:
                    wrong.append(f"{package}: {path} imports {name}")
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
