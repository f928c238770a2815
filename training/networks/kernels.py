"""Builds the compiled kernels, activation.c and convolution.c, once per machine; without them PyTorch is used.

Needs a C compiler (`cc`, or what $CC names) at training time; without one, training takes 2 to 2.6 times as long.
Set SOBO_KERNELS=0 to do without.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from sobo_planner.paths import cache_folder

logger = logging.getLogger(__name__)

SOURCES = [Path(__file__).with_name(name) for name in ("activation.c", "convolution.c")]
# Not -ffast-math, which may reorder the steps of the exponential; these only drop errno and traps.
MATH_FLAGS = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd")
FLAGS = ("-O3", "-march=native", *MATH_FLAGS, "-shared", "-fPIC")


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be built (logged once)."""
    if os.environ.get("SOBO_KERNELS") == "0":
        return None
    try:
        compiled = _load()
        compiled.convolution_scratch.restype = ctypes.c_size_t
        return compiled
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or error
        logger.warning("training without compiled kernels, which takes 2 to 2.6 times as long: %s", detail)
        return None


def _load() -> ctypes.CDLL:
    """The kernels from the user's cache, compiled if they are not there; without a cache, for this process alone."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise OSError("no C compiler found (install gcc, or name one in $CC)")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    identity = "\n".join((*(source.read_text() for source in SOURCES), version, *FLAGS, _processor()))
    name = f"kernels-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    cache = cache_folder()
    if cache is not None:
        try:
            if not (cache / name).exists():
                cache.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=cache) as folder:
                    os.replace(_compile(compiler, Path(folder) / name), cache / name)
            return ctypes.CDLL(str(cache / name))
        except OSError as error:
            logger.info("compiling kernels for this process alone: %s cannot be used: %s", cache, error)
    with tempfile.TemporaryDirectory() as folder:
        return ctypes.CDLL(str(_compile(compiler, Path(folder) / name)))


def _compile(compiler: str, output: Path) -> Path:
    command = [compiler, *FLAGS, *map(str, SOURCES), "-o", str(output), "-lm"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return output


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
