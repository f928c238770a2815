"""Writes the pages of the Python API, one for each module, from the docstrings: `make docs`.

python docs/api.py [FOLDER]
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
from pathlib import Path

import pdoc

import sobo_planner

PACKAGES = ("sobo_planner", "sobo_training")


def modules() -> dict[str, str]:
    """Full names of all modules, programs (`__main__`) aside; and why one cannot be imported here, or an empty text.

    The ROS layer needs rclpy, and training needs torch.
    """
    found = {}
    for package in PACKAGES:
        folder = Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
        files = sorted(file.relative_to(folder.parent) for file in folder.rglob("*.py") if file.name != "__main__.py")
        for file in files:
            name = ".".join((package, *file.with_suffix("").parts[1:])).removesuffix(".__init__")
            found[name] = why_not(name)
    return found


def why_not(name: str) -> str:
    """Why a module cannot be imported; empty if it can."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        return str(error)
    return ""


def main() -> None:
    """Writes all pages."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs")
    # Annotations of an inherited constructor name classes of the parent's module: they are printed as written.
    # Functions of the native extension have signatures in their docstrings as well.
    warnings.filterwarnings("ignore", message="Error (parsing type annotation|processing type stub)")
    # Packages are named with their modules, because `__all__` hides these from pdoc.
    warnings.filterwarnings("ignore", message="The module specification|Couldn't import|Error loading")
    footer = f"sobo_planner {sobo_planner.__version__}"
    pdoc.render.configure(docformat="google", footer_text=footer, show_source=False)
    found = modules()
    left_out = [name for name, reason in found.items() if reason]
    for name in left_out:
        print(f"left out: {name}: {found[name]}", file=sys.stderr)
    names = [name for name, reason in found.items() if not reason]
    pdoc.pdoc(*names, *(f"!{re.escape(name)}$" for name in left_out), output_directory=folder)
    print(f"{len(names)} modules: {folder / 'index.html'}")


if __name__ == "__main__":
    main()
