"""The lists of detections of the reference implementation, reproduced.

`reference_detections.json` holds rows of [x_min, y_min, x_max, y_max, class, pixels of the mask, confidence] that the
reference (github.com/FocoosAI/focoos 0.25.0) computed for the s model with parameters filled by `fixture_rule`, score
threshold 0.5, in query order.
"""

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from tests.models.fixture_rule import fill_model, fixture_tensor
from vidseg.labels import ade20k
from vidseg.models import create_model
from vidseg.segmentation.postprocess import QueryOutput

REFERENCE = json.loads((Path(__file__).parent / "reference_detections.json").read_text())


@cache
def output(height: int, width: int) -> QueryOutput:
    model = create_model("fai-m2f-s-ade")
    fill_model(model, "fai-m2f-s-ade")
    with torch.inference_mode():
        logits = model.forward_queries(fixture_tensor(height, width))
    return QueryOutput.from_logits(logits.class_logits[0], logits.mask_logits[0], (height, width))


@pytest.mark.parametrize("case", REFERENCE)
def test_detections_are_those_of_the_reference(case):
    size, mode = case.split("/")
    found = output(*map(int, size.split("x"))).detections(ade20k().names, 0.5, mode)
    assert len(found) == len(REFERENCE[case])
    for detection, (*bbox, class_id, pixels, confidence) in zip(found, REFERENCE[case], strict=True):
        assert (list(detection.bbox), detection.cls_id) == (bbox, class_id)
        assert detection.conf == pytest.approx(confidence, abs=1e-4)
        # a few pixels lie within float rounding of the 0.5 that decides them
        assert abs(int(detection.mask.sum()) - pixels) <= 2
