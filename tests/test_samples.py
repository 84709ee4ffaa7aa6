"""The bundled street sample: clip, labels and the script that renders them."""

from __future__ import annotations

import csv
import runpy
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from vidseg.data.folder import FolderDataset
from vidseg.frames import NO_LABEL, UInt8Array

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
CLIP, LABELS = SAMPLES / "street.mp4", SAMPLES / "street_labels.mkv"
SKY, ROAD = 2, 6


def _label_maps(path: Path) -> UInt8Array:
    """(frames, h, w) class ids as stored."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "gray"
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def _pictures(path: Path) -> UInt8Array:
    """(frames, h, w, 3) RGB."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def label_maps() -> UInt8Array:
    return _label_maps(LABELS)


@pytest.fixture(scope="module")
def pictures() -> UInt8Array:
    return _pictures(CLIP)


def test_clip_and_labels_have_the_same_frames_and_size(pictures: UInt8Array, label_maps: UInt8Array) -> None:
    assert pictures.shape == (210, 360, 640, 3)
    assert label_maps.shape == pictures.shape[:3]


def test_clip_and_labels_have_the_same_times() -> None:
    def seconds(path: Path) -> list[float]:
        with av.open(str(path)) as container:
            return [frame.time for frame in container.decode(video=0) if frame.time is not None]

    clip, labels = seconds(CLIP), seconds(LABELS)
    assert len(clip) == len(labels) == 210
    # Matroska keeps whole milliseconds
    np.testing.assert_allclose(clip, labels, atol=0.001)


def test_clip_has_audio_that_lasts_as_long_as_the_picture() -> None:
    with av.open(str(CLIP)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    audio = np.concatenate(blocks, axis=1)
    assert audio.shape[1] / rate == pytest.approx(7.0, abs=0.1)
    assert 0.01 < float(np.sqrt((audio**2).mean())) < 0.5
    assert float(np.abs(audio).max()) < 1.0


def test_labels_hold_only_known_classes_and_at_least_six(label_maps: UInt8Array) -> None:
    with (ROOT / "vidseg" / "ade20k.csv").open(newline="") as file:
        known = {int(row["id"]) for row in csv.DictReader(file)}
    seen = {int(value) for value in np.unique(label_maps)}
    assert seen <= known | {NO_LABEL}
    assert len(seen - {NO_LABEL}) >= 6


def test_labels_fit_the_picture(pictures: UInt8Array, label_maps: UInt8Array) -> None:
    for index in (0, 70, 140, 209):
        picture, labels = pictures[index].astype(float), label_maps[index]
        sky, road = picture[labels == SKY].mean(0), picture[labels == ROAD].mean(0)
        assert sky[2] > sky[0] > 120
        assert road.max() < 120
        assert np.abs(road - road.mean()).max() < 12


def test_files_stay_small() -> None:
    assert CLIP.stat().st_size + LABELS.stat().st_size < 1.5 * 1024 * 1024


def test_script_renders_the_same_twice(tmp_path: Path) -> None:
    for name in ("first", "second"):
        command = [sys.executable, str(SAMPLES / "render_street.py"), "--out", str(tmp_path / name)]
        done = subprocess.run(
            [*command, "--frames", "2", "--size", "96x54"], capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
    first, second = tmp_path / "first", tmp_path / "second"
    assert _label_maps(first / "street_labels.mkv").shape == (2, 54, 96)
    assert _pictures(first / "street.mp4").shape == (2, 54, 96, 3)
    for name in ("street.mp4", "street_labels.mkv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize(("option", "value"), [("--size", "95x54"), ("--size", "big"), ("--frames", "0")])
def test_script_refuses_bad_options_in_one_line(option: str, value: str) -> None:
    command = [sys.executable, str(SAMPLES / "render_street.py"), option, value]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert f"'{value}'" in done.stderr.splitlines()[-1]
    assert "accepted" in done.stderr.splitlines()[-1]


def test_dataset_script_writes_pictures_that_training_reads_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        command = [sys.executable, str(SAMPLES / "render_dataset.py"), str(tmp_path / name)]
        command += ["--pictures", "2", "--streets", "1", "--size", "96x64"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
    dataset = FolderDataset(tmp_path / "first", num_classes=150)
    dataset.check()
    assert len(dataset) == 2 and dataset[0].image.shape == (64, 96, 3)
    assert {SKY, ROAD} & set(np.unique(dataset[0].labels))
    assert not np.array_equal(dataset[0].image, dataset[1].image)
    for path in sorted((tmp_path / "first").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_bytes()


def test_dataset_script_refuses_more_streets_than_pictures(tmp_path: Path) -> None:
    command = [sys.executable, str(SAMPLES / "render_dataset.py"), str(tmp_path), "--pictures", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and "--streets is 12; accepted: 1 to --pictures (2)" in done.stderr


def test_lights_script_draws_traffic_lights_into_streets_and_labels_them(tmp_path: Path) -> None:
    given, out = tmp_path / "given", [tmp_path / "once", tmp_path / "again"]
    for name in ("images", "labels", "soft"):
        (given / name).mkdir(parents=True)
    labels = np.full((90, 160), 2, np.uint8)
    for number, road in enumerate((6, 6, 9)):  # the last one is no street
        labels[60:] = road
        cv2.imwrite(str(given / "images" / f"{number}.png"), np.full((90, 160, 3), 128, np.uint8))
        cv2.imwrite(str(given / "labels" / f"{number}.png"), labels)
        np.savez(given / "soft" / f"{number}.npz", ids=np.zeros(1))
    (given / "sets.csv").write_text("value,ids,names\n")
    for folder in out:
        command = [sys.executable, str(SAMPLES / "paste_lights.py"), str(given), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout == f"{folder}: 2 pictures\n"
    for name in ("images/0.jpg", "images/1.jpg", "labels/0.png", "labels/1.png", "soft/1.npz", "sets.csv"):
        assert (out[0] / name).read_bytes() == (out[1] / name).read_bytes()
    seen = set()
    for number in (0, 1):
        drawn = np.asarray(cv2.imread(str(out[0] / "labels" / f"{number}.png"), cv2.IMREAD_UNCHANGED))
        picture = np.asarray(cv2.imread(str(out[0] / "images" / f"{number}.jpg")), np.int64)
        light = drawn == 136
        seen |= set(np.unique(drawn).tolist())
        assert 8 < light.sum() < 8000
        assert np.abs(picture[light] - 128).mean() > 25 > np.abs(picture[drawn == 2] - 128).mean()
    assert seen == {2, 6, 43, 93, 136}


def test_lights_have_signs_beside_them_and_some_are_for_people_on_foot(monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(SAMPLES / "paste_lights.py"))
    head = script["head"]
    for draw in (script["sign"], script["walkers_head"]):
        picture, cover = draw(np.random.default_rng(1))
        assert picture.shape == (*cover.shape, 3) and picture.shape[0] == script["DRAWN"]
        assert 0.2 < cover.mean() <= 1 and picture.min() >= 0
        assert picture[cover > 0.5].std(axis=0).max() > 10, "it is all of one colour"
    monkeypatch.setitem(head.__globals__, "walkers_head", lambda rng: None)
    assert 5 < sum(head(np.random.default_rng(number)) is None for number in range(40)) < 20
