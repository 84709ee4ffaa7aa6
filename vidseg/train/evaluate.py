"""A segmenter measured on labelled pictures, exactly as it labels frames of a run."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from vidseg.data.folder import FolderDataset
from vidseg.data.mapping import ClassMapping
from vidseg.frames import Frame
from vidseg.interfaces import Segmenter
from vidseg.metrics import Counts, confusion_matrix


def evaluate(
    segmenter: Segmenter,
    dataset: FolderDataset,
    *,
    num_classes: int,
    mapping: ClassMapping | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Counts:
    """(K, K+1) confusion counts over all pictures, as `vidseg.metrics.confusion_matrix` gives them.

    Args:
        num_classes: of the model.
        mapping: compare these coarser classes instead; K is then their number.
        progress: called with (pictures so far, pictures in all).
    Raises:
        ConfigError: a picture cannot be read or its labels do not fit.
    """
    count = num_classes if mapping is None else len(mapping.names)
    total = np.zeros((count, count + 1), dtype=np.int64)
    for number in range(len(dataset)):
        item = dataset[number]
        frame = Frame(item.image, index=number, pts=number, time_base=Fraction(1), name=item.name)
        (found,) = segmenter.segment([frame])
        truth, predicted = item.labels, found.label_map
        if mapping is not None:
            truth, predicted = mapping.apply(truth), mapping.apply(predicted)
        total += confusion_matrix(truth, predicted, count)
        progress(number + 1, len(dataset))
    return total
