"""Label formats as their tools write them: each folder is built in the tool's layout and read back pixel for pixel."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.pngs import GREY, PALETTE, png_bytes
from vidseg.commands.export_labels import palette_png
from vidseg.data.folder import FolderDataset
from vidseg.data.formats.coco_masks import decompressed, mask_of_runs, polygon_mask
from vidseg.data.formats.recognise import recognise
from vidseg.data.own_classes import own_classes
from vidseg.errors import ConfigError
from vidseg.known_labels import known_labels, voc_palette
from vidseg.labels import ade20k
from vidseg.sinks.records.coco_rle import encode_rle, run_lengths

SIZE = (24, 31)
NAMES = ("background", "car", "tree")
COLOURS = ((0, 0, 0), (250, 50, 60), (51, 221, 255))
LABEL_MAP = "# label:color_rgb:parts:actions\n" + "".join(
    f"{name}:{','.join(map(str, colour))}::\n" for name, colour in zip(NAMES, COLOURS, strict=True)
)


def numbers(seed: int = 0, highest: int = 2) -> np.ndarray:
    """A label map with every class up to `highest`."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, highest + 1, SIZE, dtype=np.uint8)
    found[:3, :3] = 0
    return found


def put(path: Path, picture: np.ndarray | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, bytes):
        path.write_bytes(picture)
    else:
        assert cv2.imwrite(str(path), picture)
    return path


def put_image(path: Path) -> Path:
    return put(path, np.zeros((*SIZE, 3), np.uint8))


def painted(labels: np.ndarray, colours=COLOURS) -> np.ndarray:
    """BGR, as OpenCV writes it."""
    return np.array(colours, np.uint8)[labels][..., ::-1]


def read(path: Path, part: str = "train") -> list[np.ndarray]:
    """The class numbers of all pictures, as another process would read them."""
    layout = pickle.loads(pickle.dumps(recognise(path, part)))
    return [layout.read(pair) for pair in layout.pairs]


def fails(text: str, path: Path, part: str = "train") -> None:
    with pytest.raises(ConfigError) as caught:
        read(path, part)
    assert text in str(caught.value) and "\n" not in str(caught.value), caught.value


# -- images/ and labels/ ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["labels", "masks"])
@pytest.mark.parametrize("kind", ["grey", "palette", "grey in three channels"])
def test_values_of_grey_and_palettes_are_class_ids(tmp_path, folder, kind):
    truth = numbers()
    picture = {
        "grey": png_bytes(truth, kind=GREY),
        "palette": png_bytes(truth, kind=PALETTE),
        "grey in three channels": np.repeat(truth[..., None], 3, axis=2),
    }[kind]
    put_image(tmp_path / "images" / "a.jpg")
    put(tmp_path / folder / "a.png", picture)
    assert np.array_equal(read(tmp_path)[0], truth)
    assert recognise(tmp_path).line == f"{tmp_path}: images/ and {folder}/, 1 image; a value is a class id"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labelmap.txt", LABEL_MAP),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\ncar,250,50,60\ntree,51,221,255\n"),
        ("colours.csv", "name, r, g, b\nbackground, 0, 0, 0\ncar, 250, 50, 60\ntree, 51, 221, 255\n"),
        ("label_colors.txt", "0 0 0\tbackground\n250 50 60\t\tcar\n51 221 255\ttree\n"),
    ],
)
def test_colours_are_read_with_the_table_beside_them(tmp_path, name, content):
    put_image(tmp_path / "images" / "a.jpg")
    put(tmp_path / "labels" / "a.png", painted(numbers()))
    (tmp_path / name).write_text(content)
    assert np.array_equal(read(tmp_path)[0], numbers()) and recognise(tmp_path).classes.names == NAMES
    put(tmp_path / "labels" / "a.png", painted(numbers(), [*COLOURS[:2], (9, 8, 7)]))
    fails(
        f"pixels have a colour that belongs to no class, first 9,8,7; accepted: the 3 colours of {tmp_path / name}",
        tmp_path,
    )
    (tmp_path / name).unlink()
    fails("8-bit colours and a table of them beside the folder", tmp_path)


