"""Datasets out of folders: what comes out, and one line for each way a folder can be wrong."""

import shutil

import cv2
import numpy as np
import pytest

from tests.data.folders import make_dataset
from tests.pngs import GREY, PALETTE, png_bytes
from vidseg.data.folder import FolderDataset
from vidseg.data.label_values import parse_values, shares_text
from vidseg.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    return make_dataset(tmp_path / "set", soft=True)


def fails(folder, text, number=0, **options):
    with pytest.raises(ConfigError) as caught:
        FolderDataset(folder, **options)[number]
    assert text in str(caught.value) and "\n" not in str(caught.value), caught.value


def test_pictures_come_in_order_with_labels_and_soft_labels(folder):
    dataset = FolderDataset(folder)
    assert len(dataset) == 4 and dataset.names == ["000", "001", "002", "003"]
    item = dataset[1]
    assert item.image.shape == (48, 64, 3) and item.labels.shape == (48, 64) and item.name == "001"
    assert abs(item.image[item.labels == 20].mean(axis=0) - (200, 30, 30)).max() < 4  # RGB, and labels in place
    assert item.soft.ids.shape == item.soft.probs.shape == (3, 12, 16)
    assert item.fill is False
    content = dataset.check()
    assert content.classes == {2, 4, 6, 20} and content.pictures == (content.classes,) * 4 and not content.soft
    pixels = sum(np.bincount(each.labels.ravel(), minlength=256) for each in dataset)
    assert content.pixels == tuple(pixels) and pixels[255] == 4 * 16


def test_soft_labels_may_be_absent(folder):
    (folder / "soft" / "002.npz").unlink()
    assert FolderDataset(folder)[2].soft is None and FolderDataset(folder)[3].soft is not None


def test_pictures_can_be_left_out(folder):
    assert FolderDataset(folder, keep=lambda number, _: number % 3 != 0).names == ["001", "002"]
    fails(folder, "none of 4 images is left", keep=lambda number, _: False)


def test_check_reads_everything_and_finds_the_bad_file(folder):
    (folder / "labels" / "003.png").write_bytes(b"no picture")
    seen = []
    with pytest.raises(ConfigError, match=r"003\.png: not a readable PNG"):
        FolderDataset(folder).check(lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4)]


def test_fingerprints_tell_datasets_apart_and_not_where_they_lie(folder, tmp_path):
    first = FolderDataset(folder).fingerprint()
    assert FolderDataset(shutil.copytree(folder, tmp_path / "copy")).fingerprint() == first
    assert FolderDataset(make_dataset(tmp_path / "other", soft=True, seed=1)).fingerprint() != first
    assert FolderDataset(folder, keep=lambda number, _: number > 0).fingerprint() != first
    (folder / "soft" / "002.npz").unlink()
    assert FolderDataset(folder).fingerprint() != first


@pytest.mark.parametrize("part", ["images", "labels"])
def test_a_missing_folder_is_named(folder, part):
    shutil.rmtree(folder / part)
    fails(folder, f"but no {part}/ beside it")


def test_an_empty_split_is_refused(folder):
    for file in (folder / "images").iterdir():
        file.unlink()
    fails(folder, "images: no images")


def test_images_without_labels_are_counted_and_the_first_is_named(folder):
    (folder / "labels" / "001.png").unlink()
    (folder / "labels" / "002.png").unlink()
    fails(folder, "2 of 4 images have no labels, first 001.png")


def test_labels_above_the_classes_name_the_file(folder):
    labels = np.full((48, 64), 150, np.uint8)
    cv2.imwrite(str(folder / "labels" / "000.png"), labels)
    fails(folder, "000.png: contains class id 150; accepted: 0 to 149, and 255 for no label")
    fails(folder, "001.png: contains class id 20; accepted: 0 to 10", number=1, num_classes=11)


def test_labels_of_another_size_name_both_sizes(folder):
    cv2.imwrite(str(folder / "labels" / "000.png"), np.zeros((64, 48), np.uint8))
    fails(folder, "000.png: labels are 48x64, the image is 64x48")


def test_photos_that_a_tag_turns_are_taken_as_their_labels_lie(folder):
    """Labels drawn on the stored pixels, and those of a tool that shows photos as they were held."""
    (folder / "images" / "000.png").unlink()
    stored = np.zeros((64, 48, 3), np.uint8)
    stored[:32] = 200
    jpeg = cv2.imencode(".jpg", stored)[1].tobytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # 6: turn right
    (folder / "images" / "000.jpg").write_bytes(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + jpeg[2:])
    image = FolderDataset(folder)[0].image
    assert image.shape == (48, 64, 3) and image[:, 40:].mean() > 190 and image[:, :24].mean() < 10
    cv2.imwrite(str(folder / "labels" / "000.png"), np.zeros((64, 48), np.uint8))
    (folder / "soft" / "000.npz").unlink()
    image = FolderDataset(folder)[0].image
    assert image.shape == (64, 48, 3) and image[:24].mean() > 190 and image[40:].mean() < 10


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.full((48, 64, 3), (1, 2, 3), np.uint8), "3 channels of 8 bits"),
        (np.zeros((48, 64), np.uint16), "1 channel of 16 bits"),
    ],
)
def test_labels_that_are_colours_or_16_bit_are_refused(folder, labels, text):
    cv2.imwrite(str(folder / "labels" / "000.png"), labels)
    fails(folder, text)


