"""Networks out of files, in every engine that reads them: what goes in, what comes out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")

from tests.runtimes.tiny_networks import NAMES, stripe_labels, stripes, write_network, write_query_network  # noqa: E402
from vidseg.errors import ConfigError, ModelError  # noqa: E402
from vidseg.frames import NO_LABEL  # noqa: E402
from vidseg.runtimes.file_runtime import ScoreFileRuntime, open_model_file  # noqa: E402
from vidseg.runtimes.model_file import read_model_file  # noqa: E402
from vidseg.runtimes.openvino_requests import OpenVinoRequests  # noqa: E402
from vidseg.runtimes.ports import Port  # noqa: E402
from vidseg.runtimes.registry import installed_engines  # noqa: E402


@pytest.fixture(params=["onnxruntime", "openvino"])
def engine(request):
    if request.param not in installed_engines():
        pytest.skip(f"{request.param} is not installed")
    return request.param


def opened(path, engine="auto", requests=1):
    return open_model_file(read_model_file(str(path)), engine, threads=1, requests=requests, trusted=True)


def pictures(count=1):
    return torch.from_numpy(stripes()).permute(2, 0, 1)[None].repeat(count, 1, 1, 1)


def labels_of(runtime, images):
    return runtime.class_of_channel[runtime.run(images).argmax(dim=1).numpy()]


COARSE = stripe_labels((8, 12))


def test_scores_are_those_of_the_normalised_picture(engine, tmp_path):
    given = {"divide_by": 255, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 2.0]}
    runtime = opened(write_network(tmp_path, describe={"input": given}), engine)
    found = runtime.run(pictures())
    pixels = (stripes() / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.25, 2.0]
    expected = pixels.reshape(8, 4, 12, 4, 3).mean(axis=(1, 3)).transpose(2, 0, 1)[None]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    assert engine in runtime.name and "cpu" in runtime.name


def test_channels_may_come_as_bgr(engine, tmp_path):
    runtime = opened(write_network(tmp_path, describe={"input": {"channels": "BGR"}}), engine)
    assert np.array_equal(labels_of(runtime, pictures())[0], 2 - COARSE)


@pytest.mark.parametrize("output", ["NCHW", "NHWC"])
def test_layouts_of_input_and_output(engine, tmp_path, output):
    path = write_network(
        tmp_path,
        layout="NHWC",
        input_shape=(1, "height", "width", 3),
        output=output,
        describe={"input": {"layout": "NHWC"}, "output": {"layout": output}},
    )
    assert np.array_equal(labels_of(opened(path, engine), pictures())[0], COARSE)


def test_bytes_go_in_as_they_are_where_the_file_wants_bytes(engine, tmp_path):
    path = write_network(tmp_path, dtype=onnx.TensorProto.UINT8, describe={})
    found = opened(path, engine).run(pictures())
    assert found.max() == 220 and found.min() == 20


def test_an_offset_leaves_channels_out(engine, tmp_path):
    runtime = opened(write_network(tmp_path, channels=5, describe={"output": {"offset": 2}}), engine)
    assert runtime.class_of_channel.tolist() == [NO_LABEL, NO_LABEL, 0, 1, 2]
    assert np.array_equal(labels_of(runtime, pictures())[0], COARSE)


@pytest.mark.parametrize(
    ("channels", "labels", "output", "expected"),
    [
        (3, NAMES, {"background_channel": 0}, [NO_LABEL, 1, 2]),
        (4, NAMES, {"background_channel": 3}, [0, 1, 2, NO_LABEL]),
        (4, NAMES, {"background_channel": 0, "offset": 1}, [NO_LABEL, 0, 1, 2]),
        (1, ["red"], {}, [NO_LABEL, 0]),
    ],
)
def test_background_has_no_label(tmp_path, channels, labels, output, expected):
    runtime = opened(write_network(tmp_path, channels=channels, describe={"labels": labels, "output": output}))
    runtime.run(pictures())
    assert runtime.class_of_channel.tolist() == expected


@pytest.mark.parametrize(("values", "divide_by"), [("logits", 255), ("scores", 255)])
def test_a_single_channel_is_split_at_its_threshold(tmp_path, values, divide_by):
    describe = {"labels": ["red"], "input": {"divide_by": divide_by}, "output": {"values": values}}
    runtime = opened(write_network(tmp_path, channels=1, describe=describe))
    rest, red = runtime.run(pictures())[0]
    assert torch.allclose(rest, torch.zeros_like(red) if values == "logits" else 1 - red)
    if values == "logits":  # 220 / 255 - 0.5 > 0 > 20 / 255 - 0.5
        assert np.array_equal(labels_of(runtime, pictures())[0] == 0, COARSE == 0)
    weights = runtime.weights(torch.stack([rest, red]))
    assert weights.min() >= 0


def test_a_map_of_labels_is_taken_as_it_is(engine, tmp_path):
    path = write_network(tmp_path, channels=4, output="NHW", describe={"output": {"layout": "NHW", "offset": 1}})
    runtime = opened(path, engine)
    assert runtime.gives_labels
    assert np.array_equal(runtime.run(pictures())[0].numpy(), COARSE)
    path = write_network(
        tmp_path, channels=3, output="NHW", describe={"output": {"layout": "NHW", "background_channel": 1}}
    )
    found = opened(path, engine).run(pictures())[0].numpy()
    assert np.array_equal(found, np.where(COARSE == 1, NO_LABEL, COARSE))


@pytest.mark.parametrize("batch", [1, "batch"])
def test_several_pictures_give_what_each_gives(engine, tmp_path, batch):
    runtime = opened(write_network(tmp_path, input_shape=(batch, 3, "height", "width"), describe={}), engine)
    images = torch.cat([pictures(), pictures().flip(3), 255 - pictures()])
    together = runtime.run(images)
    assert torch.equal(together, torch.cat([runtime.run(image[None]) for image in images]))


def test_results_survive_the_next_run(engine, tmp_path):
    runtime = opened(write_network(tmp_path, describe={}), engine)
    first = runtime.run(pictures())
    kept = first.clone()
    runtime.run(255 - pictures())
    assert torch.equal(first, kept)


def test_the_size_of_the_file_is_known(engine, tmp_path):
    path = write_network(tmp_path, input_shape=(1, 3, 64, 96), describe={})
    assert opened(path, engine).input.network_size(500, 500, 512) == (64, 96)
    path = write_network(tmp_path, input_shape=(1, 3, 64, 96), describe={"input": {"shape": [1, 3, 64, 64]}})
    with pytest.raises(ConfigError, match="the file takes 64x96 only"):
        opened(path, engine)


@pytest.mark.parametrize(
    ("network", "describe", "text"),
    [
        ({}, {"labels": ["a", "b"]}, "2 labels, but the network has 3 channels"),
        ({}, {"labels": "ade20k"}, "150 labels, but the network has 3 channels"),
        ({"channels": 4}, {"output": {"num_classes": 3}}, "num_classes is 3, but the network has 4 channels"),
        ({}, {"output": {"layout": "NHW"}}, "has 4 dimensions 1x3x?x?, but layout NHW has 3"),
        (
            {"output": "NHW"},
            {"output": {"layout": "NCHW"}},
            "has 3 dimensions 1x?x?, but layout NCHW has 4; accepted: NCHW or NHWC",
        ),
        ({}, {"output": {"name": "logits"}}, "has no output 'logits'; its outputs are scores"),
        ({}, {"input": {"name": "x"}}, "has no input 'x'; its inputs are image"),
        ({}, {"output": {"background_channel": 256}}, "background_channel is 256, but the network has 3 channels"),
        (
            {"input_shape": (4, 3, 16, 16)},
            {},
            "is 4x3x16x16, a fixed batch of 4 pictures; export it with a dynamic batch",
        ),
        ({"scaled": True}, {}, "has 2 inputs (image, scale); accepted: one"),
        ({"scaled": True}, {"input": {"name": "image"}}, "has 2 inputs (image, scale); accepted: one"),
        ({}, {"input": {"layout": "NHWC"}}, "input image is 1x3x?x?, which is not layout NHWC"),
        ({"input_shape": (1, 3, 64, 64)}, {"input": {"layout": "NHWC"}}, "in layout NHWC that is 64 channels"),
        ({}, {"input": {"dtype": "uint8"}}, "is of float32; expected: uint8"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(engine, tmp_path, network, describe, text):
    path = write_network(tmp_path, **network, describe=describe)
    with pytest.raises(ConfigError) as caught:
        opened(path, engine)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_a_query_network_runs_with_as_many_labels_as_it_has_classes(engine, tmp_path):
    runtime = opened(write_query_network(tmp_path, classes=3), engine)
    class_logits, mask_logits = runtime.run(pictures())
    assert class_logits.shape == (1, 5, 4) and mask_logits.shape == (1, 5, 8, 12)


@pytest.mark.parametrize(
    ("classes", "describe", "text"),
    [
        (150, {}, "queries.yaml: 3 labels, but the network has 150 classes and one for 'no object'"),
        (2, {}, "3 labels, but the network has 2 classes"),
        (3, {"output": {"class_logits": "mask_logits"}}, "class_logits is 1x5x?x?, which has 3 dimensions"),
        (3, {"output": {"mask_logits": "class_logits"}}, "mask_logits is 1x5x4, which has 4 dimensions"),
    ],
)
def test_a_query_network_with_other_classes_is_refused_in_one_line(engine, tmp_path, classes, describe, text):
    path = write_query_network(tmp_path, classes=classes, describe=describe)
    with pytest.raises(ConfigError) as caught:
        opened(path, engine)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_a_query_network_that_does_not_say_its_classes_is_refused_when_it_runs(tmp_path):
    class Queries(torch.nn.Module):
        def forward(self, images):
            return torch.zeros(images.shape[0], 5, 151), torch.zeros(images.shape[0], 5, 8, 12)

    torch.jit.trace(Queries(), pictures()).save(str(tmp_path / "net.torchscript"))
    (tmp_path / "net.yaml").write_text("task: query_segmentation\nlabels: [a, b, c]\ninput: {dtype: uint8}\n")
    runtime = opened(tmp_path / "net.torchscript")
    with pytest.raises(ConfigError, match="3 labels, but the network has 150 classes"):
        runtime.run(pictures())


def test_a_size_that_the_network_cannot_take_is_told_in_one_line(tmp_path):
    runtime = opened(write_network(tmp_path, only_cells=(8, 12), describe={}), "onnxruntime")
    with pytest.raises(ModelError) as caught:
        runtime.run(torch.zeros(1, 3, 40, 56, dtype=torch.uint8))
    assert "fails on input 1x3x40x56" in str(caught.value) and "multiple_of" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert runtime.run(pictures()).shape == (1, 3, 8, 12)


def test_scores_that_are_no_numbers_are_told(engine, tmp_path):
    path = write_network(tmp_path, describe={})
    network = onnx.load(path)
    (bias,) = (item for item in network.graph.initializer if item.name == "bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([0, np.nan, 0], dtype=np.float32), "bias"))
    onnx.save(network, path)
    with pytest.raises(ModelError, match=r"net\.onnx: output scores contains NaN") as caught:
        opened(path, engine).run(pictures())
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_told_in_one_line_by_every_engine_that_tried(tmp_path):
    path = write_network(tmp_path, describe={})
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ModelError) as caught:
        opened(path)
    assert "cannot be read as a network" in str(caught.value) and "\n" not in str(caught.value)


def test_engines_that_do_not_read_a_file_are_refused(tmp_path):
    path = write_network(tmp_path, describe={})
    with pytest.raises(ConfigError, match=r"--runtime torch: does not read net\.onnx; openvino or onnxruntime does"):
        opened(path, "torch")


@pytest.mark.parametrize(
    "where", [np.s_[:, 2], np.s_[:, :, 100:140], np.s_[..., 50:90]], ids=["map", "rows", "columns"]
)
def test_nan_in_a_part_of_large_scores_is_told(tmp_path, where):
    class Broken:
        name, inputs, outputs = "fake", (Port("image", (1, 3, None, None), "float32"),), (Port("scores", None, ""),)

        def run_each(self, feeds, names):
            scores = np.zeros((1, 3, 640, 640), dtype=np.float32)
            scores[where] = np.nan
            return [scores]

    file = read_model_file(str(write_network(tmp_path, describe={"output": {"num_classes": 3}})))
    with pytest.raises(ModelError, match="contains NaN"):
        ScoreFileRuntime(file, Broken()).run(pictures())


@pytest.mark.skipif("openvino" not in installed_engines(), reason="needs openvino")
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_pictures_of_a_batch_run_beside_each_other_and_a_size_that_is_expected_is_known(tmp_path, monkeypatch, layout):
    shape = ("n", 3, "h", "w") if layout == "NCHW" else ("n", "h", "w", 3)
    path = write_network(
        tmp_path, input_shape=shape, layout=layout, output=layout, describe={"input": {"layout": layout}}
    )
    runtime = opened(path, "openvino", requests=2)
    runtime.expect((32, 48))
    given = []
    run = OpenVinoRequests.run
    monkeypatch.setattr(OpenVinoRequests, "run", lambda self, *words: given.append(len(words[0])) or run(self, *words))
    monkeypatch.setattr(OpenVinoRequests, "_compiled", None)  # nothing more has to be compiled
    images = torch.cat([pictures(), pictures().flip(3)])
    both = runtime.run(images)
    assert given == [2] and torch.equal(both, torch.cat([runtime.run(image) for image in images.split(1)]))