def test_a_palette_means_its_colours_where_the_table_has_them_and_its_indices_where_not(tmp_path):
    put_image(tmp_path / "images" / "a.jpg")
    (tmp_path / "labelmap.txt").write_text(LABEL_MAP)
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = [COLOURS[number] for number in (2, 0, 1)]
    put(tmp_path / "labels" / "a.png", palette_png(numbers(), palette))
    assert np.array_equal(read(tmp_path)[0], np.array([2, 0, 1], np.uint8)[numbers()])
    palette[:3] = 7
    put(tmp_path / "labels" / "a.png", palette_png(numbers(), palette))
    assert np.array_equal(read(tmp_path)[0], numbers())


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images/{}", "labels/{}"),
        ("images/{}", "masks/{}"),
        ("{}/images", "{}/masks"),
        ("{}", "{}_labels"),
    ],
)
def test_the_wanted_part_is_taken(tmp_path, images, labels):
    for part, stem in (("train", "a"), ("val", "b")):
        put_image(tmp_path / images.format(part) / f"{stem}.jpg")
        put(tmp_path / labels.format(part) / f"{stem}_L.png", numbers())
    for part, stem in (("train", "a"), ("val", "b")):
        layout = recognise(tmp_path, part)
        assert [pair.name for pair in layout.pairs] == [stem] and part in layout.line
        assert np.array_equal(read(tmp_path, part)[0], numbers())


def test_two_classes_of_one_colour_and_two_tables_are_refused(tmp_path):
    put_image(tmp_path / "images" / "a.jpg")
    put(tmp_path / "labels" / "a.png", painted(numbers()))
    (tmp_path / "labelmap.txt").write_text(LABEL_MAP + "sea:250,50,60::\n")
    fails("car and sea have one colour, 250,50,60", tmp_path)
    (tmp_path / "labelmap.txt").write_text(LABEL_MAP)
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\ncar,1,2,3\n")
    fails("labelmap.txt and class_dict.csv both list classes", tmp_path)


# -- Pascal VOC and CVAT ------------------------------------------------------------------------------------------


def make_voc(folder: Path, labels: list[np.ndarray | bytes], images: str = "JPEGImages") -> Path:
    for number, label in enumerate(labels):
        put_image(folder / images / f"2007_{number:06}.jpg")
        put(folder / "SegmentationClass" / f"2007_{number:06}.png", label)
    put_image(folder / images / "2007_999999.jpg")  # with boxes only
    return folder


def voc_png(truth: np.ndarray) -> bytes:
    return palette_png(truth, voc_palette(256))


def test_voc_has_its_21_classes_and_255_is_unknown(tmp_path):
    truth = numbers(highest=20)
    truth[5, :] = 255
    root = make_voc(tmp_path / "VOCdevkit" / "VOC2012", [voc_png(truth), voc_png(numbers())])
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000000\n")
    (lists / "val.txt").write_text("2007_000001\n")
    (lists / "trainval.txt").write_text("2007_000000\n2007_000001\n")
    assert np.array_equal(read(root)[0], truth) and np.array_equal(read(root, "val")[0], numbers())
    assert recognise(root).classes.names == known_labels("voc").names
    assert len(read(lists / "trainval.txt")) == 2 and len(read(tmp_path)) == 1
    assert "Pascal VOC (SegmentationClass), 1 image of ImageSets/Segmentation/train.txt; 21" in recognise(root).line
    put(root / "SegmentationClass" / "2007_000000.png", painted(truth, voc_palette(256)))
    assert np.array_equal(read(root)[0], truth)  # the border's colour is unknown too
    put(root / "SegmentationClass" / "2007_000000.png", png_bytes(numbers(highest=21), kind=GREY))
    fails("2007_000000.png: holds 21; accepted: 0 to 20", root)


@pytest.mark.parametrize("form", ["colours", "palette", "values"])
def test_cvat_names_its_classes_in_labelmap(tmp_path, form):
    """ "Segmentation mask 1.1", exported with the images."""
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COLOURS
    truth = numbers()
    label = {"colours": painted(truth), "palette": palette_png(truth, palette), "values": png_bytes(truth, kind=GREY)}
    make_voc(tmp_path, [label[form]])
    (tmp_path / "labelmap.txt").write_text(LABEL_MAP)
    put(tmp_path / "ImageSets" / "Segmentation" / "default.txt", b"2007_000000\n2007_999999\n")
    assert np.array_equal(read(tmp_path)[0], truth)
    assert recognise(tmp_path).classes.names == NAMES and recognise(tmp_path).classes.palette.tolist()[1] == [
        250,
        50,
        60,
    ]


