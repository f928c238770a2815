"""Writes the pages of the Python API, one for each module, from the docstrings: `make docs`.

python docs/api.py [FOLDER]
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import sobo_planner

PACKAGES = ("sobo_planner", "sobo_training")


def module_names() -> list[str]:
    """Full names of all modules that can be imported here; programs (`__main__`) aside.

    The ROS layer needs rclpy, and a part of it other ROS packages; what cannot be imported is left out with its reason.
    """
    names = []
    for package in PACKAGES:
        folder = Path(next(iter(importlib.util.find_spec(package).submodule_search_locations)))
        names += [package, *(found.name for found in pkgutil.walk_packages([str(folder)], f"{package}."))]
    return [name for name in names if not name.endswith(".__main__") and can_be_imported(name)]


def can_be_imported(name: str) -> bool:
    """Whether a module can be imported; says why not."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"left out: {name}: {error}", file=sys.stderr)
        return False
    return True


def main() -> None:
    """Writes all pages."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs")
    # Annotations of an inherited constructor name classes of the parent's module: they are printed as written.
    # Functions of the native extension have signatures in their docstrings as well.
    warnings.filterwarnings("ignore", message="Error (parsing type annotation|processing type stub)")
    footer = f"sobo_planner {sobo_planner.__version__}"
    pdoc.render.configure(docformat="google", footer_text=footer, show_source=False)
    names = module_names()
    pdoc.pdoc(*names, output_directory=folder)
    print(f"{len(names)} modules: {folder / 'index.html'}")


if __name__ == "__main__":
    main()
