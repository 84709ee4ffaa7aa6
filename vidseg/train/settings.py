"""Everything that decides what a training run computes: two runs with equal settings on one CPU give equal weights."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from vidseg.errors import ConfigError
from vidseg.train.losses import POINTS

SIDE_MULTIPLE = 32
"""Sides of a crop: the coarsest stride of the networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """The one table of training defaults.

    Raises:
        ConfigError: a number is out of range.
    """

    model: str = "m2f-mobile-ade"
    classes: int = 150
    """Without "no object"; ids in label files are below it."""
    steps: int = 2000
    batch: int = 8
    crop_hw: tuple[int, int] = (256, 320)
    lr: float = 1e-3
    """Highest learning rate, reached after the warm-up."""
    warmup: int = 200
    """Steps over which the learning rate rises from 0; see `rising_steps`."""
    weight_decay: float = 0.02
    clip: float = 1.0
    """Gradients are shortened to this norm."""
    ema: float = 0.998
    """The exported weights are an average that keeps this share of itself at each step."""
    points: int = POINTS
    """Points at which masks are compared; 0 takes every cell of the mask grid."""
    semantic: float = 4.0
    """Weight of the loss on the semantic map (distillation where there are soft labels); 0 turns it off."""
    cover: float = 0.4
    """Smallest part of a picture's side that a crop may cover."""
    freeze: int = 0
    """So many layers of the backbone, the first ones, stay as they are."""
    balance: float = 0.0
    """Pictures with a class that is in less than this share of their dataset's pictures come more often; 0: none."""
    mix: tuple[float, ...] | None = None
    """How often each dataset is drawn, relative to the others; None: by its number of pictures."""
    holdout: tuple[int, ...] = (0,)
    """Every Nth picture, the first included, is not trained on; one number for all datasets or one each, 0 for none."""
    values: str = ""
    """What values in label files mean, e.g. "255=1"; see `parse_values`."""
    ignore: str = ""
    """Names of classes, with commas, whose labels count as unknown."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("classes", 1, 254),
            ("steps", 1, 10**8),
            ("batch", 1, 4096),
            ("warmup", 0, 10**8),
            ("points", 0, 10**6),
            ("freeze", 0, 1000),
            ("seed", 0, 2**32 - 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"--{name} is {value}; accepted: a whole number from {low} to {high}")
        ranges = (
            ("lr", 0, 10, True),
            ("weight_decay", 0, 10, False),
            ("clip", 0, 1e9, True),
            ("ema", 0, 0.999999, False),
            ("semantic", 0, 1e6, False),
            ("cover", 0, 1, True),
            ("balance", 0, 1, False),
        )
        for name, lowest, highest, above in ranges:
            value = getattr(self, name)
            if not lowest <= value <= highest or (above and value == lowest):  # NaN too
                accepted = f"a number {'above' if above else 'from'} {lowest:g} to {highest:g}"
                raise ConfigError(f"--{name.replace('_', '-')} is {value:g}; accepted: {accepted}")
        if any(every < 0 or every == 1 for every in self.holdout):
            raise ConfigError(
                f"--holdout is {_shown(self.holdout)}; accepted: 2 or more (every Nth is left out), or 0 for none"
            )
        if any(side % SIDE_MULTIPLE or side < 2 * SIDE_MULTIPLE for side in self.crop_hw):
            height, width = self.crop_hw
            raise ConfigError(f"--crop is {height}x{width}; accepted: HxW, multiples of {SIDE_MULTIPLE} from 64 up")
        if self.mix is not None and (not all(0 <= share < math.inf for share in self.mix) or sum(self.mix) <= 0):
            raise ConfigError(f"--mix is {_shown(self.mix)}; accepted: numbers from 0 up, one per dataset")

    @property
    def rising_steps(self) -> int:
        """The warm-up, or a fifth of the steps where it would last as long as all of them and leave none to learn."""
        return self.warmup if self.warmup < self.steps else self.steps // 5

    def as_dict(self) -> dict[str, Any]:
        """Plain values, tuples as lists, for a file."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def difference(self, stored: dict[str, Any]) -> str | None:
        """The first setting that differs from stored ones, for an error text; None where all are the same."""
        mine = self.as_dict()
        for item in fields(self):
            if mine[item.name] != stored.get(item.name, item.default):
                flag = "crop" if item.name == "crop_hw" else item.name.replace("_", "-")
                return f"--{flag} was {_shown(stored.get(item.name))} and is now {_shown(mine[item.name])}"
        return None


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def parse_crop(text: str) -> tuple[int, int]:
    """(height, width) of "256x320"; of "256" a square. Raises ConfigError."""
    found = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if found is None:
        raise ConfigError(f"--crop is {text!r}; accepted: HEIGHTxWIDTH in pixels, e.g. 256x320, or one number")
    return int(found[1]), int(found[2] or found[1])


def parse_holdout(text: str) -> tuple[int, ...]:
    """Numbers of "25" or "0,25". Raises ConfigError."""
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"--holdout is {text!r}; accepted: a whole number, or one per dataset with commas") from None


def parse_mix(text: str) -> tuple[float, ...]:
    """Shares of "25,68,7". Raises ConfigError."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ConfigError(f"--mix is {text!r}; accepted: numbers separated by commas, one per dataset") from None