def test_voc_without_pictures_says_where_they_belong(tmp_path):
    put(tmp_path / "SegmentationClass" / "a.png", numbers())
    fails('no JPEGImages/ with the images; put them there (CVAT: export with "Save images")', tmp_path)
    put_image(tmp_path / "JPEGImages" / "b.jpg")
    fails("1 of 1 images are missing, first a; put them into JPEGImages/", tmp_path)


# -- Cityscapes ---------------------------------------------------------------------------------------------------


def make_cityscapes(root: Path, truth: np.ndarray, kind: str = "labelIds", gt: str = "gtFine") -> Path:
    for part, city in (("train", "aachen"), ("train", "bochum"), ("val", "frankfurt")):
        core = f"{city}_000000_000019"
        put_image(root / "leftImg8bit" / part / city / f"{core}_leftImg8bit.png")
        for each in (kind, "color", "instanceIds"):
            put(root / gt / part / city / f"{core}_{gt}_{each}.png", truth)
    return root


def test_cityscapes_has_its_19_classes_and_other_ids_are_unknown(tmp_path):
    stored = np.arange(24 * 31, dtype=np.int64).reshape(SIZE) % 34
    stored[0, 0] = 255  # -1, license plate
    root = make_cityscapes(tmp_path, stored.astype(np.uint8))
    (found, other), classes = read(root), recognise(root).classes
    assert np.array_equal(found, other) and len(read(root, "val")) == 1
    for value, name in ((7, "road"), (8, "sidewalk"), (11, "building"), (26, "car"), (33, "bicycle"), (31, "train")):
        assert set(found[stored == value].tolist()) == {classes.names.index(name)}
    ignored = [value for value in range(34) if value not in (7, 8, *range(11, 14), 17, *range(19, 29), 31, 32, 33)]
    assert set(found[np.isin(stored, [*ignored, 255])].tolist()) == {255} and len(classes) == 19
    for path in (root / "gtFine" / "val", root / "leftImg8bit" / "val"):
        assert "Cityscapes, 1 image of gtFine/val; 19 classes: road, sidewalk," in recognise(path).line
    put(root / "gtFine" / "val" / "frankfurt" / "frankfurt_000000_000019_gtFine_labelIds.png", numbers() + np.uint8(32))
    fails("holds 34; accepted: 0 to 33 (Cityscapes), and 255", root, "val")


def test_train_ids_and_coarse_labels_of_cityscapes_are_read_where_there_are_no_others(tmp_path):
    truth = numbers(highest=18)
    truth[0] = 255
    assert np.array_equal(read(make_cityscapes(tmp_path / "ids", truth, "labelTrainIds"))[0], truth)
    root = make_cityscapes(tmp_path / "coarse", np.full(SIZE, 7, np.uint8), gt="gtCoarse")
    assert (read(root)[0] == 0).all()
    shutil.rmtree(root / "leftImg8bit")
    fails("2 of 2 images are missing, first leftImg8bit/train/aachen/", root)


# -- ADE20K -------------------------------------------------------------------------------------------------------


@pytest.fixture
def ade(tmp_path) -> Path:
    root = tmp_path / "ADEChallengeData2016"
    for part, stem in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        put_image(root / "images" / part / f"{stem}.jpg")
        put(root / "annotations" / part / f"{stem}.png", numbers(highest=150))
    return root


def test_ade20k_counts_from_one_and_0_is_unknown(ade):
    truth = np.where(numbers(highest=150) == 0, 255, numbers(highest=150) - np.uint8(1))
    assert np.array_equal(read(ade)[0], truth) and recognise(ade).classes.names == ade20k().names
    names = {part: [pair.name for pair in recognise(ade, part).pairs] for part in ("train", "val")}
    assert names == {"train": ["ADE_train_00000001"], "val": ["ADE_val_00000001"]}
    assert [pair.name for pair in recognise(ade / "annotations" / "training", "val").pairs] == names["train"]
    dataset = FolderDataset(recognise(ade, "val"), labels=ade20k())
    assert np.array_equal(dataset[0].labels, truth)
    put(ade / "annotations" / "validation" / "ADE_val_00000001.png", numbers(highest=151))
    fails("holds 151; accepted: 0 to 150 (ADE20K)", ade, "val")


