"""What stands in the lines, and that it is what the reference implementation finds."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.models.fixture_rule import fill_model, fixture_image, fixture_tensor
from tests.sinks.records.test_coco_rle import slow_read
from vidseg.frames import Detection, Frame, Segmentation
from vidseg.labels import ade20k
from vidseg.models import create_model
from vidseg.motion.propagate import Carry
from vidseg.pipeline.fail_closed import own_masks
from vidseg.pipeline.options import nothing_found
from vidseg.segmentation.postprocess import QueryOutput
from vidseg.sinks.records.detections_jsonl import MASK_FORMATS, DetectionsSink
from vidseg.timing import StageTimers

# Rows of [x_min, y_min, x_max, y_max, class, pixels of the mask, confidence], computed by the reference
# (github.com/FocoosAI/focoos 0.25.0, `predict_all_pixels`, threshold 0.5) for the picture and the parameters of
# `fixture_rule` at 192x128, in query order.
REFERENCE = json.loads((Path(__file__).parent / "reference_detections.json").read_text())


def frame(index: int = 0, size_hw: tuple[int, int] = (6, 8), name: str | None = None) -> Frame:
    return Frame(np.zeros((*size_hw, 3), np.uint8), index, 512 * index, Fraction(1, 15360), name=name)


def segmentation_of(found: list[Detection] | Callable[[float, str], list[Detection]], index: int = 0) -> Segmentation:
    size = (6, 8) if callable(found) or not found else found[0].mask.shape
    detections = found if callable(found) else lambda threshold, mode: [d for d in found if d.conf > threshold]
    return Segmentation(np.zeros(size, np.uint8), index, _detections=detections)


def car() -> Detection:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    mask[3, 2:4] = False
    return Detection((2, 1, 6, 3), 0.87654321, 20, "car", mask)


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


def png_mask(record: dict[str, Any], size_hw: tuple[int, int]) -> np.ndarray:
    """The mask of a detection at the frame's size."""
    data = base64.b64decode(record["mask"], validate=True)
    assert data[24:26] == bytes([8, 0]), "8-bit grey"
    crop = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    x_min, y_min, x_max, y_max = record["bbox"]
    assert crop.shape == (y_max - y_min + 1, x_max - x_min + 1) and set(np.unique(crop)) <= {0, 255}
    mask = np.zeros(size_hw, bool)
    mask[y_min : y_max + 1, x_min : x_max + 1] = crop > 0
    return mask


def rle_mask(record: dict[str, Any]) -> np.ndarray:
    height, width = record["mask"]["size"]
    counts = slow_read(record["mask"]["counts"])
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def write_one(path: Path, segmentation: Segmentation, at: Frame | None = None, **options: Any) -> dict[str, Any]:
    sink = DetectionsSink(path, overwrite=True, **options)
    sink.write(at or frame(), segmentation, None)
    sink.close()
    (record,) = lines(path)
    return record


def test_a_line_says_which_frame_it_is_and_where_its_masks_come_from(tmp_path):
    record = write_one(tmp_path / "d.jsonl", segmentation_of([car()], index=3), frame(5))
    assert list(record) == ["frame", "pts", "time_base", "seconds", "width", "height", "segmented_frame", "detections"]
    assert (record["frame"], record["pts"], record["time_base"], record["seconds"]) == (5, 2560, "1/15360", 0.166667)
    assert (record["width"], record["height"], record["segmented_frame"]) == (8, 6, 3)


def test_a_detection_has_the_fields_of_focoos(tmp_path):
    (found,) = write_one(tmp_path / "d.jsonl", segmentation_of([car()]))["detections"]
    assert list(found) == ["bbox", "conf", "cls_id", "label", "mask"]
    assert (found["bbox"], found["conf"], found["cls_id"], found["label"]) == ([2, 1, 6, 3], 0.876543, 20, "car")
    assert np.array_equal(png_mask(found, (6, 8)), car().mask)


def test_masks_as_coco_rle_or_not_at_all(tmp_path):
    (found,) = write_one(tmp_path / "d.jsonl", segmentation_of([car()]), masks="rle")["detections"]
    assert found["mask"]["size"] == [6, 8] and np.array_equal(rle_mask(found), car().mask)
    (found,) = write_one(tmp_path / "d.jsonl", segmentation_of([car()]), masks="none")["detections"]
    assert list(found) == ["bbox", "conf", "cls_id", "label"]


@pytest.mark.parametrize("box", [(3, 2, 3, 4), (0, 5, 7, 5), (7, 0, 7, 5), (0, 0, 7, 5)])
def test_masks_one_pixel_thin_and_at_the_border_are_whole(tmp_path, box):
    x_min, y_min, x_max, y_max = box
    mask = np.zeros((6, 8), bool)
    mask[y_min : y_max + 1, x_min : x_max + 1] = True
    (found,) = write_one(tmp_path / "d.jsonl", segmentation_of([Detection(box, 0.9, 0, "wall", mask)]))["detections"]
    assert np.array_equal(png_mask(found, (6, 8)), mask)


