"""How well label maps agree with the truth: confusion counts, and the scores computed from them.

Definitions: Mask2Former's evaluator (detectron2 `SemSegEvaluator`): means run over the classes that occur in the truth,
and a pixel without truth does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidseg.frames import BoolArray, UInt8Array

Counts = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]


def label_counts(truth: UInt8Array, predicted: UInt8Array, num_classes: int) -> Counts:
    """(256, K+1) pixels by label value (row) and predicted class (column); the last column is any other prediction.

    Args:
        truth: label values: class ids, numbers from K on for sets of classes, 255 for unknown.
        predicted: class ids, of the same shape.
    """
    assert truth.shape == predicted.shape, (truth.shape, predicted.shape)
    width = num_classes + 1
    pairs = truth.astype(np.int64) * width + np.minimum(predicted, num_classes)
    return np.bincount(pairs.ravel(), minlength=256 * width).reshape(256, width)


def confusion_matrix(counts: Counts, member: BoolArray) -> Counts:
    """(K+1, K+1) pixels by true class (row) and predicted class (column); the last column is any other prediction.

    A pixel that may be one of several classes counts as a hit of the class it was taken for, if it is one of them; if
    not, it is a false alarm of that class and nobody's miss, which the last row counts. Unknown pixels are left out.

    Args:
        counts: (256, K+1) as `label_counts` gives them.
        member: (256, K) the classes that each label value allows, class ids themselves among them.
    """
    num_classes = member.shape[1]
    confusion = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    confusion[:num_classes] = counts[:num_classes]
    of_sets = counts[num_classes:] * member[num_classes:].any(axis=1, keepdims=True)
    right = (of_sets[:, :-1] * member[num_classes:]).sum(axis=0)
    confusion[range(num_classes), range(num_classes)] += right
    confusion[-1] = of_sets.sum(axis=0)
    confusion[-1, :-1] -= right
    return confusion


def group_iou(counts: Counts, member: BoolArray, group: Sequence[int]) -> tuple[float, int]:
    """IoU of several classes taken as one, NaN where nothing is to be found or was; and its true pixels.

    Labels whose classes all lie in the group count as the group; those of which only some do are left out.

    Args:
        counts, member: as for `confusion_matrix`.
        group: class ids.
    """
    inside = member[:, list(group)].any(axis=1)
    others = np.delete(member, list(group), axis=1).any(axis=1)
    said = counts[:, list(group)].sum(axis=1)
    true = int(counts[inside & ~others].sum())
    hits = int(said[inside & ~others].sum())
    either = true + int(said[others & ~inside].sum())
    return (hits / either if either else float("nan")), true


@dataclass(frozen=True, eq=False)
class Scores:
    """Ratios in 0..1 out of a confusion matrix; NaN where there is nothing to divide by."""

    iou: Ratios
    """(K,) per class: hits / (truth + predicted - hits); NaN for a class that the truth lacks."""
    accuracy: Ratios
    """(K,) per class: hits / truth; NaN for a class that the truth lacks."""
    truth_share: Ratios
    """(K,) of the counted pixels."""
    mean_iou: float
    mean_accuracy: float
    pixel_accuracy: float
    frequency_weighted_iou: float
    pixels: int
    """How many were counted."""


def scores(confusion: Counts, classes: Sequence[int] | None = None) -> Scores:
    """What a confusion matrix (K+1, K+1) says.

    Args:
        classes: count the truth of these only; what other true pixels are taken for still lowers their IoU.
    """
    num_classes = confusion.shape[0] - 1
    chosen = np.zeros(num_classes, dtype=bool)
    chosen[list(range(num_classes)) if classes is None else list(classes)] = True
    hits = np.diagonal(confusion)[:num_classes].astype(np.float64)
    truth = confusion.sum(axis=1)[:num_classes].astype(np.float64)
    predicted = confusion.sum(axis=0)[:num_classes].astype(np.float64)
    present = chosen & (truth > 0)
    nothing = np.full(num_classes, np.nan)
    iou = np.divide(hits, truth + predicted - hits, out=nothing.copy(), where=present)
    accuracy = np.divide(hits, truth, out=nothing.copy(), where=present)
    pixels = truth[present].sum()
    if classes is None:
        pixels += confusion[num_classes].sum()  # one of several classes, and none of them was found
    if pixels == 0:
        nan = float("nan")
        return Scores(iou, accuracy, np.zeros(num_classes), nan, nan, nan, nan, 0)
    share = np.where(present, truth / pixels, 0.0)
    return Scores(
        iou,
        accuracy,
        share,
        mean_iou=float(iou[present].mean()),
        mean_accuracy=float(accuracy[present].mean()),
        pixel_accuracy=float(hits[present].sum() / pixels),
        frequency_weighted_iou=float((share[present] * iou[present]).sum()),
        pixels=int(pixels),
    )
