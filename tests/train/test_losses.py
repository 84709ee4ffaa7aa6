"""Every loss against a slow computation in plain Python, and what ties them together."""

import math

import numpy as np
import pytest
import torch

from vidseg.models import QueryLogits, create_model
from vidseg.train.losses import Regions, SetLoss, cell_means, dice_loss, mask_loss, semantic_loss
from vidseg.train.matcher import assign, matching_cost
from vidseg.train.points import random_points, sample_points, uncertain_points


@pytest.fixture
def exact(float64, monkeypatch):
    """Regions too are in float64."""
    plain = Regions.from_labels

    def from_labels(labels, member):
        found = plain(labels, member)
        return Regions(found.values, *(part.double() for part in (found.masks, found.known, found.ground)))

    monkeypatch.setattr(Regions, "from_labels", from_labels)


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


@pytest.mark.usefixtures("exact")
def test_mask_and_dice_loss_are_those_of_a_loop():
    logits, truth = random(4, 11), random(4, 11, seed=1).sigmoid()  # truth between 0 and 1: points on an edge
    bce, dice = slow_mask_and_dice(logits, truth, 3.0)
    assert mask_loss(logits, truth, 3.0).item() == pytest.approx(bce, rel=1e-10)
    assert dice_loss(logits, truth, 3.0).item() == pytest.approx(dice, rel=1e-10)


@pytest.mark.usefixtures("exact")
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
    assert semantic_loss(class_logits, mask_logits, ids, probs).item() == pytest.approx(total / known, rel=1e-10)


@pytest.mark.usefixtures("exact")
def test_queries_that_all_say_no_object_give_the_semantic_loss_of_a_guess():
    ids, probs = torch.zeros(1, 3, 2, 3, dtype=torch.int64), torch.zeros(1, 3, 2, 3)
    ids[:, 0], probs[:, 0] = 2, 1
    right, nothing = torch.zeros(1, 5, 151), torch.zeros(1, 5, 151)
    right[..., 2], nothing[..., -1] = 10, 40
    masks = torch.zeros(1, 5, 2, 3)
    assert semantic_loss(nothing, masks, ids, probs).item() == pytest.approx(math.log(150), rel=1e-9)
    assert semantic_loss(right, masks, ids, probs).item() < 0.01


CLASSES = torch.eye(256, dtype=torch.bool)[:, :4]
SETS = CLASSES.clone()
SETS[4, [0, 1]], SETS[5, [1, 2, 3]] = True, True  # label value 4 means class 0 or 1, value 5 means 1, 2 or 3


def test_regions_are_the_values_of_the_labels_and_unlabelled_pixels_are_in_none():
    labels = torch.tensor([[3, 3, 255], [0, 3, 255]], dtype=torch.uint8)
    regions = Regions.from_labels(labels, CLASSES)
    assert regions.values.tolist() == [0, 3]
    assert regions.masks.tolist() == [[[0, 0, 0], [1, 0, 0]], [[1, 1, 0], [0, 1, 0]]]
    assert regions.known.tolist() == [[[1, 1, 0], [1, 1, 0]]] * 2
    assert regions.ground.tolist() == [[1, 1, 0], [1, 1, 0]]
    assert len(Regions.from_labels(torch.full((2, 2), 255, dtype=torch.uint8), CLASSES).values) == 0


def test_pixels_whose_set_shares_a_class_with_a_region_do_not_count_for_it():
    labels = torch.tensor([[0, 2, 4, 5, 255]], dtype=torch.uint8)
    regions = Regions.from_labels(labels, SETS)
    assert regions.values.tolist() == [0, 2, 4, 5]
    known = dict(zip(regions.values.tolist(), regions.known[:, 0].tolist(), strict=True))
    assert known == {0: [1, 1, 0, 1, 0], 2: [1, 1, 1, 0, 0], 4: [0, 1, 1, 0, 0], 5: [1, 0, 0, 1, 0]}
    assert regions.ground.tolist() == [[1, 1, 1, 1, 0]]


def test_a_value_that_stands_for_most_classes_is_no_region():
    member = torch.eye(256, dtype=torch.bool)[:, :150].clone()
    member[150, 10:] = True
    regions = Regions.from_labels(torch.tensor([[3, 150]], dtype=torch.uint8), member)
    assert regions.values.tolist() == [3]
    assert regions.known.tolist() == [[[1, 1]]] and regions.ground.tolist() == [[1, 0]]


