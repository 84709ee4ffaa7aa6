"""Every loss against a slow computation in plain Python, and what ties them together."""

import math

import numpy as np
import pytest
import torch

from vidseg.models import QueryLogits, create_model
from vidseg.train.losses import Regions, SetLoss, cell_means, dice_loss, mask_loss, semantic_loss
from vidseg.train.matcher import assign, matching_cost
from vidseg.train.points import random_points, sample_points, uncertain_points


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def softmax(values):
    exps = [math.exp(v - max(values)) for v in values]
    return [e / sum(exps) for e in exps]


def random(*shape, seed=0, scale=2.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_mask_and_dice(logits, truth, num_masks):
    bce, dice = 0.0, 0.0
    for row, wanted in zip(logits.tolist(), truth.tolist(), strict=True):
        probs = [sigmoid(v) for v in row]
        bce -= sum(t * math.log(p) + (1 - t) * math.log(1 - p) for p, t in zip(probs, wanted, strict=True)) / len(row)
        overlap = sum(p * t for p, t in zip(probs, wanted, strict=True))
        dice += 1 - (2 * overlap + 1) / (sum(probs) + sum(wanted) + 1)
    return bce / num_masks, dice / num_masks


def test_mask_and_dice_loss_are_those_of_a_loop():
    logits, truth = random(4, 11), random(4, 11, seed=1).sigmoid()  # truth between 0 and 1: points on an edge
    bce, dice = slow_mask_and_dice(logits, truth, 3.0)
    assert mask_loss(logits, truth, 3.0).item() == pytest.approx(bce, rel=1e-5)
    assert dice_loss(logits, truth, 3.0).item() == pytest.approx(dice, rel=1e-5)


@pytest.mark.parametrize("no_object", [0.0, 12.0])  # with 12 the floor counts as much as the scores
def test_semantic_loss_is_that_of_a_loop_and_skips_cells_without_truth(no_object):
    class_logits, mask_logits = random(2, 5, 4), random(2, 5, 2, 3, seed=1)
    class_logits[..., -1] += no_object
    ids = torch.randint(0, 3, (2, 3, 2, 3), generator=torch.Generator().manual_seed(2))
    probs = random(2, 3, 2, 3, seed=3).sigmoid() / 3
    probs[0, :, 1, 2] = 0
    total, known = 0.0, 0
    for b in range(2):
        for y in range(2):
            for x in range(3):
                scores = [1e-6, 1e-6, 1e-6]
                for q in range(5):
                    for k, p in enumerate(softmax(class_logits[b, q].tolist())[:-1]):
                        scores[k] += p * sigmoid(mask_logits[b, q, y, x].item())
                known += bool(probs[b, :, y, x].sum() > 0)
                for n in range(3):
                    share = scores[ids[b, n, y, x]] / sum(scores)
                    total -= probs[b, n, y, x].item() * math.log(share)
    assert known == 11
    assert semantic_loss(class_logits, mask_logits, ids, probs).item() == pytest.approx(total / known, rel=1e-5)


def test_queries_that_all_say_no_object_give_the_semantic_loss_of_a_guess():
    ids, probs = torch.zeros(1, 3, 2, 3, dtype=torch.int64), torch.zeros(1, 3, 2, 3)
    ids[:, 0], probs[:, 0] = 2, 1
    right, nothing = torch.zeros(1, 5, 151), torch.zeros(1, 5, 151)
    right[..., 2], nothing[..., -1] = 10, 40
    masks = torch.zeros(1, 5, 2, 3)
    assert semantic_loss(nothing, masks, ids, probs).item() == pytest.approx(math.log(150), rel=1e-4)
    assert semantic_loss(right, masks, ids, probs).item() < 0.01


def test_regions_are_the_classes_of_the_labels_and_unlabelled_pixels_are_in_none():
    labels = torch.tensor([[3, 3, 255], [0, 3, 255]], dtype=torch.uint8)
    regions = Regions.from_labels(labels)
    assert regions.classes.tolist() == [0, 3]
    assert regions.masks.tolist() == [[[0, 0, 0], [1, 0, 0]], [[1, 1, 0], [0, 1, 0]]]
    assert len(Regions.from_labels(torch.full((2, 2), 255, dtype=torch.uint8)).classes) == 0


def test_cell_means_are_shares_of_covered_pixels():
    mask = torch.zeros(1, 4, 8)
    mask[0, :2, :3] = 1
    assert cell_means(mask, (1, 2)).tolist() == [[[6 / 16, 0.0]]]


def slow_set_losses(class_logits, mask_logits, regions, class_weights):
    """The three losses with masks compared at every cell; pairs come from the matcher, which has its own test."""
    num_masks = sum(len(one.classes) for one in regions)
    weighted, weights, bce, dice = 0.0, 0.0, 0.0, 0.0
    for b, one in enumerate(regions):
        cells = cell_means(one.masks, mask_logits.shape[-2:]).flatten(1)
        logits = mask_logits[b].flatten(1)
        pairs = dict(
            zip(*(t.tolist() for t in assign(matching_cost(class_logits[b], logits, one.classes, cells))), strict=True)
        )
        for q in range(class_logits.shape[1]):
            wanted = int(one.classes[pairs[q]]) if q in pairs else class_logits.shape[2] - 1
            weighted -= class_weights[wanted] * math.log(softmax(class_logits[b, q].tolist())[wanted])
            weights += class_weights[wanted]
        for q, region in pairs.items():
            one_bce, one_dice = slow_mask_and_dice(logits[q : q + 1], cells[region : region + 1], num_masks)
            bce, dice = bce + one_bce, dice + one_dice
    return 2 * weighted / weights, 5 * bce, 5 * dice


def labels_case():
    labels = torch.zeros(2, 8, 12, dtype=torch.uint8)
    labels[0, :, 6:], labels[0, 4:, :3] = 2, 255
    labels[1, :3], labels[1, 3:5] = 1, 3
    return [Regions.from_labels(one) for one in labels]


def test_set_losses_of_all_layers_are_those_of_a_loop():
    regions = labels_case()
    layers = [QueryLogits(random(2, 6, 5, seed=s), random(2, 6, 2, 3, seed=s + 10)) for s in range(3)]
    output = QueryLogits(layers[2].class_logits, layers[2].mask_logits, (layers[0], layers[1]))
    losses = SetLoss(4, points=0)(output, regions, torch.Generator().manual_seed(0))
    assert len(losses) == 9
    for suffix, layer in (("", layers[2]), ("_0", layers[0]), ("_1", layers[1])):
        expected = slow_set_losses(layer.class_logits, layer.mask_logits, regions, [1, 1, 1, 1, 0.1])
        found = [losses[f"loss_{kind}{suffix}"].item() for kind in ("ce", "mask", "dice")]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_set_losses_at_sampled_points_are_those_of_a_loop_over_the_same_points():
    regions = labels_case()
    class_logits, mask_logits = random(2, 6, 5), random(2, 6, 2, 3, seed=4)
    found = SetLoss(4, points=40)(QueryLogits(class_logits, mask_logits), regions, torch.Generator().manual_seed(9))

    generator = torch.Generator().manual_seed(9)  # the same draws again, in the same order
    logits, truth = [], []
    for b, one in enumerate(regions):
        places = random_points(1, 40, generator)
        seen = sample_points(mask_logits[b], places.expand(6, -1, -1))
        cost = matching_cost(
            class_logits[b], seen, one.classes, sample_points(one.masks, places.expand(len(one.classes), -1, -1))
        )
        queries, numbers = assign(cost)
        logits.append(mask_logits[b][queries])
        truth.append(one.masks[numbers])
    logits, truth = torch.cat(logits), torch.cat(truth)
    places = uncertain_points(logits, 40, generator, oversample=3.0, importance=0.75)
    bce, dice = slow_mask_and_dice(sample_points(logits, places), sample_points(truth, places), 5.0)
    assert found["loss_mask"].item() == pytest.approx(5 * bce, rel=1e-4)
    assert found["loss_dice"].item() == pytest.approx(5 * dice, rel=1e-4)


@pytest.mark.parametrize("points", [0, 50])
def test_a_batch_without_any_label_has_a_finite_loss_with_a_gradient(points):
    regions = [Regions.from_labels(torch.full((8, 8), 255, dtype=torch.uint8))] * 2
    class_logits, mask_logits = random(2, 6, 5).requires_grad_(), random(2, 6, 2, 2).requires_grad_()
    losses = SetLoss(4, points=points)(
        QueryLogits(class_logits, mask_logits), regions, torch.Generator().manual_seed(0)
    )
    assert losses["loss_mask"].item() == losses["loss_dice"].item() == 0 and losses["loss_ce"].item() > 0
    sum(losses.values()).backward()
    assert torch.isfinite(class_logits.grad).all() and class_logits.grad.abs().sum() > 0


def test_every_parameter_of_the_network_gets_a_gradient():
    model = create_model("fai-m2f-n-ade", num_classes=4).train()
    output = model.forward_queries(255 * torch.rand(2, 3, 64, 96), aux=True)
    labels = torch.zeros(2, 64, 96, dtype=torch.uint8)
    labels[:, 30:] = 2
    ids, probs = torch.zeros(2, 3, 16, 24, dtype=torch.int64), torch.zeros(2, 3, 16, 24)
    probs[:, 0] = 1
    loss = SetLoss(4, points=100, semantic_weight=4.0)
    losses = loss(output, [Regions.from_labels(one) for one in labels], torch.Generator().manual_seed(0), (ids, probs))
    sum(losses.values()).backward()
    assert "loss_semantic" in losses
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
