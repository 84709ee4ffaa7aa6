"""What the YAML beside a network file may say, and what is said of mistakes."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from vidseg.confidence import IDENTITY, Calibration
from vidseg.errors import ConfigError, ModelError
from vidseg.labels import ade20k, generated_palette
from vidseg.runtimes.geometry import Placement
from vidseg.runtimes.model_file import read_model_file
from vidseg.runtimes.model_format import InputFormat, exported_yaml, is_model_file


def describe(folder, content, network="net.onnx"):
    (folder / network).touch()
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    (folder / "net.yaml").write_text(text)
    return str(folder / network)


def test_a_short_description_has_sensible_defaults(tmp_path):
    file = read_model_file(describe(tmp_path, {"labels": ["a", "b"]}))
    assert file.labels.names == ("a", "b") and not file.queries
    assert file.input == InputFormat() and file.output.offset == 0 and file.output.names == ()
    assert file.input.network_size(360, 640, 512) == (288, 512)


def test_all_keys_are_read(tmp_path):
    content = {
        "task": "semantic_segmentation",
        "input": {
            "name": "image",
            "dtype": "float32",
            "layout": "NHWC",
            "channels": "bgr",
            "shape": [1, "height", "width", 3],
            "size": [513, 257],
            "multiple_of": 16,
            "resize": "stretch",
            "divide_by": 255,
            "mean": [1, 2, 3],
            "std": 2,
        },
        "output": {"name": "out", "layout": "NHWC", "values": "scores", "align_corners": True, "label_offset": 1},
        "classes": "ade20k",
    }
    file = read_model_file(describe(tmp_path, content))
    assert file.labels is ade20k()
    given = file.input
    assert (given.layout, given.channels, given.size_hw, given.divide_by) == ("NHWC", "BGR", (513, 257), 255)
    assert (given.mean, given.std, given.fixed_hw) == ((1, 2, 3), (2, 2, 2), None)
    assert given.network_size(100, 400, 513) == (512, 256)  # stretched: the frame's aspect does not count
    assert (file.output.names, file.output.offset, file.output.align_corners) == (("out",), 1, True)


def test_confidence_is_read_and_told_again(tmp_path):
    curve = Calibration(((0.0, 0.1), (0.5, 0.4), (1.0, 0.98)))
    file = read_model_file(describe(tmp_path, {"labels": ["a"], "confidence": [[0, 0.1], [0.5, 0.4], [1, 0.98]]}))
    assert file.calibration == curve
    assert read_model_file(describe(tmp_path, {"labels": ["a"]})).calibration == IDENTITY
    with pytest.raises(ConfigError, match=r"net\.yaml: confidence: confidences must not fall .*; accepted: e\.g\."):
        read_model_file(describe(tmp_path, {"labels": ["a"], "confidence": [[0, 1], [1, 0]]}))


def test_a_fixed_size_is_the_size_of_every_frame(tmp_path):
    file = read_model_file(describe(tmp_path, {"labels": ["a"], "input": {"shape": [1, 3, 64, 96]}}))
    assert file.input.network_size(700, 300, 512) == (64, 96) and file.input.default_imgsz() == 96


def test_the_yaml_can_be_named_instead_and_may_name_the_network(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "other.onnx").touch()
    (tmp_path / "mine.yaml").write_text("file: sub/other.onnx\nlabels: [a]\n")
    assert read_model_file(str(tmp_path / "mine.yaml")).path == tmp_path / "sub" / "other.onnx"
    (tmp_path / "mine.torchscript").touch()
    (tmp_path / "mine.yaml").write_text("labels: [a]\n")
    assert read_model_file(str(tmp_path / "mine.yaml")).path == tmp_path / "mine.torchscript"


def test_a_yaml_of_the_whole_name_goes_before_one_that_siblings_share(tmp_path):
    for name in ("net.onnx", "net.xml"):
        (tmp_path / name).touch()
    (tmp_path / "net.yaml").write_text("labels: [shared]\n")
    (tmp_path / "net.xml.yaml").write_text("labels: [own]\n")
    assert read_model_file(str(tmp_path / "net.onnx")).labels.names == ("shared",)
    assert read_model_file(str(tmp_path / "net.xml")).labels.names == ("own",)
    assert read_model_file(str(tmp_path / "net.xml.yaml")).path == tmp_path / "net.xml"
    assert read_model_file(str(tmp_path / "net.yaml")).path == tmp_path / "net.onnx"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"labels": ["a"], "inputs": {}}, "unknown key 'inputs'; did you mean input?"),
        ({"labels": ["a"], "input": {"men": 1}}, "input: unknown key 'men'; did you mean mean?"),
        ({"labels": ["a"], "input": {"mean": [1, 2]}}, "input: mean is [1, 2]; accepted: three numbers"),
        ({"labels": ["a"], "input": {"std": [1, 0, 1]}}, "std contains 0; accepted: numbers from 1e-9 to 1e9"),
        ({"labels": ["a"], "input": {"std": 1e-50}}, "std contains 1e-50; accepted: numbers from 1e-9"),
        ({"labels": ["a"], "input": {"std": [1, float("inf"), 1]}}, "std is [1, inf, 1]; accepted: three numbers"),
        ({"labels": ["a"], "input": {"mean": float("nan")}}, "mean is nan; accepted: three numbers"),
        ({"labels": ["a"], "input": {"mean": [10**400, 0, 0]}}, "000...; accepted: three numbers"),
        ({"labels": ["a"], "input": {"divide_by": float("nan")}}, "divide_by is nan"),
        ({"labels": ["a"], "input": {"divide_by": 10**400}}, "000...; accepted: numbers from"),
        ({"labels": ["a"], "input": {"channels": "RGBA"}}, "channels is 'RGBA'; accepted: RGB | BGR"),
        ({"labels": ["a"], "input": {"size": "big"}}, "size is 'big'; accepted: [height, width]"),
        ({"labels": ["a"], "input": {"resize": "stretch"}}, "resize: stretch needs size"),
        ({"labels": ["a"], "input": {"shape": [3, 5]}}, "shape is [3, 5]; accepted: four"),
        ({"labels": ["a"], "input": {"divide_by": 0}}, "divide_by is 0"),
        ({"labels": ["a"], "input": 7}, "input is 7; accepted: keys and values"),
        ({"labels": ["a"], "output": {"offset": -1}}, "offset is -1; accepted: a whole number"),
        ({"labels": ["a"], "output": {"layout": "CHW"}}, "layout is 'CHW'; accepted: NCHW | NHWC | NHW"),
        ({"labels": ["a"], "output": {"align_corners": 1}}, "align_corners is 1; accepted: true or false"),
        ({"labels": ["a"], "task": "detection"}, "task is 'detection'; accepted: semantic_segmentation"),
        (
            {"labels": "names.txt"},
            "cannot be read; accepted: ade20k, cityscapes, voc, coco, a list of names, or a file",
        ),
        ({"labels": 3}, "labels is 3; accepted: ade20k"),
        ({"labels": []}, "0 classes; accepted: 1 to 255"),
        ({"labels": {0: "a", 2: "b"}}, "ids must run from 0 to 1 without gaps"),
        ({"labels": ["a"], "classes": ["a"]}, "give either labels or classes"),
        ({"labels": ["a"], "input": {"padding": [1, 2]}}, "padding is [1, 2]; accepted: red, green, blue"),
        ({"labels": ["a"], "input": {"size": {"shrt": 3}}}, "accepted: [height, width], the long side, {short: N}"),
        ({"labels": ["a"], "input": {"resample": "box"}}, "resample is 'box'; accepted: bilinear | bicubic"),
        ("labels: [a", "not valid YAML at line 1"),
        ("- a", "contains no model description"),
        ({"labels": ["a"], "file": "gone.onnx"}, None),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, content, text):
    name = describe(tmp_path, content)
    if text is None:  # beside the network `file` does not count
        assert read_model_file(name).path.name == "net.onnx"
        name, text = str(tmp_path / "net.yaml"), "gone.onnx does not exist"
    with pytest.raises(ConfigError) as caught:
        read_model_file(name)
    assert (
        text in str(caught.value) and "\n" not in str(caught.value) and str(tmp_path / "net.yaml") in str(caught.value)
    )


def test_missing_files_are_told_apart(tmp_path):
    with pytest.raises(ConfigError, match="no such network file"):
        read_model_file(str(tmp_path / "net.onnx"))
    (tmp_path / "net.onnx").touch()
    with pytest.raises(ModelError, match="cannot be read as a network"):
        read_model_file(str(tmp_path / "net.onnx"))
    (tmp_path / "lonely.yaml").write_text("labels: [a]")
    with pytest.raises(ConfigError, match="no network beside it"):
        read_model_file(str(tmp_path / "lonely.yaml"))


def test_labels_come_from_lists_mappings_text_and_csv(tmp_path):
    assert read_model_file(describe(tmp_path, {"labels": {1: "b", 0: "a"}})).labels.names == ("a", "b")
    (tmp_path / "names.txt").write_text("sky\n\nsea wall\n")
    assert read_model_file(describe(tmp_path, {"labels": "names.txt"})).labels.names == ("sky", "sea wall")
    (tmp_path / "names.csv").write_text('id,name,short_name,r,g,b\n0,"sky, air",sky,1,2,3\n1,sea,sea,4,5,6\n')
    labels = read_model_file(describe(tmp_path, {"labels": "names.csv"})).labels
    assert labels.names == ("sky", "sea") and labels.find("air") == 0
    assert labels.palette.tolist() == [[1, 2, 3], [4, 5, 6]]
    (tmp_path / "names.csv").write_text("id,name,r,g,b\n0,sky,1,2,300\n")
    with pytest.raises(ConfigError, match="whole numbers from 0 to 255"):
        read_model_file(describe(tmp_path, {"labels": "names.csv"}))


@pytest.mark.parametrize(
    ("text", "names", "colours"),
    [
        (
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar, red:128,0,64:wheel,door:\n",
            ("background", "car, red"),
            [[0, 0, 0], [128, 0, 64]],
        ),
        ("# label:color_rgb:parts:actions\nbackground:::\ncar:::go\n", ("background", "car"), None),
        ("a:1,2,300::\nb:1,2,3::\n", ("a", "b"), None),
        ("# our classes\n\nsea: deep\n  # more\nsky\n", ("sea: deep", "sky"), None),
    ],
)
def test_a_label_map_of_cvat_gives_names_and_colours_and_comments_are_no_names(tmp_path, text, names, colours):
    (tmp_path / "labelmap.txt").write_text(text)
    labels = read_model_file(describe(tmp_path, {"labels": "labelmap.txt"})).labels
    assert labels.names == names
    assert labels.palette.tolist() == (generated_palette(len(names)).tolist() if colours is None else colours)


def test_an_unknown_class_names_the_command_that_lists_them(tmp_path):
    name = describe(tmp_path, {"labels": ["sky", "sea"]})
    with pytest.raises(ConfigError, match=r"unknown class 'skyy'; near: sky; `vidseg models info .*net\.onnx` lists"):
        read_model_file(name).labels.find("skyy")


def test_generated_colours_are_stable_and_differ():
    palette = generated_palette(60).astype(int)
    assert np.array_equal(palette[:5], generated_palette(5))
    distance = np.abs(palette[:, None] - palette[None]).sum(axis=2) + 1000 * np.eye(60, dtype=int)
    assert distance.min() > 12 and distance[:12, :12].min() > 60


@pytest.mark.parametrize("outputs", ["queries", "semantic"])
@pytest.mark.parametrize("fixed_hw", [None, (64, 96)])
def test_what_an_export_writes_can_be_read(tmp_path, outputs, fixed_hw):
    names = ("class_logits", "mask_logits") if outputs == "queries" else ("scores",)
    content = exported_yaml(
        model="m",
        licence="none",
        labels=["a", "b"],
        outputs=outputs,
        input_name="images",
        output_names=names,
        imgsz=384,
        fixed_hw=fixed_hw,
        version="1",
    )
    file = read_model_file(describe(tmp_path, content.decode()))
    assert file.queries == (outputs == "queries") and file.output.names == names and file.input.dtype == "uint8"
    assert file.input.network_size(360, 640, 384) == (fixed_hw or (216, 384))


def test_files_and_names_of_models_are_told_apart():
    assert all(map(is_model_file, ("net.onnx", "a/b.XML", "x.torchscript", "x.tflite", "x.yaml", "y.pt", "a/folder")))
    assert not any(map(is_model_file, ("fai-m2f-n-ade", "onnx")))


@pytest.mark.parametrize(
    ("given", "frame", "canvas", "content", "corner"),
    [
        ({"size": {"short": 48}}, (480, 640), (48, 64), (48, 64), (0, 0)),
        ({"size": {"short": 512, "longest": 2048}}, (333, 500), (512, 768), (512, 768), (0, 0)),
        ({"size": {"short": 640, "longest": 1000}}, (1000, 3000), (333, 1000), (333, 1000), (0, 0)),
        ({"size": {"long": 512}, "multiple_of": 32}, (360, 640), (288, 512), (288, 512), (0, 0)),
        ({"shape": [1, 3, 640, 640]}, (720, 1280), (640, 640), (360, 640), (140, 0)),
        ({"shape": [1, 3, 640, 640], "resize": "keep"}, (100, 100), (640, 640), (640, 640), (0, 0)),
        ({"shape": [1, 3, 640, 640], "resize": "stretch"}, (720, 1280), (640, 640), (640, 640), (0, 0)),
        ({"shape": [1, 3, 64, 64], "align": "corner"}, (64, 33), (64, 64), (64, 33), (0, 0)),
        (
            {"size": {"height": 512, "width": 1024}, "resize": "letterbox"},
            (512, 512),
            (512, 1024),
            (512, 512),
            (0, 256),
        ),
        (
            {"size": {"long": 640}, "resize": "letterbox", "multiple_of": 32},
            (1080, 1920),
            (384, 640),
            (360, 640),
            (12, 0),
        ),
    ],
)
def test_where_a_frame_lies_on_what_the_network_sees(tmp_path, given, frame, canvas, content, corner):
    found = read_model_file(describe(tmp_path, {"labels": ["a"], "input": given})).input
    placement = found.place(*frame, found.default_imgsz())
    assert (placement.canvas_hw, placement.content_hw, placement.corner_hw) == (canvas, content, corner)


def test_a_side_that_is_asked_for_goes_before_the_files(tmp_path):
    given = read_model_file(describe(tmp_path, {"labels": ["a"], "input": {"size": {"short": 640}}})).input
    assert given.network_size(360, 640, 640) == (640, 1137)
    assert given.with_short_side(360).network_size(720, 1280, 360) == (360, 640)
    assert given.with_long_side(320).network_size(720, 1280, 320) == (180, 320)


@pytest.mark.parametrize(("start", "content"), [(0, 64), (8, 48), (7, 50), (0, 33)])
def test_a_window_shows_the_frame_to_half_a_pixel(start, content):
    frame = 3 * content + 1
    window = Placement((64, 64), (content, 64), (start, 0)).window((16, 16), (frame, 64))
    rows, _ = window.of_frame((frame, 64))
    edges = [
        window.rows.start * 4 + (window.rows.stop - window.rows.start) * 4 * row / window.fine_hw[0]
        for row in (rows.start, rows.stop)
    ]
    assert abs(edges[0] - start) <= 0.5 / 3 + 0.02 and abs(edges[1] - start - content) <= 1 / 3 + 0.02
    assert rows.stop - rows.start == frame