def test_cell_means_are_shares_of_covered_pixels():
    mask = torch.zeros(1, 4, 8)
    mask[0, :2, :3] = 1
    assert cell_means(mask, (1, 2)).tolist() == [[[6 / 16, 0.0]]]


def slow_set_losses(class_logits, mask_logits, labels, member):
    """The three losses with masks compared at every cell; pairs come from the matcher, which has its own test."""
    regions = [Regions.from_labels(one, member).on_cells(mask_logits.shape[-2:]) for one in labels]
    num_masks = sum(len(one.values) for one in regions)
    weighted, weights, bce, dice = 0.0, 0.0, 0.0, 0.0
    for b, one in enumerate(regions):
        logits = mask_logits[b].flatten(1)
        probs = [softmax(row) for row in class_logits[b].tolist()]
        of_regions = [[k for k in range(member.shape[1]) if member[value, k]] for value in one.values.tolist()]
        said = torch.tensor([[sum(row[k] for k in classes) for classes in of_regions] for row in probs])
        cells, known, ground = one.masks.flatten(1), one.known.flatten(1), one.ground.flatten().tolist()
        pairs = dict(zip(*(t.tolist() for t in assign(matching_cost(said, logits, cells, known))), strict=True))
        for q, row in enumerate(logits.tolist()):
            shown = [sigmoid(v) for v in row]
            share = sum(p * g for p, g in zip(shown, ground, strict=True)) / sum(shown)
            weight, prob = (1, said[q, pairs[q]].item()) if q in pairs else (0.1 * share, probs[q][-1])
            weighted, weights = weighted - weight * math.log(prob), weights + weight
        for q, region in pairs.items():
            known_row, wanted = known[region].tolist(), cells[region].tolist()
            shown = [sigmoid(v) for v in logits[q].tolist()]
            terms = zip(shown, wanted, known_row, strict=True)
            one_bce = -sum(t * math.log(p) + (k - t) * math.log(1 - p) for p, t, k in terms)
            bce += one_bce / sum(known_row) / num_masks
            overlap = sum(p * t for p, t in zip(shown, wanted, strict=True))
            area = sum(p * k for p, k in zip(shown, known_row, strict=True))
            dice += (1 - (2 * overlap + 1) / (area + sum(wanted) + 1)) / num_masks
    return 2 * weighted / weights, 5 * bce, 5 * dice


def labels_case():
    labels = torch.zeros(2, 8, 12, dtype=torch.uint8)
    labels[0, :, 6:], labels[0, 4:, :3] = 2, 255
    labels[1, :3], labels[1, 3:5] = 1, 3
    return labels


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("member", [CLASSES, SETS], ids=["classes", "sets"])
def test_set_losses_of_all_layers_are_those_of_a_loop(member):
    labels = labels_case()
    if member is SETS:
        labels[0, :2, 8:], labels[1, 6:] = 4, 5
    layers = [QueryLogits(random(2, 6, 5, seed=s), random(2, 6, 2, 3, seed=s + 10)) for s in range(3)]
    output = QueryLogits(layers[2].class_logits, layers[2].mask_logits, (layers[0], layers[1]))
    losses = SetLoss(4, points=0, member=member)(output, labels, torch.Generator().manual_seed(0))
    assert len(losses) == 9
    for suffix, layer in (("", layers[2]), ("_0", layers[0]), ("_1", layers[1])):
        expected = slow_set_losses(layer.class_logits, layer.mask_logits, labels, member)
        found = [losses[f"loss_{kind}{suffix}"].item() for kind in ("ce", "mask", "dice")]
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.usefixtures("exact")
def test_set_losses_at_sampled_points_are_those_of_a_loop_over_the_same_points():
    labels = labels_case()
    labels[labels == 255] = 1
    class_logits, mask_logits = random(2, 6, 5), random(2, 6, 2, 3, seed=4)
    found = SetLoss(4, points=40)(QueryLogits(class_logits, mask_logits), labels, torch.Generator().manual_seed(9))

    generator = torch.Generator().manual_seed(9)  # the same draws again, in the same order
    logits, truth = [], []
    regions = [Regions.from_labels(one, CLASSES) for one in labels]
    for b, one in enumerate(regions):
        places = random_points(1, 40, generator)
        seen, wanted, known = (
            sample_points(maps, places.expand(len(maps), -1, -1)) for maps in (mask_logits[b], one.masks, one.known)
        )
        queries, numbers = assign(matching_cost(class_logits[b].softmax(dim=-1)[:, one.values], seen, wanted, known))
        logits.append(mask_logits[b][queries])
        truth.append(one.masks[numbers])
    logits, truth = torch.cat(logits), torch.cat(truth)
    places = uncertain_points(logits, 40, generator, oversample=3.0, importance=0.75)
    known = sample_points(torch.ones_like(truth), places)  # less than 1 within half a pixel of the edge
    logits, truth = sample_points(logits, places), sample_points(truth, places)
    count = float(len(logits))
    assert found["loss_mask"].item() == pytest.approx(5 * mask_loss(logits, truth, count, known).item(), rel=1e-10)
    assert found["loss_dice"].item() == pytest.approx(5 * dice_loss(logits, truth, count, known).item(), rel=1e-10)


