"""The int8 version of a network: made from pictures, found by its weights, close to the network it was made of."""

from __future__ import annotations

import itertools
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vidseg import zoo
from vidseg.commands import doctor
from vidseg.commands import quantize as quantize_app
from vidseg.commands.export import ExportRequest, export
from vidseg.commands.quantize import QuantizeRequest, make_quantized
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, DeviceError
from vidseg.frames import Frame
from vidseg.models import create_model
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.network import weights_sha256
from vidseg.runtimes.quantized import cached_path, find_quantized, path_beside, write_quantized
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.sources.factory import open_source
from vidseg.timing import StageTimers
from vidseg.wiring import engine as engine_module
from vidseg.wiring.engine import load_engine
from vidseg.wiring.reporter import SilentReporter

NANO = "m2f-mobile-ade"
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "street.mp4"
PARTS = {"model.xml": b"<net/>", "model.bin": bytes(100)}


class Quiet(SilentReporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def sample_frames(*indices: int) -> list[Frame]:
    source = open_source(str(SAMPLE))
    found = [frame for frame in itertools.islice(source, max(indices) + 1) if frame.index in indices]
    source.close()
    return found


def labels(config: RunConfig, frames: list[Frame]) -> list[np.ndarray]:
    source = open_source(str(SAMPLE))
    engine = load_engine(config, Quiet())
    segmenter: QuerySegmenter = engine.segmenter(config, source.info, StageTimers())
    source.close()
    return [segmenter.segment([frame])[0].label_map for frame in frames]


def test_a_bundled_int8_version_is_found_whatever_comment_changes_in_the_networks(monkeypatch):
    monkeypatch.setattr("vidseg.runtimes.quantized.code_sha256", lambda: "other")
    for entry in zoo.entries():
        if entry.int8_path is not None:
            told: list[str] = []
            network = load_model(entry.name)
            assert find_quantized(entry.name, network, announce=told.append) and not told, (entry.name, told)


def test_the_bundled_int8_version_is_that_of_the_bundled_weights_and_gives_nearly_its_labels():
    frames = sample_frames(0, 100, 200)
    settings = {"smooth": False, "imgsz": 384, "device": "cpu", "threads": 1}
    full = labels(RunConfig(runtime="torch", **settings), frames)
    small = labels(RunConfig(precision="int8", **settings), frames)
    for whole, rounded in zip(full, small, strict=True):
        assert 0.93 < (whole == rounded).mean() < 1  # equal everywhere would mean that nothing was rounded


def test_a_run_takes_int8_where_there_is_such_a_version_else_what_the_processor_computes_in(tmp_path, monkeypatch):
    engine = load_engine(RunConfig(device="cpu"), Quiet())
    assert "int8" in engine.runtime.name and engine.precision == "int8"
    assert "float32" in load_engine(RunConfig(precision="auto", device="cpu", runtime="torch"), Quiet()).runtime.name
    zoo.export_weights(tmp_path / "mine.safetensors", create_model(NANO).state_dict())
    mine = RunConfig(precision="auto", device="cpu", weights=str(tmp_path / "mine.safetensors"))
    assert "float32" in load_engine(mine, Quiet()).runtime.name
    monkeypatch.setattr("vidseg.cores.computes_bfloat16", lambda: True)
    reporter = Quiet()
    engine = load_engine(mine, reporter)
    assert "bfloat16" in engine.runtime.name and engine.precision == "bfloat16"
    assert any("--precision float32 is exact" in text for text in reporter.notes)
    for asked in (replace(mine, precision="float32"), replace(mine, runtime="torch")):
        assert "float32" in load_engine(asked, Quiet()).runtime.name


def test_bfloat16_that_does_not_run_is_passed_over_for_float32(tmp_path, monkeypatch):
    monkeypatch.setattr("vidseg.cores.computes_bfloat16", lambda: True)
    created = engine_module.create_runtime

    def fails(runtime, **options):
        if options["precision"] == torch.bfloat16:
            raise RuntimeError("no such instruction")
        return created(runtime, **options)

    monkeypatch.setattr(engine_module, "create_runtime", fails)
    zoo.export_weights(tmp_path / "mine.safetensors", create_model(NANO).state_dict())
    reporter = Quiet()
    engine = load_engine(RunConfig(device="cpu", weights=str(tmp_path / "mine.safetensors")), reporter)
    assert engine.precision == "float32" and "float32" in engine.runtime.name
    assert any("does not run (no such instruction)" in text for text in reporter.notes)


def test_int8_of_weights_that_have_none_is_refused_in_one_line(tmp_path):
    zoo.export_weights(tmp_path / "mine.safetensors", create_model(NANO).state_dict())
    config = RunConfig(precision="int8", device="cpu", weights=str(tmp_path / "mine.safetensors"))
    with pytest.raises(ConfigError, match=r"no int8 version of these weights .* `vidseg quantize`"):
        load_engine(config, Quiet())
    with pytest.raises(ConfigError, match="--runtime torch supports float32"):
        load_engine(RunConfig(precision="int8", runtime="torch", device="cpu"), Quiet())


def test_a_version_in_the_cache_is_found_by_its_weights_and_a_damaged_one_is_not(monkeypatch, tmp_path):
    monkeypatch.setattr("vidseg.runtimes.quantized.engines_folder", lambda: tmp_path)
    torch.manual_seed(0)
    model = create_model(NANO)
    path = cached_path(NANO, weights_sha256(model))
    assert find_quantized(NANO, model) is None
    write_quantized(path, PARTS, model)
    assert find_quantized(NANO, model) == PARTS
    assert find_quantized(NANO, create_model(NANO)) is None
    path.write_bytes(path.read_bytes()[:-30])
    said: list[str] = []
    assert find_quantized(NANO, model, announce=said.append) is None
    assert said == [f"{path}: is damaged or cannot be read"]


@pytest.fixture
def mine(monkeypatch, tmp_path):
    """Weights without a bundled int8 version, and where the cache keeps one."""
    monkeypatch.setattr("vidseg.runtimes.quantized.engines_folder", lambda: tmp_path)
    weights = tmp_path / "mine.safetensors"
    zoo.export_weights(weights, create_model(NANO).state_dict())
    model = load_model(NANO, weights)
    return model, cached_path(NANO, weights_sha256(model)), str(weights)


def test_every_flipped_byte_of_a_version_is_found_or_harmless(mine, monkeypatch):
    model, path, _ = mine
    digest = weights_sha256(model)  # takes longer than the rest
    monkeypatch.setattr("vidseg.runtimes.quantized.weights_sha256", lambda model: digest)
    write_quantized(path, PARTS, model)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert find_quantized(NANO, model) in (None, PARTS), position


def test_the_bundled_version_with_flipped_bytes_is_found_out(monkeypatch, tmp_path):
    model = load_model(NANO)
    bundled = zoo.entry(NANO).int8_path
    assert bundled is not None
    whole, good = bundled.read_bytes(), find_quantized(NANO, model)
    assert good is not None
    monkeypatch.setattr(zoo.registry.ModelEntry, "int8_path", tmp_path / "bundled.zip")
    monkeypatch.setattr("vidseg.runtimes.quantized.engines_folder", lambda: tmp_path)
    for position in (2000, *range(0, len(whole) - 1000, len(whole) // 20)):
        flipped = bytes(byte ^ 0xFF for byte in whole[position : position + 40])
        (tmp_path / "bundled.zip").write_bytes(whole[:position] + flipped + whole[position + 40 :])
        said: list[str] = []
        assert find_quantized(NANO, model, announce=said.append) is None and len(said) == 1, position


def test_parts_that_are_not_those_written_are_found_out(mine):
    model, path, _ = mine
    write_quantized(path, PARTS, model)
    with zipfile.ZipFile(path) as archive:
        facts = archive.read("facts.json")
    with zipfile.ZipFile(path, "w") as archive:  # with checksums of its own
        for name, content in {**PARTS, "model.xml": b"<other/>", "facts.json": facts}.items():
            archive.writestr(name, content)
    assert find_quantized(NANO, model) is None


def test_a_version_goes_stale_with_the_code_of_the_networks(mine, monkeypatch):
    model, path, _ = mine
    write_quantized(path, PARTS, model)
    monkeypatch.setattr("vidseg.runtimes.quantized.code_sha256", lambda: "other")
    said: list[str] = []
    assert find_quantized(NANO, model, announce=said.append) is None
    assert said == [f"{path}: was made by another version of the networks"]
    with zipfile.ZipFile(path, "w") as archive:  # as they were before they said what code made them
        for name, content in {**PARTS, "facts.json": json.dumps({"weights_sha256": weights_sha256(model)})}.items():
            archive.writestr(name, content)
    assert find_quantized(NANO, model) == PARTS


def test_a_version_of_the_user_beside_the_weights_or_in_the_cache_comes_first(mine, monkeypatch, tmp_path):
    model, path, weights = mine
    bundled, beside = tmp_path / "bundled.zip", path_beside(Path(weights))
    assert beside == tmp_path / "mine.int8.zip"
    monkeypatch.setattr(zoo.registry.ModelEntry, "int8_path", bundled)
    for place in (bundled, path, beside):
        parts = {**PARTS, "model.bin": place.name.encode()}
        write_quantized(place, parts, model)
        assert find_quantized(NANO, model, weights=Path(weights)) == parts
    found = find_quantized(NANO, model)
    assert found is not None and found["model.bin"] == path.name.encode()


@pytest.mark.parametrize(("name", "found"), [("mine.int8.zip", True), ("other.zip", False)])
def test_quantize_says_where_runs_find_its_file(mine, monkeypatch, tmp_path, name, found):
    _, _, weights = mine

    monkeypatch.setattr(quantize_app, "quantize", lambda *_: PARTS)
    monkeypatch.setattr(quantize_app, "create_runtime", lambda *_, **__: None)
    monkeypatch.setattr(quantize_app, "_same_labels", lambda *_: 1.0)
    request = QuantizeRequest(source=str(SAMPLE), weights=weights, pictures=20, imgsz=64, out=tmp_path / name)
    made = make_quantized(request, Quiet())
    assert made.path == tmp_path / name and made.path.exists()
    assert made.place == tmp_path / "mine.int8.zip" and (made.place == made.path) == found


def test_a_damaged_version_is_one_note_for_fast_and_one_line_for_int8(mine):
    _, path, weights = mine
    path.write_bytes(b"PK")
    reporter = Quiet()
    settings = {"device": "cpu", "weights": weights}
    engine = load_engine(RunConfig(precision="auto", runtime="openvino", **settings), reporter)
    assert "float32" in engine.runtime.name
    assert reporter.notes[-1:] == [
        f"{path}: is damaged or cannot be read; {engine.runtime.name} runs instead, `vidseg quantize` makes it again"
    ]
    with pytest.raises(ConfigError, match=r"--precision int8: .*\.zip: is damaged .*; make one with `vidseg quantize`"):
        load_engine(RunConfig(precision="int8", **settings), Quiet())


def test_writing_twice_gives_the_same_file(tmp_path):
    torch.manual_seed(0)
    model = create_model(NANO)
    for name in ("a.zip", "b.zip"):
        write_quantized(tmp_path / name, PARTS, model)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "a.zip").testzip() is None


@pytest.fixture
def broken_openvino(monkeypatch):
    def fail():
        raise ImportError("libfoo.so: not found")

    for module in ("vidseg.runtimes.registry", "vidseg.runtimes.openvino_runtime"):
        monkeypatch.setattr(f"{module}.import_openvino", fail)


def test_without_a_working_openvino_fast_is_another_engine_and_int8_one_line(broken_openvino):
    name = load_engine(RunConfig(precision="auto", device="cpu"), Quiet()).runtime.name
    assert not name.startswith("openvino") and "float32" in name
    for settings in ({}, {"runtime": "openvino"}):
        with pytest.raises(DeviceError, match=r"openvino: installed, but cannot be loaded \(libfoo.so: not found\)"):
            load_engine(RunConfig(precision="int8", device="cpu", **settings), Quiet())


def test_export_and_doctor_say_that_openvino_cannot_be_imported_and_why(broken_openvino):
    with pytest.raises(DeviceError, match=r"openvino cannot be imported \(libfoo.so: not found\); try pip"):
        export(ExportRequest(model=NANO, format="openvino"), Quiet())
    bad = [finding.text for finding in doctor.examine() if finding.good is False]
    assert any("openvino cannot be imported (libfoo.so: not found)" in text for text in bad)


def test_a_version_that_openvino_does_not_take_is_passed_over(mine):
    model, path, weights = mine
    write_quantized(path, PARTS, model)  # whole, and no network
    reporter = Quiet()
    assert "float32" in load_engine(RunConfig(precision="auto", device="cpu", weights=weights), reporter).runtime.name
    assert [text for text in reporter.notes if "the int8 version of m2f-mobile-ade does not run" in text]
    with pytest.raises(DeviceError, match=r"--precision int8: the int8 version of .* does not run"):
        load_engine(RunConfig(precision="int8", device="cpu", weights=weights), Quiet())


def test_the_bundled_version_stays_when_the_code_of_the_networks_changes(monkeypatch):
    model, said = load_model(NANO), []
    monkeypatch.setattr("vidseg.runtimes.quantized.code_sha256", lambda: "other")
    assert find_quantized(NANO, model, announce=said.append) is not None and not said