@pytest.mark.parametrize("kind", [GREY, PALETTE])
@pytest.mark.parametrize(("depth", "class_id"), [(1, 1), (2, 2), (4, 6), (8, 149)])
def test_labels_are_the_values_stored_also_in_few_bits_and_palettes(folder, depth, class_id, kind):
    labels = np.full((48, 64), class_id, np.uint8)
    labels[:10] = 0
    (folder / "labels" / "000.png").write_bytes(png_bytes(labels, depth=depth, kind=kind))
    assert (FolderDataset(folder)[0].labels == labels).all()


def test_a_palette_above_the_classes_and_a_damaged_one_are_named(folder):
    path, labels = folder / "labels" / "000.png", np.full((48, 64), 200, np.uint8)
    png = png_bytes(labels, kind=PALETTE)
    path.write_bytes(png)
    fails(folder, "000.png: contains class id 200")
    for damaged in (png[:-40], png[:30], png.replace(b"PLTE", b"PLTF"), png[:100] + b"\0\0" + png[102:]):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"000\.png: (not a readable PNG|contains class id)") as caught:
            FolderDataset(folder)[0]
        assert "\n" not in str(caught.value)


def test_values_say_what_is_stored_and_the_rest_stays(folder):
    labels = np.zeros((48, 64), np.uint8)
    labels[:10], labels[10:20], labels[20:30] = 255, 7, 128
    cv2.imwrite(str(folder / "labels" / "000.png"), labels)
    values = parse_values("255=1, 128=255", 8)
    found = FolderDataset(folder, values=values)[0].labels
    assert [found[row, 0] for row in (0, 10, 20, 30)] == [1, 7, 255, 0]
    fails(folder, "contains class id 7; accepted: 0 to 1", num_classes=2, values=values)


@pytest.mark.parametrize("text", ["255", "255=2", "256=1", "a=1", "255=1;0=0", "", "255=1,", "-1=1", "255=1=0"])
def test_values_that_mean_nothing_are_refused(text):
    with pytest.raises(ConfigError, match=r"^--values is .*; accepted: VALUE=CLASS .*from 0 to 1, or 255") as caught:
        parse_values(text, 2)
    assert "\n" not in str(caught.value)


def test_values_named_twice_are_refused():
    with pytest.raises(ConfigError, match="gives 255 two meanings"):
        parse_values("255=1,255=0", 2)


@pytest.mark.parametrize(
    ("counts", "names", "text"),
    [
        ({0: 90, 1: 10}, ["road", "car"], "road 90.0 %, car 10.0 %"),
        (
            {1: 9999, 0: 1, 255: 10_000},
            ["road", "car", "sky"],
            "car 100.0 %, road below 0.1 %; 1 of 3 classes does not occur: sky; 50.0 % of the pixels have no label",
        ),
        (
            {number: 100 for number in range(12)},
            [f"c{number}" for number in range(24)],
            ", ".join(f"c{number} 8.3 %" for number in range(10))
            + ", 2 more; 12 of 24 classes do not occur: "
            + ", ".join(f"c{number}" for number in range(12, 22))
            + " ...",
        ),
        ({255: 4}, ["road"], "1 of 1 classes does not occur: road; 100.0 % of the pixels have no label"),
    ],
)
def test_shares_are_told_in_one_sentence(counts, names, text):
    pixels = np.zeros(256, np.int64)
    for value, count in counts.items():
        pixels[value] = count
    assert shares_text(pixels, names) == text


def test_hidden_files_beside_the_pictures_are_none(folder):
    for name in ("._000.png", ".001.png", "._x.jpg"):
        (folder / "images" / name).write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert FolderDataset(folder).names == ["000", "001", "002", "003"]
    assert len(FolderDataset(folder).check().pixels) == 256


def test_an_unreadable_image_is_named(folder):
    (folder / "images" / "000.png").write_bytes(b"")
    fails(folder, "000.png: not a readable image")


def test_broken_soft_labels_are_named(folder):
    path = folder / "soft" / "000.npz"
    good = dict(np.load(path))
    np.savez(path, ids=good["ids"][:, :-1], probs=good["probs"])
    fails(folder, "000.npz: 'ids' is uint8 (3, 11, 16); accepted: uint8 (3, 12, 16)")
    above = good["ids"].copy()
    above[0, 5, 7] = 150
    np.savez(path, ids=above, probs=good["probs"])
    fails(folder, "000.npz: contains class ids above 149, the highest of the model")
    unlikely = good["probs"].copy()
    unlikely[0, 5, 7] = 0
    np.savez(path, ids=above, probs=unlikely)
    assert FolderDataset(folder)[0].soft.ids[0, 5, 7] == 150  # means nothing without a probability
    np.savez(path, ids=good["ids"])
    fails(folder, "000.npz: not soft labels")
    path.write_bytes(b"PK\x03\x04 cut short")
    fails(folder, "000.npz: not soft labels")


def test_soft_labels_with_wrong_bytes_are_named_or_read(folder):
    path = folder / "soft" / "000.npz"
    with np.load(path) as arrays:
        np.savez_compressed(path, **dict(arrays))
    good = path.read_bytes()
    refused = 0
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 255]) + good[place + 1 :])
        try:
            FolderDataset(folder)[0]
        except ConfigError as error:
            refused += str(error).startswith(str(path))
    assert refused > len(good) / 7 / 2  # the rest are names and dates that nobody reads