@pytest.mark.parametrize("points", [0, 50])
def test_a_batch_without_any_label_teaches_nothing(points):
    labels = torch.full((2, 8, 8), 255, dtype=torch.uint8)
    class_logits, mask_logits = random(2, 6, 5).requires_grad_(), random(2, 6, 2, 2).requires_grad_()
    losses = SetLoss(4, points=points)(QueryLogits(class_logits, mask_logits), labels, torch.Generator().manual_seed(0))
    assert all(loss.item() == 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert not class_logits.grad.any() and not mask_logits.grad.any()


def test_beside_one_labelled_person_the_unknown_teaches_no_mask():
    labels = torch.full((1, 8, 12), 255, dtype=torch.uint8)
    labels[:, :, :4] = 3
    class_logits, mask_logits = random(1, 6, 5), random(1, 6, 2, 3).requires_grad_()
    losses = SetLoss(4, points=0)(QueryLogits(class_logits, mask_logits), labels, torch.Generator().manual_seed(0))
    sum(losses.values()).backward()
    assert mask_logits.grad[0, :, :, 0].any() and not mask_logits.grad[0, :, :, 1:].any()


def test_a_query_that_lies_on_unknown_ground_is_not_taught_no_object():
    labels = torch.full((1, 8, 12), 255, dtype=torch.uint8)
    labels[:, :, :4] = 3
    class_logits, mask_logits = torch.zeros(1, 3, 5), torch.full((1, 3, 2, 3), -20.0)
    class_logits[:, 0, 3] = 5
    mask_logits[0, 0, :, 0] = mask_logits[0, 1, :, 0] = mask_logits[0, 2, :, 2] = 20  # found; doubled; elsewhere
    class_logits.requires_grad_()
    losses = SetLoss(4, points=0)(QueryLogits(class_logits, mask_logits), labels, torch.Generator().manual_seed(0))
    losses["loss_ce"].backward()
    towards_nothing = -class_logits.grad[0, :, -1]
    assert towards_nothing[1] > 0.01 and towards_nothing[2] < 1e-6


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("seed", range(3))
def test_the_semantic_loss_of_a_set_is_that_of_its_classes_together(seed):
    class_logits, mask_logits = random(1, 5, 5, seed=seed), random(1, 5, 1, 2, seed=seed + 1)
    ids = torch.tensor([[[[4, 2]], [[3, 0]]]])
    probs = torch.tensor([[[[0.7, 1.0]], [[0.3, 0.0]]]])
    classes = class_logits.softmax(dim=-1)[0, :, :-1]
    scores = torch.einsum("qk,qw->kw", classes, mask_logits.sigmoid()[0, :, 0]) + 1e-6
    shares = scores / scores.sum(dim=0)
    expected = -(0.7 * shares[[0, 1], 0].sum().log() + 0.3 * shares[3, 0].log() + shares[2, 1].log()).item() / 2
    found = semantic_loss(class_logits, mask_logits, ids, probs, SETS).item()
    assert found == pytest.approx(expected, rel=1e-10)


def test_every_parameter_of_the_network_gets_a_gradient():
    model = create_model("fai-m2f-n-ade", num_classes=4).train()
    output = model.forward_queries(255 * torch.rand(2, 3, 64, 96), aux=True)
    labels = torch.zeros(2, 64, 96, dtype=torch.uint8)
    labels[:, 30:] = 2
    ids, probs = torch.zeros(2, 3, 16, 24, dtype=torch.int64), torch.zeros(2, 3, 16, 24)
    probs[:, 0] = 1
    loss = SetLoss(4, points=100, semantic_weight=4.0)
    losses = loss(output, labels, torch.Generator().manual_seed(0), (ids, probs))
    sum(losses.values()).backward()
    assert "loss_semantic" in losses
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
