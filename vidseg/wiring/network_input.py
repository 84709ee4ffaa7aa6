"""The size at which a network sees frames: the one asked for, its makers', or one that a CPU keeps up with in video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import torch

from vidseg import zoo
from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.runtimes.model_format import InputFormat, ModelFile, is_model_file
from vidseg.segmentation.preprocess import SIZE_MULTIPLE, network_size
from vidseg.segmentation.tiled_segmenter import windows, windows_of

PUBLISHED = "published"
"""As `--short-side`: the size that the makers of the network measured at."""


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """How frames are fed. `video` and `pictures` are None where the long side becomes `imgsz`, in steps of 8."""

    imgsz: int
    """Long side in pixels of what the network sees, where neither of the others says more."""
    video: InputFormat | None = None
    pictures: InputFormat | None = None
    tiles: str | None = None
    """Columns and rows of the windows that are fed instead of a frame, as in "2x2"."""

    def format(self, info: VideoInfo) -> InputFormat | None:
        """How frames of the source are fed."""
        return self.pictures if info.still else self.video

    def sides(self, info: VideoInfo) -> dict[str, int | None]:
        """The side that is set, by its option; the other is None."""
        given = self.format(info)
        if given is not None and given.short_side is not None:
            return {"imgsz": None, "short_side": given.short_side}
        return {"imgsz": self.imgsz, "short_side": None}

    def network_hw(self, info: VideoInfo, height: int, width: int) -> tuple[int, int]:
        """Height and width that the network sees of a frame of the source, or of a window of it, with padding."""
        height, width = self.window_hw(height, width)
        given = self.format(info)
        return (network_size if given is None else given.network_size)(height, width, self.imgsz)

    def window_hw(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a window; of the whole frame where there are none."""
        columns, rows = windows_of(self.tiles)
        return windows(height, rows)[0].stop, windows(width, columns)[0].stop

    def words(self, info: VideoInfo) -> str:
        """ "long side 512", or "long side 512, 2x2 windows"."""
        sides = self.sides(info)
        windows = "" if self.tiles is None else f", {self.tiles} windows"
        if sides["short_side"] is None:
            return f"long side {sides['imgsz']}{windows}"
        return f"short side {sides['short_side']}{windows}"

    def __str__(self) -> str:
        """The same for videos, and for pictures where that differs."""
        video, pictures = self.words(_VIDEO), self.words(_STILL)
        return video if video == pictures else f"{video}, of pictures {pictures}"


def network_input(config: RunConfig, device: torch.device) -> NetworkInput:
    """How the network of the zoo that the configuration names is fed on a device.

    Published models get the size of their published mIoU, but for video on a CPU, which would not keep up with it.

    Raises:
        ConfigError: two sizes are asked for, or other classes than it has.
    """
    asked = _asked(config)
    if config.label_set is not None:
        raise ConfigError(f"--label-set: is for network files, and {config.model} knows its classes; leave it out")
    entry = zoo.entry(config.model)
    default = entry.imgsz["cpu" if device.type == "cpu" else "cuda"]
    if isinstance(config.short_side, int):
        given = InputFormat(short_side=config.short_side, multiple_of=SIZE_MULTIPLE)
        return NetworkInput(default, given, given, config.tiles)
    published = None if entry.short_side is None else published_format(entry.short_side)
    if asked is not None and asked[0] == "imgsz":
        return NetworkInput(asked[1], tiles=config.tiles)
    everywhere = device.type != "cpu" or config.short_side == PUBLISHED
    return NetworkInput(default, published if everywhere else None, published, config.tiles)


def published_format(short_side: int) -> InputFormat:
    """Sizes of Focoos's validation.

    Source: focoos, `data/default_aug.py`, `segmentation_val_augs`: short side 640, long side 4096 at most.
    """
    return InputFormat(short_side=short_side, max_side=4096, cut=False)


def file_input(config: RunConfig, file: ModelFile, given: InputFormat) -> NetworkInput:
    """How a network file is fed. Raises ConfigError where a size is asked for and it takes one only, or two are."""
    asked = _asked(config)
    if asked is not None:
        name, side = asked
        fixed = given.fixed_hw
        if fixed is not None:
            raise ConfigError(f"--{name} {side}: {file.path.name} takes {fixed[1]}x{fixed[0]} only; leave out --{name}")
        given = given.with_long_side(side) if name == "imgsz" else given.with_short_side(side)
    return NetworkInput(config.imgsz or given.default_imgsz(), given, given, config.tiles)


def same_everywhere(config: RunConfig, device: torch.device, *, still: bool) -> RunConfig:
    """The configuration with its size said, so that machines with and without a GPU take the same."""
    if is_model_file(config.model) or config.imgsz is not None or config.short_side is not None:
        return config  # files say it themselves, and some take one size only
    size = network_input(config, device)
    if (size.pictures if still else size.video) is not None:
        return replace(config, short_side=PUBLISHED)
    return replace(config, imgsz=size.imgsz)


def published_advice(model: str, size: NetworkInput) -> str | None:
    """A sentence for videos that are seen smaller than the makers of the model measured; None where they are not."""
    if size.video is not None or size.pictures is None or size.tiles is not None:
        return None
    return (
        f"{model} sees videos with the long side {size.imgsz}; its published mIoU was measured with the short side "
        f"{size.pictures.short_side}; --preset published uses that size, and is slower"
    )


def _asked(config: RunConfig) -> tuple[str, int] | None:
    """The option that says a size in pixels, and the size. Raises ConfigError where both do."""
    if None not in (config.imgsz, config.short_side):
        raise ConfigError("--imgsz and --short-side both set the size; give one of them")
    if config.imgsz is not None:
        return "imgsz", config.imgsz
    return ("short-side", config.short_side) if isinstance(config.short_side, int) else None


_VIDEO = VideoInfo(1, 1, Fraction(1))
_STILL = replace(_VIDEO, still=True)
