"""How well label maps agree with the truth: confusion counts, and what is usually read off them.

Definitions: Mask2Former's evaluator (detectron2 `SemSegEvaluator`): means run over the classes that occur in the truth,
and a pixel without truth does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidseg.frames import UInt8Array

Counts = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]


def confusion_matrix(truth: UInt8Array, predicted: UInt8Array, num_classes: int) -> Counts:
    """(K, K+1) pixels by true class (row) and predicted class (column); the last column is any other prediction.

    Args:
        truth: class ids; K and above means no truth, and the pixel is left out.
        predicted: class ids, of the same shape; K and above is a prediction that no class of the truth matches.
    """
    assert truth.shape == predicted.shape, (truth.shape, predicted.shape)
    known = truth < num_classes
    rows = truth[known].astype(np.int64)
    columns = np.minimum(predicted[known], num_classes).astype(np.int64)
    width = num_classes + 1
    return np.bincount(rows * width + columns, minlength=num_classes * width).reshape(num_classes, width)


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
    """What a confusion matrix (K, K+1) says.

    Args:
        classes: count the truth of these only; what other true pixels are taken for still lowers their IoU.
    """
    num_classes = confusion.shape[0]
    chosen = np.zeros(num_classes, dtype=bool)
    chosen[list(range(num_classes)) if classes is None else list(classes)] = True
    hits = np.diagonal(confusion).astype(np.float64)
    truth = confusion.sum(axis=1).astype(np.float64)
    predicted = confusion.sum(axis=0)[:num_classes].astype(np.float64)
    present = chosen & (truth > 0)
    nothing = np.full(num_classes, np.nan)
    iou = np.divide(hits, truth + predicted - hits, out=nothing.copy(), where=present)
    accuracy = np.divide(hits, truth, out=nothing.copy(), where=present)
    pixels = truth[present].sum()
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
