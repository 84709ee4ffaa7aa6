"""One suite for every engine: the labels of plain torch in float32, whatever the size and the batch."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.rounding import assert_rounds_alike, in_float64
from tests.runtimes.tiny_networks import write_network
from vidseg.runtimes import onnxruntime_runtime, openvino_runtime, quantized
from vidseg.runtimes.convert import to_openvino
from vidseg.runtimes.loading import load_model
from vidseg.runtimes.openvino_import import import_openvino
from vidseg.runtimes.registry import ENGINES, create_runtime, installed_engines
from vidseg.segmentation.postprocess import QueryOutput
from vidseg.segmentation.preprocess import to_network
from vidseg.sources.factory import open_source

ROOT = Path(__file__).parent.parent.parent
MODEL = "fai-m2f-n-ade"
CONVERTERS = {"openvino": openvino_runtime, "onnxruntime": onnxruntime_runtime}


def skip_unless_installed(name):
    if name not in installed_engines():
        pytest.skip(f"{name} is not installed: pip install 'vidseg[{name}]'")


@pytest.fixture(scope="module")
def model():
    return load_model(MODEL)


@pytest.fixture(params=[name for name, engine in ENGINES.items() if engine.automatic])
def engine(request):
    skip_unless_installed(request.param)
    return request.param


@pytest.fixture(params=list(CONVERTERS))
def converting(request):
    """Name of an engine that keeps converted networks."""
    skip_unless_installed(request.param)
    return request.param


@pytest.fixture(scope="module")
def runtimes(model, engines_folder):
    """Gives the engine of a name, made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = create_runtime(name, model, MODEL, device=torch.device("cpu"), cache_folder=engines_folder)
        return made[name]

    return get


@pytest.fixture(scope="module")
def frames():
    """Three frames of the street, some time apart, then three of the test pattern."""
    found = []
    for spec in (str(ROOT / "samples" / "street.mp4"), "test"):
        source = open_source(spec)
        found += [frame.image for frame in islice(iter(source), 0, 60, 25)]
        source.close()
    assert len(found) == 6
    return found


def make(name, model, folder, said=None):
    return create_runtime(
        name,
        model,
        MODEL,
        device=torch.device("cpu"),
        threads=1,
        cache_folder=folder,
        announce=(lambda text: None) if said is None else said.append,
    )


def as_tuple(logits):
    return logits.class_logits, logits.mask_logits


def exact_logits(model, images):
    with torch.inference_mode():
        return as_tuple(in_float64(model).forward_queries(images.double()))


def labels(outputs, size_hw):
    class_logits, mask_logits = outputs
    return np.stack(
        [QueryOutput.from_logits(*each, size_hw).labels("semantic") for each in zip(class_logits, mask_logits)]  # noqa: B905
    )


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size_hw", [(96, 128), (216, 384), (77, 131), (320, 184)])
def test_labels_are_those_of_plain_torch(engine, model, runtimes, frames, size_hw, batch):
    pictures = frames if batch == 3 else [frames[1], frames[4]]
    seen = set()
    for start in range(0, len(pictures), batch):
        images = torch.cat([to_network(picture, size_hw) for picture in pictures[start : start + batch]])
        class_logits, mask_logits = runtimes(engine).run(images)
        with torch.inference_mode():
            expected = model.forward_queries(images.float())
        assert class_logits.dtype == mask_logits.dtype == torch.float32
        assert class_logits.shape == expected.class_logits.shape and mask_logits.shape == expected.mask_logits.shape
        full = (size_hw[0] * 2, size_hw[1] * 2)
        wanted = labels((expected.class_logits, expected.mask_logits), full)
        assert (labels((class_logits, mask_logits), full) == wanted).mean() >= 0.995
        seen.update(np.unique(wanted))
    assert len(seen) > 2


def test_openvino_gives_the_same_bits_whatever_the_batch(runtimes, frames):
    """So files may be batched as frames come: a run gives the same labels each time, and in pieces."""
    skip_unless_installed("openvino")
    images = torch.cat([to_network(picture, (216, 384)) for picture in frames[:4]])
    together = runtimes("openvino").run(images)
    for number in range(4):
        alone = runtimes("openvino").run(images[number : number + 1])
        assert all(torch.equal(a[number], b[0]) for a, b in zip(together, alone, strict=True))


def test_results_survive_the_next_run(engine, runtimes, frames):
    images = [to_network(picture, (64, 96)) for picture in (frames[0], frames[3])]
    first = runtimes(engine).run(images[0])
    kept = [tensor.clone() for tensor in first]
    runtimes(engine).run(images[1])
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


def test_pictures_that_are_views_give_the_same(engine, model, runtimes, frames):
    images = to_network(frames[0], (64, 96))
    view = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert not view.is_contiguous()
    assert_rounds_alike(runtimes(engine).run(view), runtimes(engine).run(images), exact_logits(model, images))


def test_name_tells_engine_device_and_precision(engine, runtimes):
    runtime = runtimes(engine)
    assert runtime.name.startswith(engine) and "cpu" in runtime.name and "float32" in runtime.name
    assert runtime.device == torch.device("cpu")


