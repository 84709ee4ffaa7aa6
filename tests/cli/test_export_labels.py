"""`vidseg export-labels`: what it writes, read back."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml

from tests.cli.test_run import assert_one_line_error
from tests.video.clips import make_clip
from vidseg.commands.export_labels import outlines
from vidseg.data.formats.recognise import recognise
from vidseg.labels import ade20k
from vidseg.video.label_png import decode_label_map

WALL, TREE, PERSON = 0, 4, 12
NAMES = {"wall": WALL, "tree": TREE, "person": PERSON}


def label_map() -> np.ndarray:
    """Wall, a tree with a hole of unknown in it, a person, and a speck of 4 pixels."""
    found = np.full((48, 64), WALL, np.uint8)
    found[10:40, 5:30] = TREE
    found[20:28, 12:20] = 255
    found[15:45, 40:52] = PERSON
    found[2:4, 2:4] = PERSON
    return found


@pytest.fixture
def saved(tmp_path) -> tuple[Path, Path]:
    """A clip of six frames, and its masks as PNGs."""
    clip = make_clip(tmp_path / "clip.mp4", size=(64, 48), frames=6)
    (tmp_path / "masks").mkdir()
    for index in range(6):
        cv2.imwrite(str(tmp_path / "masks" / f"{index:06d}.png"), label_map())
    return clip, tmp_path / "masks"


def area(outline: np.ndarray) -> float:
    """Of a polygon, by the shoelace formula."""
    x, y = outline[:, 0], outline[:, 1]
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


def decoded(rle: dict) -> np.ndarray:
    """COCO's compressed run lengths, one character after the other."""
    numbers, value, shift = [], 0, 0
    for character in rle["counts"].encode():
        code = character - 48
        value |= (code & 0x1F) << shift
        shift += 5
        if not code & 0x20:
            value -= (1 << shift) if code & 0x10 else 0
            numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
            value = shift = 0
    height, width = rle["size"]
    return np.repeat(np.arange(len(numbers)) % 2, numbers).reshape(width, height).T.astype(bool)