def test_annotations_that_may_be_anybodys_are_asked_for(ade, tmp_path):
    for folder in ("images", "annotations"):
        shutil.copytree(ade / folder / "validation", tmp_path / "flat" / folder)
    assert len(recognise(tmp_path / "flat").pairs) == 1
    for path in (tmp_path / "flat").rglob("ADE*"):
        path.rename(path.with_name(f"a{path.suffix}"))
    fails("annotations/ may count classes from 0, or from 1 as ADE20K does; call it labels/", tmp_path / "flat")
    (tmp_path / "flat" / "objectInfo150.txt").write_text("")
    assert len(recognise(tmp_path / "flat").pairs) == 1


# -- COCO ---------------------------------------------------------------------------------------------------------

# points, COCO's string and area, by pycocotools 2.0.11: `mask.frPyObjects([points], 24, 31)`
POLYGONS = [
    ([27.4, 21.9, 16.1, 5.1, -1.9, 8.3], "81g01O0O2O001O001O0O2O001O000O2O0100O2O0O2O0O2O0O2O0O2OZ2", 166),
    (
        [11.9, -2.6, -2.1, 28.0, 21.4, 3.5, 13.0, 27.2, 31.0, 23.0],
        "f02d02N1O1O1O1N2O1O1O1O1001O1O2NOGF78LJ142ML170GO;0GL<3CO=7O2N1O1O2N1O1O2N1N2OZO",
        302,
    ),
    (
        [11.3, 11.8, 22.4, -2.1, 17.7, 4.7, 30.3, -1.9, 22.5, 23.8, 4.9, 24.7, 30.0, -3.4, 23.6, -4.0, 15.6, 10.0],
        "W51f01O1O1O1N2IJK74JK74IL83IL82HO90G0:OE2<NC1b001O001OL1@O=5CJ;:N2N3L4Mk0",
        264,
    ),
]


@pytest.mark.parametrize(("points", "string", "area"), POLYGONS)
def test_polygons_and_strings_are_those_of_pycocotools(points, string, area):
    mask = polygon_mask(np.array(points).reshape(-1, 2), SIZE)
    assert encode_rle(mask)["counts"] == string and mask.sum() == area
    assert np.array_equal(mask_of_runs(decompressed(string), SIZE), mask)


def test_run_lengths_come_back():
    rng = np.random.default_rng(1)
    for share in (0, 0.02, 0.5, 1):
        mask = rng.random((37, 53)) < share
        assert np.array_equal(mask_of_runs(decompressed(encode_rle(mask)["counts"]), (37, 53)), mask)


@pytest.mark.parametrize(
    ("segmentation", "text"),
    [
        ({"size": [24, 31], "counts": "f02d0"}, "run lengths of"),
        ({"size": [24, 31], "counts": "f02d"}, "run lengths are cut short"),
        ({"size": [31, 24], "counts": [744]}, "run lengths of [31, 24] for an image of [24, 31]"),
        ({"size": [24, 31], "counts": [1, 2, -3, 744]}, "run lengths of"),
        ([[1, 2, 3, 4]], "a polygon is not x1, y1"),
        ([[1, 2, 3, 4, 5, float("inf")]], "a polygon is not x1, y1"),
    ],
)
def test_masks_that_mean_nothing_name_the_annotation(tmp_path, segmentation, text):
    make_coco(tmp_path / "annotations.json", tmp_path / "images", [(1, segmentation)])
    fails(f"annotations.json: annotation 1 of a.jpg: {text}", tmp_path)


def box(left, top, right, bottom):
    return [[left, top, right, top, right, bottom, left, bottom]]


def make_coco(file: Path, images: Path, objects: list, *, categories=None) -> Path:
    """One picture and its (category id, segmentation) objects."""
    put_image(images / "a.jpg")
    categories = categories or [{"id": 1, "name": "car"}, {"id": 90, "name": "tree"}]
    annotations = [
        {"id": n + 1, "image_id": 7, "category_id": k, "segmentation": s, "bbox": [1, 2, 3, 4], "iscrowd": 0}
        for n, (k, s) in enumerate(objects)
    ]
    image = {"id": 7, "file_name": "a.jpg", "height": SIZE[0], "width": SIZE[1]}
    content = {"images": [image], "annotations": annotations, "categories": categories}
    return put(file, json.dumps(content).encode())


