import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
from toy_policy import copy_to

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Artifact, Policy
from sobo_planner.policy.engines import base as engine
from sobo_planner.policy.engines.native import NativeEngine
from sobo_planner.policy.engines.onnx import OnnxEngine
from sobo_training.export.exporter import check_parity
from sobo_training.export.torch_engine import TorchEngine


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return Artifact.load(copy_to(tmp_path_factory.mktemp("engines")))


@pytest.mark.parametrize("engine_class", [NativeEngine, OnnxEngine, TorchEngine])
def test_engines_agree_with_torch(artifact: Artifact, engine_class: type) -> None:
    assert check_parity(engine_class(artifact), artifact, batches=(1, 3, 33)) < 1e-5


@pytest.mark.parametrize("engine_class", [NativeEngine, OnnxEngine, TorchEngine])
def test_samples_of_a_batch_do_not_mix(artifact: Artifact, engine_class: type) -> None:
    rng = np.random.default_rng(0)
    runner = engine_class(artifact)
    sample, observation = rng.standard_normal((4, 8, 4), "f4"), rng.standard_normal((4, 4), "f4")
    step = np.array([0, 4, 2, 2])
    together = runner.denoise(sample, step, observation)
    for i in range(4):
        one = slice(i, i + 1)
        np.testing.assert_allclose(runner.denoise(sample[one], step[one], observation[one])[0], together[i], atol=1e-5)


def test_first_engine_that_works_is_taken_and_the_reason_logged_once(
    artifact: Artifact, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_reported", set())
    monkeypatch.setitem(engine.ENGINES, "quantum", "sobo_planner.policy.quantum:Engine")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            policy = Policy.load(artifact.folder, engines=("quantum", "onnxruntime", "torch"))
            assert policy.engine.name == "onnxruntime"
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 1 and "quantum" in messages[0] and "not installed" in messages[0]


def test_no_engine(artifact: Artifact) -> None:
    with pytest.raises(PolicyError, match="unknown engine 'abacus'; known: native, onnxruntime, tensorrt, torch"):
        Policy.load(artifact.folder, engines=("abacus",))
    with pytest.raises(PolicyError, match="none was named"):
        Policy.load(artifact.folder, engines=())


class Broken:
    """Engine that loads, then misbehaves."""

    name = "broken"
    result: object = None

    def __init__(self, artifact: Artifact) -> None: ...

    def denoise(self, *_: object) -> np.ndarray:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (RuntimeError("out of memory"), "does not run: out of memory"),
        (np.zeros((1, 8, 5), "f4"), r"returns \(1, 8, 5\), config.json says \(1, 8, 4\)"),
        (np.full((1, 8, 4), np.nan, "f4"), "not finite"),
    ],
)
def test_engine_is_probed_before_it_is_trusted(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, result: object, message: str
) -> None:
    monkeypatch.setattr(engine, "engine_class", lambda name: Broken)
    monkeypatch.setattr(Broken, "result", result)
    with pytest.raises(PolicyError, match=message):
        engine.select_engine(artifact, ("broken",))


def test_engine_that_does_not_start_is_passed_over(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(artifact: Artifact) -> None:
        raise TypeError("factory function returned nullptr")

    classes = {"broken": breaks, "onnxruntime": OnnxEngine}
    monkeypatch.setattr(engine, "engine_class", lambda name: classes[name])
    assert engine.select_engine(artifact, ("broken", "onnxruntime")).name == "onnxruntime"
    assert "broken: does not start: TypeError: factory function returned nullptr" in caplog.text


def test_onnx_file_that_is_none(tmp_path: Path) -> None:
    folder = copy_to(tmp_path)
    artifact = Artifact.load(folder)
    (folder / "step.onnx").write_bytes(b"no network")
    with pytest.raises(PolicyError, match=r"onnxruntime cannot load .*step\.onnx"):
        OnnxEngine(artifact)


def test_weights_of_another_network(artifact: Artifact) -> None:
    network = dict(artifact.spec.network) | {"hidden": [16, 24]}
    other = Artifact(artifact.folder, dataclasses.replace(artifact.spec, network=network))
    with pytest.raises(PolicyError, match="weights and network in config.json do not match"):
        TorchEngine(other)
