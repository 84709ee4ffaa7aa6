"""The rules against a slow computation with full-size masks and plain loops."""

import math

import numpy as np
import pytest
import torch

from tests.rounding import assert_rounds_alike
from vidseg.confidence import IDENTITY
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL
from vidseg.segmentation.postprocess import QueryOutput, labels_of, sure_labels_of
from vidseg.segmentation.upsampled_argmax import Sureness

NAMES = tuple(f"class {i}" for i in range(9))
SIZE = (45, 70)


@pytest.fixture(params=range(4))
def output(request) -> QueryOutput:
    rng = torch.Generator().manual_seed(request.param)
    class_logits = 4 * torch.randn(12, 10, generator=rng)
    mask_logits = torch.nn.functional.interpolate(4 * torch.randn(1, 12, 4, 5, generator=rng), size=(12, 18))[0]
    mask_logits += 0.5 * torch.randn(12, 12, 18, generator=rng)
    return QueryOutput.from_logits(class_logits, mask_logits, SIZE)


def full_masks(output: QueryOutput) -> torch.Tensor:
    return torch.nn.functional.interpolate(output.mask_probs[None], size=SIZE, mode="bilinear")[0]


def test_probabilities_leave_no_object_out():
    logits = 4 * torch.randn(12, 10, generator=torch.Generator().manual_seed(1))
    found = QueryOutput.from_logits(logits, torch.zeros(12, 12, 18), SIZE).class_probs
    plain, exact = (each.softmax(dim=-1)[:, :-1] for each in (logits, logits.double()))
    assert found.shape == (12, 9) and (exact.sum(dim=1) < 1).all()
    assert_rounds_alike(found, plain, exact)


def test_semantic_labels_are_the_argmax_of_full_size_class_scores(output):
    scores = torch.einsum("qk,qhw->khw", output.class_probs.double(), full_masks(output).double())
    top = scores.topk(2, dim=0)
    sure = (top.values[0] - top.values[1] > 1e-5).numpy()
    assert (output.labels("semantic") == top.indices[0].numpy())[sure].all() and sure.mean() > 0.99


def test_winner_query_labels_are_the_class_of_the_best_query(output):
    scores, class_ids = output.class_probs.max(dim=1)
    owner = (scores[:, None, None].double() * full_masks(output).double()).topk(2, dim=0)
    sure = (owner.values[0] - owner.values[1] > 1e-5).numpy()
    expected = class_ids[owner.indices[0]].numpy()
    assert (output.labels("winner-query") == expected)[sure].all() and sure.mean() > 0.99


@pytest.mark.parametrize("rule", ["semantic", "winner-query"])
@pytest.mark.parametrize("broken", ["class_probs", "mask_probs"])
def test_a_query_that_is_no_number_wins_nowhere(output, rule, broken):
    expected = {name: getattr(output, name).clone() for name in ("class_probs", "mask_probs")}
    expected[broken][3] = 0
    getattr(output, broken)[3] = math.nan  # half precision overflows
    assert np.array_equal(output.labels(rule), QueryOutput(**expected, size_hw=SIZE).labels(rule))


@pytest.mark.parametrize("rule", ["semantic", "winner-query"])
def test_confidence_is_the_winners_share(output, rule):
    sureness = Sureness(output.total(rule), table=IDENTITY.table)
    labels, levels = sure_labels_of(*output.competing(rule), SIZE, sureness)
    maps = full_masks(output)
    if rule == "semantic":
        maps = torch.einsum("qk,qhw->khw", output.class_probs, maps)
    else:
        maps = output.class_probs.max(dim=1).values[:, None, None] * maps
    share = (maps.max(dim=0).values / maps.sum(dim=0)).numpy()
    assert np.abs(levels - 255 * share).max() < 0.51 and (labels == output.labels(rule)).all()
    least = float(np.median(share))
    sure, none = sure_labels_of(*output.competing(rule), SIZE, Sureness(output.total(rule), least=least))
    far = np.abs(share - least) > 1e-5
    assert none is None and (sure == np.where(share < least, NO_LABEL, labels))[far].all() and far.mean() > 0.99


def slow_scores(output: QueryOutput, mode: str) -> np.ndarray:
    """Class score times the mean of the mask where it counts, in loops."""
    probs, masks = output.class_probs.double().numpy(), output.mask_probs.double().numpy()
    best = probs.max(axis=1)
    sums, cells = np.zeros(len(best)), np.zeros(len(best))
    for y in range(masks.shape[1]):
        for x in range(masks.shape[2]):
            column = masks[:, y, x]
            inside = [int((best * column).argmax())] if mode == "all_pixels" else np.flatnonzero(column >= 0.5)
            for query in inside:
                sums[query] += column[query]
                cells[query] += 1
    return best * sums * 1e-3 / (cells * 1e-3 + 1e-5)


