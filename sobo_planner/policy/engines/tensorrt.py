"""GPU engine: TensorRT or TensorRT-RTX, whichever is installed (extra `gpu`).

Both modules have the same Python interface as far as it is used here. An engine is built from step.onnx the
first time, which takes seconds to minutes, and kept in the user's cache under module, version, GPU and
network; it is never built on the control path. The precision is that of the ONNX file.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PolicyError, SoboError
from sobo_planner.files import write_bytes
from sobo_planner.paths import cache_folder
from sobo_planner.policy.artifact import NETWORK_FILE, Artifact, PolicySpec

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

MODULES = ("tensorrt", "tensorrt_rtx")
MAX_BATCH = 64
"""Largest batch of one call; more samples are split."""


class TensorRTEngine:
    """Runs the network on the first CUDA device."""

    name = "tensorrt"

    def __init__(self, artifact: Artifact) -> None:
        self._trt = find_module()
        self._cuda = _cuda()
        self._spec = artifact.spec
        plan = cached_plan(self._trt, self._cuda.device, artifact.folder / NETWORK_FILE, artifact.spec)
        self._runtime = self._trt.Runtime(self._trt.Logger(self._trt.Logger.ERROR))
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise PolicyError(f"{self._trt.__name__} cannot load the engine it built for {self._cuda.device}")
        self._engine = engine
        self._context = engine.create_execution_context()
        self._buffers = {
            name: self._cuda.allocate(MAX_BATCH * size * item) for name, size, item in _bindings(artifact.spec)
        }
        for name, buffer in self._buffers.items():
            self._context.set_tensor_address(name, buffer)

    def denoise(self, sample: Floats, step: NDArray[np.int64], observation: Floats) -> Floats:
        """See `PolicyEngine.denoise`."""
        sample, step, observation = map(np.ascontiguousarray, (sample, step, observation))
        parts = []
        for start in range(0, len(sample), MAX_BATCH):
            rows = slice(start, start + MAX_BATCH)
            parts.append(self._call(sample[rows], step[rows], observation[rows]))
        return np.concatenate(parts)

    def _call(self, sample: Floats, step: NDArray[np.int64], observation: Floats) -> Floats:
        prediction = np.empty_like(sample)
        for name, value in (("sample", sample), ("step", step), ("observation", observation)):
            self._context.set_input_shape(name, value.shape)
            self._cuda.upload(self._buffers[name], value)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise PolicyError(f"{self._trt.__name__} could not run the network")
        self._cuda.download(prediction, self._buffers["prediction"])
        return prediction

    def __del__(self) -> None:
        for buffer in getattr(self, "_buffers", {}).values():
            self._cuda.free(buffer)


class _Cuda:
    """The few calls of the CUDA runtime that are needed, with errors as exceptions."""

    def __init__(self, runtime: Any) -> None:
        self._rt = runtime
        if self._check(runtime.cudaGetDeviceCount()) < 1:
            raise PolicyError("no CUDA device")
        properties = self._check(runtime.cudaGetDeviceProperties(0))
        self.device = f"{properties.name.decode()} sm{properties.major}{properties.minor}"
        self.stream = self._check(runtime.cudaStreamCreate())

    def _check(self, result: tuple[Any, ...]) -> Any:
        code, *values = result
        if int(code) != 0:
            reason = self._rt.cudaGetErrorString(code)[1].decode()
            raise PolicyError(f"CUDA does not work here: {reason} (error {int(code)})")
        return values[0] if values else None

    def allocate(self, size: int) -> int:
        return int(self._check(self._rt.cudaMalloc(size)))

    def free(self, buffer: int) -> None:
        self._rt.cudaFree(buffer)

    def upload(self, buffer: int, value: NDArray[Any]) -> None:
        kind = self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._check(self._rt.cudaMemcpyAsync(buffer, value.ctypes.data, value.nbytes, kind, self.stream))

    def download(self, value: NDArray[Any], buffer: int) -> None:
        kind = self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._check(self._rt.cudaMemcpyAsync(value.ctypes.data, buffer, value.nbytes, kind, self.stream))
        self._check(self._rt.cudaStreamSynchronize(self.stream))


def find_module() -> Any:
    """The installed TensorRT module.

    Raises:
        PolicyError: There is none.
    """
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise PolicyError(f"neither {' nor '.join(MODULES)} is installed (extra `gpu`)")


def _cuda() -> _Cuda:
    try:
        runtime = importlib.import_module("cuda.bindings.runtime")
    except (ImportError, RuntimeError) as error:  # RuntimeError: the bindings do not find the driver
        raise PolicyError(f"cuda-bindings cannot be used: {error}") from error
    return _Cuda(runtime)


def _bindings(spec: PolicySpec) -> list[tuple[str, int, int]]:
    """Name, elements a sample and bytes an element of each tensor."""
    chunk = spec.T_h * spec.action_dim
    return [
        ("sample", chunk, 4),
        ("step", 1, 8),
        ("observation", spec.observation_dim, 4),
        ("prediction", chunk, 4),
    ]


def build_plan(trt: Any, network: bytes, spec: PolicySpec, capability: str | None = None) -> bytes:
    """Compile the network; needs no GPU with TensorRT-RTX if `capability` is given.

    Args:
        trt: The module.
        network: Contents of step.onnx.
        spec: Sizes of its inputs.
        capability: Compute capability to build for, such as "SM89"; the present GPU's by default.

    Raises:
        PolicyError: The network cannot be parsed or compiled.
    """
    log = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(log)
    definition = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(definition, log)
    if not parser.parse(network):
        reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise PolicyError(f"{trt.__name__} cannot read the network: {reasons}")
    config = builder.create_builder_config()
    if capability is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, capability), 0)
    profile = builder.create_optimization_profile()
    shapes = {"sample": (spec.T_h, spec.action_dim), "step": (), "observation": (spec.observation_dim,)}
    for name, shape in shapes.items():
        profile.set_shape(name, (1, *shape), (1, *shape), (MAX_BATCH, *shape))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise PolicyError(f"{trt.__name__} {trt.__version__} cannot build an engine here (GPU not supported?)")
    return bytes(plan)


def cached_plan(trt: Any, device: str, path: Path, spec: PolicySpec) -> bytes:
    """Compiled network from the user's cache, built if it is not there.

    Raises:
        PolicyError: The network cannot be read or compiled.
    """
    try:
        network = path.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot read {path}: {error}") from error
    identity = "|".join((trt.__name__, trt.__version__, device, str(MAX_BATCH), hashlib.sha256(network).hexdigest()))
    cache, name = cache_folder(), f"policy-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.engine"
    if cache is not None:
        with contextlib.suppress(OSError):
            return (cache / name).read_bytes()
    logger.warning("building a %s engine for %s, once; this can take minutes", trt.__name__, device)
    plan = build_plan(trt, network, spec)
    try:
        if cache is None:
            raise SoboError("there is no cache folder; set HOME or XDG_CACHE_HOME")
        write_bytes(cache / name, plan)
    except SoboError as error:
        logger.warning("the engine serves, but will be built again: %s", error)
    return plan
