"""How confident a segmenter must be of a label, and whether it reports confidence."""

from __future__ import annotations

from torch import Tensor

from vidseg.confidence import IDENTITY, Calibration
from vidseg.segmentation.upsampled_argmax import Sureness


class Doubt:
    """Labels below the confidence `minimum`, 0..1, are removed; with `keep`, the confidence is returned."""

    def __init__(self, calibration: Calibration = IDENTITY, *, minimum: float = 0.0, keep: bool = False) -> None:
        self._least = calibration.least_share(minimum) if minimum > 0 else 0.0
        self._table = calibration.table if keep else None

    @property
    def asked(self) -> bool:
        """False where labels are all that is wanted."""
        return self._table is not None or self._least > 0

    def of(self, total: Tensor, values: Tensor | None = None) -> Sureness:
        """What decides for a frame with these scores, see `Sureness`."""
        return Sureness(total, values, self._least, self._table)