@pytest.mark.parametrize("mask_score", [False, True])
def test_winner_query_leaves_what_scores_no_more_than_asked_without_a_label(output, mask_score):
    best, class_ids = output.best_class()
    scores = slow_scores(output, "all_pixels") if mask_score else best.numpy()
    least = float(np.median(scores)) + 1e-4
    owner = (best[:, None, None].double() * full_masks(output).double()).topk(2, dim=0)
    sure = (owner.values[0] - owner.values[1] > 1e-5).numpy()
    winner = owner.indices[0].numpy()
    expected = np.where(scores[winner] > least, class_ids.numpy()[winner], NO_LABEL)
    found = labels_of(*output.competing("winner-query", least, mask_score=mask_score), SIZE)
    assert (found == expected)[sure].all() and sure.mean() > 0.99
    assert NO_LABEL in found and (found != NO_LABEL).any()


@pytest.mark.parametrize("mode", ["all_pixels", "per_mask"])
def test_mask_scores_multiply_the_confidence_of_detections(output, mode):
    scores = slow_scores(output, mode)
    least = float(np.median(scores)) + 1e-4
    best = output.best_class()[0].tolist()
    plain = output.detections(NAMES, 0.0, mode)
    expected = [(each.bbox, score) for each in plain if (score := scores[best.index(each.conf)]) > least]
    found = output.detections(NAMES, least, mode, mask_score=True)
    assert found and [each.bbox for each in found] == [box for box, _ in expected]
    assert [each.conf for each in found] == pytest.approx([score for _, score in expected], abs=1e-5)


def test_unknown_rule_and_mode_are_refused(output):
    with pytest.raises(ValueError, match="unknown label rule 'best'; known: semantic, winner-query"):
        output.labels("best")
    with pytest.raises(ConfigError, match="unknown mode 'boxes'; known: all_pixels, per_mask"):
        output.detections(NAMES, 0.5, "boxes")


def slow_detections(output: QueryOutput, threshold: float, mode: str):
    probs, masks, found = output.class_probs.numpy(), full_masks(output).numpy(), []
    scores, ids = probs.max(axis=1), probs.argmax(axis=1)
    owner = (scores[:, None, None] * masks).argmax(axis=0)
    for q in range(len(scores)):
        mask = owner == q if mode == "all_pixels" else masks[q] >= 0.5
        ys, xs = np.nonzero(mask)
        if scores[q] > threshold and len(ys) > 1:
            found.append(((xs.min(), ys.min(), xs.max(), ys.max()), scores[q], ids[q], mask))
    return found


@pytest.mark.parametrize("mode", ["all_pixels", "per_mask"])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.8])
def test_detections_follow_the_reference_rules(output, mode, threshold):
    found, expected = output.detections(NAMES, threshold, mode), slow_detections(output, threshold, mode)
    assert len(found) == len(expected) > 0
    for detection, (bbox, conf, class_id, mask) in zip(found, expected, strict=True):
        assert (detection.mask != mask).sum() <= 2  # float rounding at the edge of a mask
        assert np.abs(np.subtract(detection.bbox, bbox)).max() <= 1
        assert detection.conf == pytest.approx(conf, abs=1e-6)
        assert (detection.cls_id, detection.label) == (class_id, NAMES[class_id])


def test_all_pixel_masks_never_overlap(output):
    total = sum(d.mask.astype(int) for d in output.detections(NAMES, 0.0, "all_pixels"))
    assert total.max() == 1


def test_a_mask_of_one_pixel_is_no_detection_but_one_row_of_pixels_is():
    masks = torch.zeros(2, 8, 8)
    masks[0, 3, 3] = 1
    masks[1, 5, 2:5] = 1
    output = QueryOutput(torch.tensor([[0.9], [0.8]]), masks, (8, 8))
    found = output.detections(("thing",), 0.5, "per_mask")
    assert [d.bbox for d in found] == [(2, 5, 4, 5)]


def test_query_masks_are_full_size_and_in_query_order(output):
    queries = output.query_masks()
    assert queries.masks.shape == (12, *SIZE) and queries.class_ids.dtype == np.int64
    assert np.allclose(queries.masks, full_masks(output).numpy())
    assert np.allclose(queries.scores, output.class_probs.max(dim=1).values)
