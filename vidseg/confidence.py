"""The confidence of a network: from the winner's share of its scores to a calibrated value.

A share of .7 does not mean that seven of ten such pixels are right; a `Calibration`, measured on labelled pictures and
kept with the weights, says how many are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vidseg.frames import UInt8Array

METADATA_KEY = "confidence"
"""Of a calibration in the metadata of a weights file."""
_LEVELS = 255
"""Confidences are kept as bytes: 255 times as much, rounded down."""
STEPS = 255
"""Shares are rounded to bytes, too, and looked up in a table: 1 ms a picture of 1280x720 less than finer steps take."""
_ROUNDING = 1e-4
"""Of a level: a confidence that is a level but for the last bits is that level."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rising curve of straight lines from the winner's share of the scores, 0..1, to the share that is right, 0..1.

    `knots` are (share, confidence): shares rise from 0 to 1, confidences never fall.

    Raises:
        ValueError: the knots are not like that.
    """

    knots: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))

    def __post_init__(self) -> None:
        shares, confidences = zip(*self.knots, strict=True) if self.knots else ((), ())
        good = all(math.isfinite(v) and 0 <= v <= 1 for v in (*shares, *confidences))
        if not good or len(shares) < 2 or (shares[0], shares[-1]) != (0, 1):
            raise ValueError("needs pairs of share and confidence, both 0 to 1, for shares from 0 to 1")
        if any(b <= a for a, b in pairwise(shares)):
            raise ValueError("shares must rise from pair to pair")
        if any(b < a for a, b in pairwise(confidences)):
            raise ValueError("confidences must not fall from pair to pair")

    @property
    def table(self) -> UInt8Array:
        """(STEPS + 1,) the level, 255 times the confidence, of the shares 0, 1/STEPS, ... 1."""
        shares, confidences = np.array(self.knots).T
        return _floored(np.interp(np.arange(STEPS + 1) / STEPS, shares, confidences))

    def least_share(self, confidence: float) -> float:
        """The smallest share that counts as at least this confidence; infinity where no share does.

        The step of the table that a share is rounded to decides, so that labels left out by it are those that are left
        out by the level that is kept.
        """
        first = int(np.searchsorted(self.table, least_level(confidence)))
        return math.inf if first > STEPS else max(0.0, (first - 0.5) / STEPS)

    def as_lists(self) -> list[list[float]]:
        """Plain values, as `parse` takes them."""
        return [list(knot) for knot in self.knots]


IDENTITY = Calibration()
"""Of weights that say nothing of it: the share itself."""


def parse_calibration(value: object) -> Calibration:
    """Of a list of pairs. Raises ValueError."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("needs a list of pairs of share and confidence")
    pairs = []
    for pair in value:
        numbers = isinstance(pair, Sequence) and all(type(v) in (int, float) for v in pair)
        if not numbers or len(pair) != 2:
            raise ValueError(f"{pair!r} is not a pair of share and confidence")
        pairs.append((float(pair[0]), float(pair[1])))
    return Calibration(tuple(pairs))


def calibration_metadata(calibration: Calibration) -> dict[str, str]:
    """What a safetensors file says of it."""
    return {METADATA_KEY: json.dumps(calibration.as_lists())}


def least_level(confidence: float) -> int:
    """The smallest level, 0..255, that is not below this confidence."""
    return math.ceil(confidence * _LEVELS - _ROUNDING)


def _floored(confidences: npt.NDArray[np.float64]) -> UInt8Array:
    return np.floor(confidences * _LEVELS + _ROUNDING).astype(np.uint8)
