"""Build and installation of sobo_planner: an ament_python package with a native extension made by CMake."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

# colcon --symlink-install runs a link to this file from its build folder: paths start from the real file.
ROOT = Path(__file__).resolve().parent
NAME = "sobo_planner"
GIB = 1024**3
BYTES_PER_COMPILE_JOB = 3 * GIB  # the heaviest unit takes 2.4 GB


def version() -> str:
    """Returns the version written in sobo_planner/__init__.py."""
    text = (ROOT / NAME / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if match is None:
        raise RuntimeError("sobo_planner/__init__.py has no __version__")
    return match.group(1)


def compile_jobs() -> int:
    """Returns how many compilers may run at once: as many as processors, as few as memory asks for."""
    if "SOBO_BUILD_JOBS" in os.environ:
        return max(1, int(os.environ["SOBO_BUILD_JOBS"]))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory // BYTES_PER_COMPILE_JOB))


def ask(*arguments: str) -> str:
    """Returns the last line that `python arguments...` prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout.strip().splitlines()[-1]


@functools.cache
def site_folders() -> list[str]:
    """Returns the site-packages of the interpreter."""
    # -I looks past the overlays that pip and colcon build with.
    code = (
        "import site, sys; user = [site.getusersitepackages()] if sys.prefix == sys.base_prefix else [];"
        "print(site.getsitepackages() + user)"
    )
    return list(ast.literal_eval(ask("-I", "-c", code)))


def is_temporary(prefix: str) -> bool:
    """Returns whether a cmeel prefix belongs to an isolated build, and goes away with it."""
    return Path(tempfile.gettempdir()) in Path(prefix).parents and str(Path(prefix).parent) not in site_folders()


def library_folders(prefix: str) -> list[str]:
    """Returns where the module looks for libaligator and libpinocchio at run time.

    Beside the installed package first. colcon and editable installs put the package elsewhere than its
    libraries, so the interpreter's own folders follow. A temporary build prefix is left out: it will be gone,
    and anyone could put libraries in its place.
    """
    folders = [f"{site}/cmeel.prefix/lib" for site in site_folders()]
    if not is_temporary(prefix):
        folders.append(f"{prefix}/lib")
    return ["$ORIGIN/../cmeel.prefix/lib", *dict.fromkeys(folders)]


class CMakeBuild(build_ext):
    """Builds sobo_planner._native with CMake and Ninja.

    Environment: SOBO_BUILD_JOBS (parallel compilers), SOBO_BUILD_DIR (the parent of the CMake build folders).
    """

    def build_extension(self, ext: Extension) -> None:
        """Configures and builds; what is up to date is not compiled again."""
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        prefix = ask("-m", "cmeel", "cmake")
        folder = self._cmake_folder(prefix)
        folder.mkdir(parents=True, exist_ok=True)
        # The environment may be in use without having been activated: its cmake and ninja go first.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        environment = {**os.environ, "PATH": path}
        configure = [*self._configure(prefix), "-S", str(ROOT / "src"), "-B", str(folder)]
        subprocess.run(configure, check=True, env=environment)
        build = ["cmake", "--build", str(folder), "-j", str(compile_jobs())]
        subprocess.run(build, check=True, env=environment)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Copied under a temporary name: a process that has the old module loaded keeps its own copy.
        temporary = target.with_name(target.name + ".new")
        shutil.copy2(folder / "module" / target.name, temporary)
        temporary.replace(target)
        if is_temporary(prefix):  # the next isolated build gets another prefix and cannot use these objects
            shutil.rmtree(folder)

    def _cmake_folder(self, prefix: str) -> Path:
        """Returns the CMake build folder: one for each environment, kept from build to build."""
        key = hashlib.sha256(f"{sys.implementation.cache_tag} {prefix}".encode()).hexdigest()[:8]
        parent = os.environ.get("SOBO_BUILD_DIR", str(self.build_temp))
        if "SOBO_BUILD_DIR" not in os.environ and getattr(self, "editable_mode", False):
            # pip gives editable installs a temporary folder: they share that of `build_ext --inplace`.
            parent = str(ROOT / "build" / f"temp.{self.plat_name}-{sys.implementation.cache_tag}")
        return Path(parent).resolve() / f"native-{sys.implementation.cache_tag}-{key}"

    def _configure(self, prefix: str) -> list[str]:
        """Returns the CMake call without its folders."""
        return [
            "cmake",
            "-G",
            "Ninja",
            "-DCMAKE_POLICY_DEFAULT_CMP0167=OLD",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-Dnanobind_DIR={ask('-m', 'nanobind', '--cmake_dir')}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DSOBO_OUTPUT_DIR={self._module_folder(prefix)}",
            f"-DSOBO_RPATH={';'.join(library_folders(prefix))}",
        ]

    def _module_folder(self, prefix: str) -> Path:
        return self._cmake_folder(prefix) / "module"