def test_of_overlapping_objects_the_smaller_wins_and_the_rest_is_background(tmp_path):
    small, large = box(5, 5, 9, 9), box(2, 2, 22, 20)
    run = np.zeros(SIZE, np.bool_)
    run[0, :4] = True
    rle, plain = encode_rle(run), {"size": list(SIZE), "counts": run_lengths(run).tolist()}
    for objects in ([(90, small), (1, large)], [(1, large), (90, small)]):
        for runs in (rle, plain):
            make_coco(tmp_path / "annotations" / "instances_default.json", tmp_path / "images", [*objects, (90, runs)])
            (found,) = read(tmp_path)
            truth = np.zeros(SIZE, np.uint8)
            truth[2:20, 2:22], truth[5:9, 5:9], truth[0, :4] = 1, 2, 2
            assert np.array_equal(found, truth)
    assert recognise(tmp_path).classes.names == NAMES
    assert "COCO, 1 image of instances_default.json; 3 classes: background, car, tree" in recognise(tmp_path).line


def test_an_object_with_a_box_alone_is_unknown_there_and_boxes_alone_are_refused(tmp_path):
    make_coco(tmp_path / "annotations.json", tmp_path / "images", [(1, []), (1, box(8, 8, 12, 12))])
    truth = np.zeros(SIZE, np.uint8)
    truth[2:6, 1:4], truth[8:12, 8:12] = 255, 1
    assert np.array_equal(read(tmp_path)[0], truth)
    make_coco(tmp_path / "annotations.json", tmp_path / "images", [(1, [])])
    fails("contains boxes but no masks", tmp_path)


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/instances_{}2017.json", "images/{}2017"),
        ("{}/_annotations.coco.json", "{}"),
    ],
)
def test_parts_of_coco_lie_as_coco_and_roboflow_put_them(tmp_path, file, images):
    for part in ("train", "val"):
        make_coco(tmp_path / file.format(part), tmp_path / images.format(part), [(1, box(0, 0, 4, 4))])
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "annotations" / "captions_train2017.json").write_text("{}")
    for part in ("train", "val"):
        assert recognise(tmp_path, part).pairs[0].image == tmp_path / images.format(part) / "a.jpg"
    assert recognise(tmp_path / file.format("val"), "train").pairs[0].image == tmp_path / images.format("val") / "a.jpg"


def test_several_jsons_of_one_part_are_asked_for(tmp_path):
    for name in ("instances_val2017", "stuff_val2017"):
        make_coco(tmp_path / "annotations" / f"{name}.json", tmp_path / "val2017", [(1, box(0, 0, 4, 4))])
    text = "2 files may hold the labels: annotations/instances_val2017.json, annotations/stuff_val2017.json; give one"
    fails(text, tmp_path, "val")


def test_panoptic_segments_are_their_categories_and_0_is_unknown(tmp_path):
    ids = np.zeros(SIZE, np.int64)
    ids[:, 4:12], ids[:, 12:] = 3226956, 300
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    put(tmp_path / "annotations" / "panoptic_val2017" / "a.png", rgb[..., ::-1])
    put_image(tmp_path / "val2017" / "a.jpg")
    segments = [{"id": 3226956, "category_id": 200}, {"id": 300, "category_id": 1}]
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "annotations": [{"image_id": 7, "file_name": "a.png", "segments_info": segments}],
        "categories": [{"id": 1, "name": "person", "isthing": 1}, {"id": 200, "name": "rug-merged", "isthing": 0}],
    }
    file = put(tmp_path / "annotations" / "panoptic_val2017.json", json.dumps(content).encode())
    truth = np.full(SIZE, 255, np.uint8)
    truth[:, 4:12], truth[:, 12:] = 1, 0
    assert np.array_equal(read(tmp_path, "val")[0], truth)
    assert recognise(tmp_path).classes.names == ("person", "rug-merged")
    segments.pop()
    file.write_text(json.dumps(content))
    fails("a.png: contains segment 300, which the JSON does not list", tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"images": [], "annotations": 3, "categories": [{"id": 1}]}', "{"])
def test_other_json_is_refused(tmp_path, content):
    fails("annotations.json: ", put(tmp_path / "annotations.json", content.encode()))