def test_a_converted_network_is_used_again_until_something_changes(converting, model, tmp_path, monkeypatch):
    images = torch.randint(0, 255, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    convert, made, said = CONVERTERS[converting].convert, [], []

    def convert_once(model):
        made.append(made[0] if made else convert(model))
        return made[0]

    monkeypatch.setattr(CONVERTERS[converting], "convert", convert_once)

    first, exact = make(converting, model, tmp_path, said).run(images), exact_logits(model, images)
    assert len(said) == 1 and f"converting {MODEL} for {converting}" in said[0]
    assert len(made) == len(list(tmp_path.iterdir())) == 1

    def run_again(conversions):
        again = make(converting, model, tmp_path, said).run(images)
        assert len(made) == conversions and len(list(tmp_path.iterdir())) == 1
        assert_rounds_alike(again, first, exact)

    run_again(1)
    monkeypatch.setattr(f"vidseg.runtimes.{converting}_runtime.__version__", "0.0.test")
    run_again(2)
    run_again(2)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1000])
    run_again(3)
    run_again(3)


def test_other_weights_are_converted_anew(converting, model, engines_folder, monkeypatch):
    changed = load_model(MODEL)
    with torch.no_grad():
        changed.head.predictor.query_feat.weight[0, 0] += 1
    wanted = []
    monkeypatch.setattr(CONVERTERS[converting], "convert", lambda model: wanted.append(model) or {})
    with pytest.raises(KeyError):  # the fake conversion gives no parts
        make(converting, changed, engines_folder)
    assert wanted == [changed]


def test_openvino_knows_bfloat16(model, engines_folder, frames):
    skip_unless_installed("openvino")
    runtime = create_runtime(
        "openvino",
        model,
        MODEL,
        device=torch.device("cpu"),
        precision=torch.bfloat16,
        cache_folder=engines_folder,
    )
    images = to_network(frames[0], (96, 128))
    with torch.inference_mode():
        expected = model.forward_queries(images.float())
    wanted = labels((expected.class_logits, expected.mask_logits), (192, 256))
    assert (labels(runtime.run(images), (192, 256)) == wanted).mean() >= 0.97
    assert "bfloat16" in runtime.name


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_are_imported_without_their_telemetry(tmp_path, engine):
    skip_unless_installed(engine)
    code = (
        f"import sys\nfrom vidseg.runtimes.registry import import_problem\n"
        f"from vidseg.runtimes.{engine}_import import import_{engine}\n"
        f"assert import_problem('{engine}') is None\nprint(import_{engine}().__version__)\n"
        "assert not any(name.startswith('openvino_telemetry') for name in sys.modules)\n"
    )
    environment = {"HOME": str(tmp_path), "PATH": ""}  # without CI, where onnxruntime sends nothing by itself
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def reports(monkeypatch):
    """What openvino_telemetry would send; it is imported already, as by a program that uses vidseg and OpenVINO."""
    sender = pytest.importorskip("openvino_telemetry.utils.sender")
    sent = []
    monkeypatch.setattr(sender.TelemetrySender, "send", lambda self, *message: sent.append(message))
    yield sent
    sender.TelemetrySender().send("outside")
    assert sent == [("outside",)]
    for name in [name for name in sys.modules if name.startswith("openvino_telemetry")]:
        del sys.modules[name]


def report_use(*args, **options):
    from openvino_telemetry.utils.sender import TelemetrySender

    TelemetrySender().send("used")
    raise InterruptedError


def test_neither_converting_nor_quantising_reports_where_the_telemetry_was_imported_before(reports, monkeypatch):
    skip_unless_installed("openvino")
    network = torch.nn.Identity()
    with monkeypatch.context() as changed, pytest.raises(InterruptedError):
        changed.setattr(import_openvino(), "convert_model", report_use)
        to_openvino(network, ("scores",))
    pytest.importorskip("nncf")
    monkeypatch.setattr("nncf.quantize", report_use)
    monkeypatch.setattr(quantized, "convert", lambda model: {"model.xml": b"", "model.bin": b""})
    monkeypatch.setattr(quantized, "openvino_core", lambda: SimpleNamespace(read_model=lambda *parts: None))
    with pytest.raises(InterruptedError):
        quantized.quantize(network, [np.zeros((3, 32, 32), np.uint8)])


SIGNAL_AFTER_TWO_NETWORKS = """
import signal, sys
from pathlib import Path
from vidseg.runtimes.sessions import OpenVinoSession

path = Path(sys.argv[1])
first, second = OpenVinoSession(path), OpenVinoSession(path)
del first
del second
signal.signal(signal.SIGINT, lambda *_: print("handled"))
signal.raise_signal(signal.SIGINT)
"""


def test_a_signal_is_handled_after_openvino_networks_have_come_and_gone(tmp_path):
    skip_unless_installed("openvino")
    command = [sys.executable, "-c", SIGNAL_AFTER_TWO_NETWORKS, write_network(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