def packages() -> list[str]:
    """Returns the import names of all packages; training/ is imported as sobo_training."""
    training = [f"sobo_training.{name}" for name in find_packages(str(ROOT / "training"))]
    return [*find_packages(str(ROOT), include=[NAME, f"{NAME}.*"]), "sobo_training", *training]


def share_files() -> list[tuple[str, list[str]]]:
    """Returns the data files of share/sobo_planner and the node scripts, folder by folder."""
    share = f"share/{NAME}"
    files = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (share, ["package.xml"]),
        (f"lib/{NAME}", sorted(str(p.relative_to(ROOT)) for p in (ROOT / "scripts").glob("*_node"))),
    ]
    for top in ("launch", "config", "urdf"):
        folders = [ROOT / top, *sorted(p for p in (ROOT / top).rglob("*") if p.is_dir())]
        for folder in folders:
            if folder.name == "__pycache__":
                continue
            inside = sorted(str(p.relative_to(ROOT)) for p in folder.iterdir() if p.is_file())
            if inside:
                files.append((f"{share}/{folder.relative_to(ROOT)}", inside))
    return files


INSTALL_REQUIRES = [
    # The extension is compiled against these three: another version may not load.
    "libaligator==0.19.1",
    "pin==4.1.0",
    "libcoal==3.0.3",
    "numpy>=1.26",
    "onnxruntime>=1.20",
    "PyYAML>=6.0",
    "safetensors>=0.5",
    "tyro>=0.9.10",
]
# The core bindings: no viewer. Friction of joints depends on its solver, hence one version.
MUJOCO = "mujoco-core==4.0.0; python_version >= '3.11'"
# Exact versions of everything that was tested together: constraints.txt.
EXTRAS = {
    # Only where no ROS distribution provides these.
    "ros": [
        "ros-rclpy[fastrtps]==9.1.2",
        "ros-ament-index-python==1.11.0",
        "ros-builtin-interfaces==2.3.0",
        "ros-diagnostic-msgs==5.5.1",
        "ros-geometry-msgs==5.5.1",
        "ros-lifecycle-msgs==2.3.0",
        "ros-rcl-interfaces==2.3.0",
        "ros-sensor-msgs==5.5.1",
        "ros-std-msgs==5.5.1",
        "ros-std-srvs==5.5.1",
        "ros-trajectory-msgs==5.5.1",
        "ros-visualization-msgs==5.5.1",
    ],
    "train": [
        "torch==2.13.0",
        "diffusers>=0.35",
        "onnx>=1.18",
        "onnxscript>=0.5",
        "tqdm>=4.66",
        "tensorboard>=2.18",
        "matplotlib>=3.9",
    ],
    "ray": ["ray==2.60.0"],
    # In an environment without `sim` and `test`: dm_control does not run with the MuJoCo that these want.
    "control-suite": ["dm_control==1.0.50", "mujoco==3.17.0"],
    "rl": ["gymnasium==1.4.0", "stable-baselines3==2.9.2"],
    "bags": ["rosbags>=0.11"],
    "docs": ["pdoc>=16.0"],
    "sim": [MUJOCO],
    "viz": ["viser>=1.1", "matplotlib>=3.9"],
    "gpu": ["tensorrt_rtx==1.7.1.116", "cuda-bindings>=12.9"],
    "test": [
        "pytest>=8.3",
        "pytest-xdist>=3.6",
        "hypothesis>=6.130",
        "mcap>=1.3",
        "ruff==0.17.5",
        "mypy==2.4.1",
        "types-PyYAML",
        "types-tqdm",
        "example-robot-data==6.0.0",
        "scipy>=1.13",
        MUJOCO,
        "colcon-core>=0.18",
        "colcon-ros>=0.5",
        "catkin-pkg>=1.0",
    ],
}

setup(
    name=NAME,
    version=version(),
    description="Robot motion planning with a diffusion policy and constrained trajectory optimization",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The sobo_planner authors",
    maintainer="The sobo_planner authors",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=packages(),
    package_dir={"sobo_training": "training"},
    package_data={NAME: ["py.typed"], "sobo_training.networks": ["*.c"]},
    data_files=share_files(),
    ext_modules=[Extension(f"{NAME}._native", sources=[])],
    cmdclass={"build_ext": CMakeBuild},
    zip_safe=False,
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["sobo = sobo_planner.cli:main"]},
)