def test_a_size_that_is_not_the_pictures_is_refused_before_a_mask_of_it_is_made(tmp_path):
    file = make_coco(tmp_path / "annotations.json", tmp_path / "images", [(1, box(0, 0, 4, 4))])
    content = json.loads(file.read_text())
    content["images"][0] |= {"width": 10**7, "height": 10**7}
    file.write_text(json.dumps(content))
    fails("labels of a.jpg are 10000000x10000000, the image is 31x24; make them of one size", tmp_path)


def test_yolo_is_told_from_pictures_without_labels(tmp_path):
    put_image(tmp_path / "images" / "a.jpg")
    put(tmp_path / "labels" / "a.txt", b"0 0.5 0.5 0.2 0.2\n")
    fails("expected a.png and not YOLO .txt: export the labels as COCO or masks", tmp_path)


def test_pictures_that_are_not_there_are_counted(tmp_path):
    make_coco(tmp_path / "annotations.json", tmp_path / "elsewhere", [(1, box(0, 0, 4, 4))])
    fails("1 of 1 images are missing, first a.jpg; put them into", tmp_path)


# -- names of classes ---------------------------------------------------------------------------------------------


def named(path: Path, network, **options) -> np.ndarray:
    return FolderDataset(path, num_classes=len(network), labels=network, **options)[0].labels


def test_classes_are_found_by_name_and_groups_are_sets(tmp_path):
    make_coco(tmp_path / "annotations.json", tmp_path / "images", [(1, box(0, 0, 4, 4)), (90, box(8, 8, 12, 12))])
    dataset = FolderDataset(tmp_path, labels=ade20k(), ignore=("background",))
    labels = dataset[0].labels
    names = ade20k().names
    assert (labels[0, 0], labels[9, 9], labels[20, 20]) == (names.index("car"), names.index("tree"), 255)
    categories = [{"id": 1, "name": "vehicle"}, {"id": 90, "name": "tree"}]
    make_coco(tmp_path / "annotations.json", tmp_path / "images", [(1, box(0, 0, 4, 4))], categories=categories)
    dataset = FolderDataset(tmp_path, labels=ade20k(), ignore=("background",))
    assert names.index("bus") in dataset.label_sets.sets[dataset[0].labels[0, 0] - 150]


def test_a_class_that_the_network_has_not_is_told_with_what_to_do(tmp_path):
    make_coco(tmp_path / "annotations.json", tmp_path / "images", [(1, box(0, 0, 4, 4))])
    text = 'COCO names background, which is not among the 150 classes of the network; leave it out with --ignore "back'
    with pytest.raises(ConfigError, match=text):
        named(tmp_path, ade20k())
    (tmp_path / "sets.csv").write_text("value,ids\n0,0 1\n")
    labels = named(tmp_path, ade20k())
    assert labels[20, 20] == 150 and labels[0, 0] == ade20k().names.index("car")
    (tmp_path / "sets.csv").unlink()
    with pytest.raises(ConfigError, match="COCO names background, car, tree, which are not in 7 classes"):
        FolderDataset(tmp_path, num_classes=7)
    with pytest.raises(ConfigError, match="COCO says what its values mean; leave out --values"):
        FolderDataset(tmp_path, num_classes=3, values=np.arange(256, dtype=np.uint8))


def test_the_classes_of_several_data_sets_are_joined_by_name(tmp_path):
    categories = [{"id": 3, "name": "tree"}, {"id": 4, "name": "sea"}]
    for name, tree, each in (("a", 90, None), ("b", 3, categories)):
        folder = tmp_path / name
        make_coco(folder / "annotations.json", folder / "images", [(tree, box(0, 0, 4, 4))], categories=each)
    layouts = [recognise(tmp_path / name) for name in "ab"]
    joined = own_classes(layouts)
    assert joined.names == ("background", "car", "tree", "sea") and len(joined.palette) == 4
    assert own_classes(layouts, ["background"]).names == ("car", "tree", "sea")
    for layout in layouts:
        assert FolderDataset(layout, num_classes=4, labels=joined)[0].labels[0, 0] == 2
    (tmp_path / "a" / "sets.csv").write_text("value,ids\n0,0\n")
    assert own_classes([layouts[0]]) is None


@pytest.mark.parametrize("name", ["", "images", "masks"])
def test_what_is_no_data_set_is_told_with_what_is(tmp_path, name):
    (tmp_path / "x" / name).mkdir(parents=True)
    fails("SegmentationClass/ (Pascal VOC, CVAT); gtFine/ (Cityscapes)", tmp_path / "x")
