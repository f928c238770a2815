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
        compiled = ctypes.CDLL(str(_build()))
        compiled.convolution_scratch.restype = ctypes.c_size_t
        return compiled
    except (OSError, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stderr", "") or error
        logger.warning("training without compiled kernels, which takes 2 to 2.6 times as long: %s", detail)
        return None


def _build() -> Path:
    """Compile into the user's cache, under a name that depends on source, compiler, flags and processor."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise OSError("no C compiler found (install gcc, or name one in $CC)")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    identity = "\n".join((*(source.read_text() for source in SOURCES), version, *FLAGS, _processor()))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sobo_planner"
    target = cache / f"kernels-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.so"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            output = Path(folder) / target.name
            command = [compiler, *FLAGS, *map(str, SOURCES), "-o", str(output), "-lm"]
            subprocess.run(command, capture_output=True, text=True, check=True)
            os.replace(output, target)
    return target


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
