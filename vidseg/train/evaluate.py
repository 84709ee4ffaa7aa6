"""A segmenter measured on labelled pictures, exactly as it labels frames of a run."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from vidseg.data.folder import FolderDataset
from vidseg.data.label_sets import membership
from vidseg.data.mapping import ClassMapping
from vidseg.frames import Frame
from vidseg.interfaces import FrameSegmenter
from vidseg.metrics import Counts, confusion_matrix, label_counts


def evaluate(
    segmenter: FrameSegmenter,
    dataset: FolderDataset,
    *,
    num_classes: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Counts:
    """(256, K+1) pixels of all pictures by label value and predicted class, as `vidseg.metrics.label_counts` says.

    Args:
        num_classes: K, of the model.
        progress: called with (pictures so far, pictures in all).
    Raises:
        ConfigError: a picture cannot be read or its labels do not fit.
    """
    total = np.zeros((256, num_classes + 1), dtype=np.int64)
    for number in range(len(dataset)):
        item = dataset[number]
        frame = Frame(item.image, index=number, pts=number, time_base=Fraction(1), name=item.name)
        (found,) = segmenter.segment([frame])
        total += label_counts(item.labels, found.label_map, num_classes)
        progress(number + 1, len(dataset))
    return total


def confusion(counts: Counts, dataset: FolderDataset, mapping: ClassMapping | None = None) -> Counts:
    """(K+1, K+1) confusion counts, see `vidseg.metrics.confusion_matrix`; with a mapping K is its number of classes."""
    sets = dataset.label_sets.sets
    if mapping is not None:
        counts, sets = mapping.counts(counts, sets)
    return confusion_matrix(counts, membership(counts.shape[1] - 1, sets))
