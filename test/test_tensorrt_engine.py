"""What can be tested without a GPU: refusals, and building where TensorRT-RTX is installed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_policy import copy_to

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Artifact, Policy
from sobo_planner.policy.engines import tensorrt as module


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return Artifact.load(copy_to(tmp_path))


def test_without_tensorrt_the_next_engine_is_used(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in module.MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PolicyError, match="neither tensorrt nor tensorrt_rtx is installed"):
        module.TensorRTEngine(artifact)
    assert Policy.load(artifact.folder, engines=("tensorrt", "onnxruntime")).engine.name == "onnxruntime"


class FakeRuntime:
    """CUDA runtime of a machine with `devices` GPUs, or with an error."""

    def __init__(self, devices: int = 0, error: int = 0) -> None:
        self.answer = (error, devices)

    def cudaGetDeviceCount(self):
        return self.answer

    def cudaGetErrorString(self, code):
        return 0, b"CUDA driver version is insufficient"


@pytest.mark.parametrize(
    ("runtime", "message"),
    [
        (None, "cuda-bindings cannot be used"),
        (FakeRuntime(), "no CUDA device"),
        (FakeRuntime(error=35), r"driver version is insufficient \(error 35\)"),
    ],
)
def test_without_a_gpu_the_reason_is_given(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, runtime: object, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__name__="tensorrt"))
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", runtime)
    monkeypatch.setitem(sys.modules, "cuda.bindings", SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(bindings=SimpleNamespace(runtime=runtime)))
    with pytest.raises(PolicyError, match=message):
        module.TensorRTEngine(artifact)


def test_engines_are_cached_by_module_gpu_and_network(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    built = []
    monkeypatch.setattr(module, "build_plan", lambda trt, network, spec: built.append(trt.__version__) or b"plan")
    path = artifact.folder / "step.onnx"
    for version, device in (("1", "a"), ("1", "a"), ("2", "a"), ("2", "b")):
        trt = SimpleNamespace(__name__="tensorrt", __version__=version)
        assert module.cached_plan(trt, device, path, artifact.spec) == b"plan"
    assert built == ["1", "2", "2"]


def test_a_compiled_engine_that_does_not_load_is_passed_over_and_said_once(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As TensorRT answers when the engine is of another GPU or version than its name in the cache says."""

    class Runtime:
        def __init__(self, log: object) -> None: ...

        def deserialize_cuda_engine(self, plan: bytes) -> None:
            return None

    class Logger:
        ERROR = 1

        def __init__(self, level: int) -> None: ...

    trt = SimpleNamespace(__name__="tensorrt", __version__="1", Runtime=Runtime, Logger=Logger)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "build_plan", lambda *_: b"of another GPU")
    monkeypatch.setattr(module, "find_module", lambda: trt)
    monkeypatch.setattr(module, "_cuda", lambda: SimpleNamespace(device="H100 sm90", free=lambda buffer: None))
    for _ in range(2):
        assert Policy.load(artifact.folder, engines=("tensorrt", "onnxruntime")).engine.name == "onnxruntime"
    said = [record.getMessage() for record in caplog.records if "trying the next" in record.getMessage()]
    assert len(said) == 1 and "cannot load the engine it built for H100 sm90" in said[0]


def test_a_cache_that_cannot_be_written_costs_only_the_next_start(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "build_plan", lambda *_: b"plan")
    trt = SimpleNamespace(__name__="tensorrt", __version__="1")
    assert module.cached_plan(trt, "a", artifact.folder / "step.onnx", artifact.spec) == b"plan"
    assert "will be built again" in caplog.text


@pytest.mark.slow
def test_building_ahead_of_time_without_a_gpu(artifact: Artifact) -> None:
    trt = pytest.importorskip("tensorrt_rtx")
    network = (artifact.folder / "step.onnx").read_bytes()
    assert len(module.build_plan(trt, network, artifact.spec, "SM89")) > 10_000
    with pytest.raises(PolicyError, match="cannot read the network"):
        module.build_plan(trt, b"no network", artifact.spec, "SM89")


def test_without_a_home_folder_engines_are_built_each_time(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "cache_folder", lambda: None)
    monkeypatch.setattr(module, "build_plan", lambda *_: b"plan")
    trt = SimpleNamespace(__name__="tensorrt", __version__="1")
    assert module.cached_plan(trt, "a", artifact.folder / "step.onnx", artifact.spec) == b"plan"
    assert "will be built again: there is no cache folder; set HOME or XDG_CACHE_HOME" in caplog.text
