"""Saved label maps instead of a model: matches them to the frames of a clip."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np

from vidseg.atomic import UniqueStems
from vidseg.errors import ConfigError, SourceError
from vidseg.frames import NO_LABEL, Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.interfaces import VideoSource
from vidseg.names import counted, expand_user, shown_name
from vidseg.saved_masks import SavedMask
from vidseg.sources.mask_reader import read_label_map, read_mask_folder, read_mask_video
from vidseg.sources.source_base import SourceBase
from vidseg.wiring.wrapped_source import WrappedSource

SAME_MOMENT_SECONDS = Fraction(2, 1000)
"""Times that far apart are of one frame: containers round them, Matroska to a millisecond."""


class SavedMasks(Protocol):
    """Label maps that are asked for frame by frame, in order."""

    @property
    def ended(self) -> bool:
        """True if the last `find` came to the end: no later frame can have one."""
        ...

    def has_more(self) -> bool:
        """True if some are left that were not asked for. Raises as `find`."""
        ...

    def find(self, frame: Frame) -> UInt8Array | None:
        """(H, W) uint8 class ids of this frame; None where there are none.

        Raises:
            SourceError: it cannot be read.
            ConfigError: the masks are those of another clip.
        """
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class OrderedMasks:
    """Masks of a video, read in step with its frames: one is held at most. Satisfies `SavedMasks`.

    A mask and a frame belong together if they have one index, and then their times must agree; or, where the masks do
    not say an index, one time.
    """

    def __init__(self, name: str, masks: Generator[SavedMask, None, None]) -> None:
        """Read the first mask.

        Args:
            name: of all of them, for messages.
            masks: in the order of the clip.
        Raises:
            SourceError: it cannot be read, or there is none.
        """
        self._name = name
        self._masks = masks
        self.ended = False
        self._next: SavedMask | None = None
        first = self._peek()
        if first is None:
            raise SourceError(f"{name}: contains no masks")
        height, width = first.load().shape
        self.size: tuple[int, int] = (width, height)
        """(width, height) of the first mask."""
        self.first = first

    def has_more(self) -> bool:
        return self._peek() is not None

    def find(self, frame: Frame) -> UInt8Array | None:
        seconds = frame.pts * Fraction(frame.time_base)
        while (mask := self._peek()) is not None and _apart(mask, frame.index, seconds) < 0:
            self._next = None
        if mask is None or _apart(mask, frame.index, seconds) > 0:
            return None
        if mask.seconds is not None and abs(mask.seconds - seconds) > SAME_MOMENT_SECONDS:
            raise ConfigError(
                f"{mask.name}: is at {float(mask.seconds):.3f} s, but frame {frame.index} of the clip at "
                f"{frame.seconds:.3f} s; give the clip that the masks were made from"
            )
        self._next = None
        return mask.load()

    def close(self) -> None:
        self._masks.close()

    def _peek(self) -> SavedMask | None:
        """The next mask. Read when it is asked for: what is damaged must not take the mask before it along."""
        if self._next is None and not self.ended:
            self._next = next(self._masks, None)
            self.ended = self._next is None
        return self._next


class NamedMasks:
    """One PNG per picture, of the picture's name. Satisfies `SavedMasks`."""

    ended = False

    def __init__(self, folder: str) -> None:
        self._folder = expand_user(folder)
        self._stems = UniqueStems()

    def find(self, frame: Frame) -> UInt8Array | None:
        stem = self._stems.take(frame.name if frame.name is not None else f"{frame.index:06d}")
        path = Path(self._folder, f"{stem}.png")
        return read_label_map(path) if path.exists() else None

    def has_more(self) -> bool:
        return False  # other files in the folder do no harm

    def close(self) -> None:
        """Nothing is held."""


def open_masks(path: str, info: VideoInfo, option: str = "--save-masks") -> SavedMasks:
    """The saved masks for a clip or for pictures, or what another `option` saved.

    Raises:
        SourceError: nothing there, no masks, or damaged.
        ConfigError: of another size than the clip.
    """
    name = shown_name(path)
    local = expand_user(path)
    if "\0" in path or not os.path.lexists(local):
        raise SourceError(f"{name}: no such file or folder; give what `vidseg run {option}` wrote")
    if os.path.isdir(local):
        if info.still:
            return NamedMasks(path)
        masks = OrderedMasks(name, read_mask_folder(path))
    else:
        masks = OrderedMasks(name, read_mask_video(path, option))
    if not info.still and masks.size != (info.width, info.height):
        shown = " and the clip ".join(f"{width}x{height}" for width, height in (masks.size, (info.width, info.height)))
        masks.close()
        raise ConfigError(
            f"{name}: the masks are {shown}; give the clip they were made from, cropped and rotated as it was then"
        )
    return masks