def test_only_what_is_above_the_threshold_is_written_and_a_frame_may_be_empty(tmp_path):
    assert write_one(tmp_path / "d.jsonl", segmentation_of([car()]), threshold=0.9)["detections"] == []
    assert len(write_one(tmp_path / "d.jsonl", segmentation_of([car()]), threshold=0.8)["detections"]) == 1
    assert write_one(tmp_path / "d.jsonl", segmentation_of([]))["detections"] == []


@pytest.mark.parametrize("name", ['a "b" \\ ü', "line\nbreak", "bytes\udcff"])
def test_names_of_pictures_survive_whatever_they_hold(tmp_path, name):
    assert write_one(tmp_path / "d.jsonl", segmentation_of([]), frame(0, name=name))["name"] == name


def test_held_masks_are_not_computed_again_and_no_line_keeps_an_old_one(tmp_path):
    asked = []

    def detections(threshold: float, mode: str) -> list[Detection]:
        asked.append(threshold)
        return [car()]

    sink = DetectionsSink(tmp_path / "d.jsonl", overwrite=False)
    first, second = segmentation_of(detections, 0), segmentation_of([], 2)
    for index, segmentation in enumerate([first, first, second, first]):
        sink.write(frame(index), segmentation, None)
    sink.close()
    assert len(asked) == 2
    found = [(line["frame"], line["segmented_frame"], len(line["detections"])) for line in lines(tmp_path / "d.jsonl")]
    assert found == [(0, 0, 1), (1, 0, 1), (2, 2, 0), (3, 0, 1)]


def test_carried_masks_give_the_detections_of_the_segmented_frame_moved_along(tmp_path):
    flow = np.zeros((6, 8, 2), np.float32)
    flow[..., 0] = -1  # everything has moved one pixel to the right
    carried = Carry(flow, StageTimers())(segmentation_of([car()], index=0))
    record = write_one(tmp_path / "d.jsonl", carried, frame(1))
    (found,) = record["detections"]
    assert (record["frame"], record["segmented_frame"]) == (1, 0)
    assert found["bbox"] == [3, 1, 7, 3] and (found["conf"], found["label"]) == (0.876543, "car")
    assert np.array_equal(png_mask(found, (6, 8)), np.roll(car().mask, 1, axis=1))


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("masks", MASK_FORMATS)
def test_lines_hold_the_detections_of_the_reference(tmp_path, name, masks):
    size = (128, 192)
    output = reference_output(name, size)
    names = ade20k().names
    segmentation = Segmentation(
        output.labels("semantic"), 0, _detections=lambda threshold, mode: output.detections(names, threshold, mode)
    )
    picture = Frame(fixture_image(*size), 0, 0, Fraction(1, 25))
    found = write_one(tmp_path / "d.jsonl", segmentation, picture, masks=masks)["detections"]
    assert len(found) == len(REFERENCE[name])
    for record, (*bbox, class_id, pixels, confidence) in zip(found, REFERENCE[name], strict=True):
        assert (record["bbox"], record["cls_id"], record["label"]) == (bbox, class_id, names[class_id])
        assert record["conf"] == pytest.approx(confidence, abs=1e-4)
        if masks != "none":
            mask = rle_mask(record) if masks == "rle" else png_mask(record, size)
            assert abs(int(mask.sum()) - pixels) <= 2  # float rounding where two queries are nearly equal


_outputs: dict[str, QueryOutput] = {}


def reference_output(name: str, size_hw: tuple[int, int]) -> QueryOutput:
    if name not in _outputs:
        model = create_model(name)
        fill_model(model, name)
        with torch.inference_mode():
            logits = model.forward_queries(fixture_tensor(*size_hw))
        _outputs[name] = QueryOutput.from_logits(logits.class_logits[0], logits.mask_logits[0], size_hw)
    return _outputs[name]


def test_a_card_has_a_line_that_says_what_it_is(tmp_path: Path) -> None:
    sink = DetectionsSink(tmp_path / "a.jsonl", overwrite=False)
    card = frame(1)
    card.placeholder = True
    sink.write(frame(0), segmentation_of([car()]), None)
    sink.write(card, nothing_found(card), None)
    sink.close()
    picture, away = lines(tmp_path / "a.jsonl")
    assert "placeholder" not in picture and len(picture["detections"]) == 1
    assert away["placeholder"] is True and away["detections"] == [] and away["segmented_frame"] == 1


@pytest.mark.parametrize("size_hw", [(6, 8), (3, 5)])
def test_a_frame_whose_masks_must_not_be_seen_has_no_detections(tmp_path: Path, size_hw: tuple[int, int]) -> None:
    other = segmentation_of([car()], index=0)
    hidden = own_masks(frame(1, size_hw), other)
    assert hidden.detections() == [] and hidden.query_masks().masks.shape == (0, *size_hw)
    sink = DetectionsSink(tmp_path / "a.jsonl", overwrite=False)
    sink.write(frame(1, size_hw), hidden, None)
    sink.close()
    assert lines(tmp_path / "a.jsonl")[0]["detections"] == []