def test_coco_has_a_polygon_or_run_lengths_of_every_region(cli, saved):
    clip, masks = saved
    result = cli("export-labels", clip, masks, "-o", "set", "--every", 2)
    assert result.code == 0 and "wrote 3 images" in result.err
    content = json.loads(Path("set/annotations/instances_default.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["000000.jpg", "000002.jpg", "000004.jpg"]
    assert all(Path("set/images", image["file_name"]).is_file() for image in content["images"])
    names = {category["id"]: category["name"] for category in content["categories"]}
    of_first = [item for item in content["annotations"] if item["image_id"] == content["images"][0]["id"]]
    assert [names[item["category_id"]] for item in of_first] == ["wall", "tree", "person"]
    truth = label_map()
    truth[2:4, 2:4] = 99  # the speck
    for item, class_id in zip(of_first, (WALL, TREE, PERSON), strict=True):
        mask = truth == class_id
        assert item["area"] == mask.sum()
        if isinstance(item["segmentation"], dict):
            assert class_id != PERSON and np.array_equal(decoded(item["segmentation"]), mask)
        else:
            outline = np.array(item["segmentation"][0]).reshape(-1, 2)
            assert area(outline) == pytest.approx(mask.sum(), rel=0.01)
    assert of_first[2]["bbox"] == [40, 15, 12, 30]
    assert len({item["id"] for item in content["annotations"]}) == 9


def test_what_does_not_fit_and_what_is_damaged_is_told(cli, saved):
    _, masks = saved
    clip = make_clip(Path("cut.mp4"), size=(64, 48), frames=6, container_options={"movflags": "faststart"})
    with av.open(str(clip)) as container:
        last = [packet.pos for packet in container.demux(video=0) if packet.size][5]
    clip.write_bytes(clip.read_bytes()[:last])
    (masks / "000001.png").unlink()
    cv2.imwrite(str(masks / "000003.png"), np.full((48, 64), 200, np.uint8))
    result = cli("export-labels", clip, masks, "-o", "set")
    assert result.code == 0 and "wrote 4 images" in result.err
    assert "1 frame without a mask, left out" in result.err and "class id 200, which is left out" in result.err
    assert "the source is damaged: it ends before its announced length" in result.err


def test_an_outline_names_no_corner_twice():
    stairs = np.tri(6, dtype=bool)
    (line,) = outlines(np.pad(stairs, 2))
    assert len(line) == len({tuple(point) for point in line.tolist()}) and area(line) == stairs.sum()


def test_yolo_has_outlines_in_shares_of_the_picture(cli, saved):
    clip, masks = saved
    assert cli("export-labels", clip, masks, "-o", "set", "--format", "yolo").code == 0
    assert yaml.safe_load(Path("set/data.yaml").read_text())["names"][PERSON] == "person"
    lines = [line.split() for line in Path("set/labels/000003.txt").read_text().splitlines()]
    assert [int(words[0]) for words in lines] == [WALL, TREE, PERSON]
    outline = np.array(lines[2][1:], float).reshape(-1, 2) * (64, 48)
    assert outline.min(axis=0) == pytest.approx([40, 15]) and outline.max(axis=0) == pytest.approx([52, 45])


@pytest.mark.parametrize("kind", ["voc", "cvat"])
def test_voc_and_cvat_have_a_value_for_every_pixel(cli, saved, kind):
    clip, masks = saved
    assert cli("export-labels", clip, masks, "-o", "set", "--format", kind, "--every", 5).code == 0
    lines = Path("set/labelmap.txt").read_text().splitlines()[1:]
    colours = {line.split(":")[0]: tuple(map(int, line.split(":")[1].split(","))) for line in lines}
    assert colours.pop("ignored", (224, 224, 192)) == (224, 224, 192)
    assert len(set(colours.values())) == 151  # none twice
    assert Path("set/ImageSets/Segmentation/default.txt").read_text().split() == ["000000", "000005"]
    assert len(list(Path("set/JPEGImages").iterdir())) == 2
    path = Path("set/SegmentationClass/000005.png")
    rgb = cv2.imread(str(path))[:, :, ::-1]
    assert all((rgb[label_map() == class_id] == colours[name]).all() for name, class_id in NAMES.items())
    nothing = rgb[label_map() == 255]
    if kind == "voc":
        values = decode_label_map(np.fromfile(path, np.uint8))
        assert np.array_equal(values, np.where(label_map() == 255, 255, label_map() + np.uint8(1)))
        assert (nothing == (224, 224, 192)).all()
    else:
        assert (nothing == colours["background"]).all()
    assert ade20k().names[PERSON] == "person"


@pytest.mark.parametrize("kind", ["coco", "voc", "cvat"])
def test_train_and_eval_read_back_what_was_exported(cli, saved, kind):
    assert cli("export-labels", *saved, "-o", "set", "--format", kind, "--every", 5, "--min-area", 1).code == 0
    layout = recognise(Path("set"), "train")
    assert [Path(pair.name).stem for pair in layout.pairs] == ["000000", "000005"]
    found, names = layout.read(layout.pairs[1]), layout.classes.names
    assert set(names) - set(ade20k().names) <= {"background"}
    for name, class_id in NAMES.items():
        assert np.array_equal(found == names.index(name), label_map() == class_id), name
    assert (found[label_map() == 255] == (255 if kind == "voc" else names.index("background"))).all()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--format", "kitti"], "--format is 'kitti'; accepted: coco, cvat, yolo, voc"),
        (["--every", 0], "--every is 0"),
        (["--min-area", 0], "--min-area is 0"),
        (["-m", "nope"], "unknown model 'nope'"),
    ],
)
def test_what_cannot_be_exported_is_one_line(cli, saved, words, text):
    assert_one_line_error(cli("export-labels", *saved, "-o", "set", *words), text)


def test_an_attempt_with_the_wrong_masks_does_not_fill_the_folder(cli, saved):
    clip, masks = saved
    other = make_clip(Path("other.mp4"), size=(32, 32), frames=2)
    assert_one_line_error(cli("export-labels", other, masks, "-o", "set"), "give the clip")
    (masks / "x").mkdir()
    for path in masks.glob("*.png"):
        path.rename(masks / "x" / f"{int(path.stem) + 100:06d}.png")
    assert_one_line_error(cli("export-labels", clip, masks / "x", "-o", "set"), "no mask belongs to a frame")
    assert_one_line_error(cli("export-labels", clip, masks / "x", "-o", "set"), "no mask belongs to a frame")


def test_a_folder_that_holds_files_is_left_alone_without_y(cli, saved):
    Path("set").mkdir()
    Path("set/mine.txt").touch()
    assert_one_line_error(cli("export-labels", *saved, "-o", "set"), "set: is not empty; overwrite its files with -y")
    assert cli("export-labels", *saved, "-o", "set", "-y").code == 0 and Path("set/mine.txt").exists()


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_a_folder_that_cannot_be_made_is_one_line(cli, saved, form):
    result = cli("export-labels", *saved, "-o", "clip.mp4/set", "--format", form)
    assert_one_line_error(result, "clip.mp4/set: cannot be created as a folder (Not a directory)")