class MaskedSource(WrappedSource[VideoSource]):
    """The frames of a source that have a saved mask, which waits in `segmenter`.

    Stops after the last mask. A frame before others that are left out stays on screen for their time, as when they were
    left out by --max-fps.
    """

    def __init__(
        self,
        source: VideoSource,
        masks: SavedMasks,
        name: str,
        num_classes: int,
        *,
        confidence: tuple[SavedMasks, str] | None = None,
        least: int = 0,
        part: bool = False,
        may_be_empty: bool = False,
    ) -> None:
        """Args:
        name: of the masks, for messages.
        num_classes: ids from this on, other than `NO_LABEL`, mean nothing.
        confidence: the saved levels of confidence, and their name for messages.
        least: labels of a lower level are left out.
        part: the source ends before the clip does, so that masks are left.
        may_be_empty: no mask at all is no error, but the end.
        """
        self.segmenter = MaskSegmenter()
        self.notes: list[str] = []
        """What did not fit, one sentence each; complete at the end of the iteration."""
        super().__init__(source)
        self._masks = masks
        self._name = name
        self._num_classes = num_classes
        self._confidence = confidence
        self._least = least
        self._is_part = part
        self._may_be_empty = may_be_empty
        self._without = 0
        self._unknown: int | None = None
        self._interrupted = False

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order.

        Raises:
            SourceError: the clip or the masks break off; the frames before have been given.
            ConfigError: the masks are those of another clip.
        """
        held: Frame | None = None
        try:
            for frame in self._source:
                label_map = self._masks.find(frame)
                if label_map is not None:
                    self._check_size(frame, label_map)
                    self._look_for_unknown(label_map)
                    self.segmenter.put(frame, *self._surely(frame, label_map))
                    if held is not None:
                        yield self._stretched(held, frame)
                    held = frame
                elif self._masks.ended:
                    self._tell_rest(frame.index)
                    break
                else:
                    self._without += 1
            else:
                if not (self._interrupted or self._is_part) and self._masks.has_more():
                    self.notes.append("the clip ends before its masks do")
        except SourceError:
            if held is not None:
                yield held
            raise
        if held is None and not (self._interrupted or self._may_be_empty):
            raise ConfigError(
                f"{self._name}: no mask belongs to a frame of the clip; give the clip they were made from"
            )
        if self._unknown is not None:
            self.notes.append(
                f"the masks contain class id {self._unknown}, which is left out "
                f"(known: 0 to {self._num_classes - 1}); "
                "give the -m or --weights that made them"
            )
        if self._without:
            self.notes.append(f"{counted(self._without, 'frame')} without a mask, left out")
        if held is not None:
            yield held

    def interrupt(self) -> None:
        self._interrupted = True
        super().interrupt()

    def close(self) -> None:
        super().close()
        self._masks.close()
        if self._confidence is not None:
            self._confidence[0].close()

    def _surely(self, frame: Frame, label_map: UInt8Array) -> tuple[UInt8Array, UInt8Array | None]:
        """The label map without what is not sure enough, and the levels of confidence where there are any."""
        if self._confidence is None:
            return label_map, None
        saved, name = self._confidence
        levels = saved.find(frame)
        if levels is None or levels.shape != label_map.shape:
            raise ConfigError(
                f"{name}: has no confidence for frame {frame.index} in the size of its mask; "
                "give what --save-confidence wrote beside these masks"
            )
        return np.where(levels < self._least, np.uint8(NO_LABEL), label_map), levels

    def _check_size(self, frame: Frame, label_map: UInt8Array) -> None:
        if label_map.shape != frame.size_hw:
            (mask_h, mask_w), (height, width) = label_map.shape, frame.size_hw
            shown = frame.index if frame.name is None else f"{frame.index} ({shown_name(frame.name)})"
            raise ConfigError(
                f"{self._name}: the mask of frame {shown} is {mask_w}x{mask_h}, the frame {width}x{height}; "
                "give the clip the masks were made from"
            )

    def _look_for_unknown(self, label_map: UInt8Array) -> None:
        if self._unknown is None and self._num_classes < NO_LABEL:
            # bytes below wrap round and become large: one comparison for both ends
            unknown = label_map - np.uint8(self._num_classes) < NO_LABEL - self._num_classes
            if unknown.any():
                self._unknown = int(label_map[unknown][0])

    def _stretched(self, held: Frame, following: Frame) -> Frame:
        """`held`, shown until `following` where frames between them are left out."""
        apart = following.index - held.index > 1
        if apart and not self.info.still and following.time_base == held.time_base:
            held.duration = following.pts - held.pts
        return held

    def _tell_rest(self, index: int) -> None:
        total = self._frames_to_come_to()
        rest = f"the rest of the clip ({counted(total - index, 'frame')})" if total > index else "the rest of the clip"
        self.notes.append(f"the masks end before frame {index}; {rest} is left out")

    def _frames_to_come_to(self) -> int:
        """The index after that of the last frame; 0 where only its time is known, as where the clip ends early."""
        if not isinstance(self._source, SourceBase):
            return self.info.frame_count or 0
        # `info` counts the frames of a part, and by its length
        return 0 if self._source.part.end is not None else self._source.whole_info.frame_count or 0


class MaskSegmenter:
    """Gives each frame the map that was put there for it. Satisfies `FrameSegmenter`."""

    def __init__(self) -> None:
        self._maps: dict[int, tuple[UInt8Array, UInt8Array | None]] = {}

    def put(self, frame: Frame, label_map: UInt8Array, levels: UInt8Array | None = None) -> None:
        """Keep the map, and how sure it is, until the frame comes."""
        self._maps[frame.index] = label_map, levels

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """The saved segmentations, each once."""
        kept = [self._maps.pop(frame.index) for frame in frames]
        return [Segmentation(labels, frame.index, levels) for frame, (labels, levels) in zip(frames, kept, strict=True)]


def _apart(mask: SavedMask, index: int, seconds: Fraction) -> Fraction | int:
    """0 where the mask is of the frame with this index or time, below 0 where it is of an earlier one."""
    if mask.index is not None:
        return mask.index - index
    assert mask.seconds is not None
    apart = mask.seconds - seconds
    return 0 if abs(apart) <= SAME_MOMENT_SECONDS else apart
