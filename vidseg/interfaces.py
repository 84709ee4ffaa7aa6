"""The Protocols between the stages: what each may ask of the next.

`pipeline` knows these Protocols only, so every rule about drops, errors and shutdown is tested with fakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from vidseg.frames import Box, FloatArray, Frame, Segmentation, UInt8Array, VideoInfo
from vidseg.saved_state import State


@runtime_checkable
class Remembers(Protocol):
    """A stage whose memory can be handed to another process. Asked between two frames only."""

    def state(self) -> State:
        """Everything that its results depend on besides its settings and its coming input."""
        ...

    def restore(self, state: State) -> None:
        """Continue exactly where the stage that returned `state` stopped. Its settings must be the same."""
        ...


@runtime_checkable
class VideoSource(Protocol):
    """Frames in order. Opened when constructed; iterated once, by one thread."""

    @property
    def info(self) -> VideoInfo:
        """Known before the first frame."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """Events so far, e.g. {"corrupt_packets": 2}. Readable from any thread."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames until the end. Raises SourceError when reading fails for good."""
        ...

    def interrupt(self) -> None:
        """Make a blocked or coming read end soon, as if the source had ended. Callable from any thread."""
        ...

    def close(self) -> None:
        """Release the device or file; safe to call twice. Called by the iterating thread or after it ended."""
        ...


@runtime_checkable
class ResumableSource(VideoSource, Remembers, Protocol):
    """A source that can be reopened and continue at a certain frame. `restore` comes before the first frame."""


@runtime_checkable
class FrameSegmenter(Protocol):
    """Segments frames. Called by one thread, in frame order."""

    def segment(self, frames: Sequence[Frame]) -> list[Segmentation]:
        """One Segmentation per frame, in order. Frames of one call have the same size."""
        ...


@runtime_checkable
class SteppedSegmenter(FrameSegmenter, Protocol):
    """A segmenter whose network need not wait for what comes after it: two threads do one step each."""

    def begin(self, frames: Sequence[Frame]) -> list[Callable[[], Segmentation]]:
        """Run the network, or start it, and give what finishes the segmentation of each frame, in order.

        Each is to be called once, in frame order, by one thread, which may be another than that of `begin`; `begin` may
        be called for later frames meanwhile. `segment` does both steps at once.
        """
        ...


class Motion(Protocol):
    """How the picture moved from one frame to the next."""

    @property
    def seconds(self) -> float:
        """Between the two frames, above 0."""
        ...

    def on_grid(self, size_hw: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        """On a grid of (h, w) cells: (h, w, 2) offsets (x, y) in cells back to the frame before, and (h, w) grey
        levels, 0..255, by which the frame before, moved along them, misses the new one."""
        ...


class MotionTracker(Remembers, Protocol):
    """Follows the motion through frames in order. Called by one thread."""

    def follow(self, frame: Frame) -> Motion | None:
        """Since the frame of the last call; None at the first, at a scene cut, another size, a jump back in time."""
        ...

    def reset(self) -> None:
        """Forget the last frame."""
        ...


@runtime_checkable
class Propagator(Protocol):
    """Carries masks onto frames that the model does not see. Sees every frame, in order. Called by one thread."""

    def follow(self, frame: Frame) -> Callable[[Segmentation], Segmentation] | None:
        """A function that carries the anchor's masks onto this frame; None if they do not apply to it (scene cut).

        The result may be called later, when the anchor has been segmented; it keeps `Segmentation.frame_index`.
        """
        ...

    def anchor(self) -> None:
        """The frame of the last `follow` gets masks of its own; frames after it take theirs from it."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """Draws. Pure apart from caches: arrays in, array out."""

    def render(self, image: UInt8Array, segmentation: Segmentation) -> UInt8Array:
        """A new (H', W', 3) uint8 RGB picture, or (H', W', 4) RGBA; `image` is left as it was."""
        ...


class GridPainter(Protocol):
    """Puts the pictures of several lanes of a grid into one. Called by several threads; keeps nothing."""

    def fit(self, picture: UInt8Array) -> UInt8Array:
        """A (H, W, 3) uint8 RGB picture scaled to fit the tile of a lane, its aspect kept: (h, w, 3), where h or
        w is that of the tile. May be `picture` itself."""
        ...

    def card(self, picture: UInt8Array | None, words: str) -> UInt8Array:
        """(h, w, 3) uint8 RGB, what a tile shows in place of a picture: words over the last one out of `fit`, or on
        grey."""
        ...

    def compose(
        self, tiles: Sequence[tuple[UInt8Array, UInt8Array | None]]
    ) -> tuple[UInt8Array, UInt8Array, tuple[Box, ...]]:
        """The picture (H, W, 3), the label map (H, W), and the boxes of what is no picture.

        Args:
            tiles: (h, w, 3) picture out of `fit` or `card` and its (h, w) label map, None for a card; one per lane.
        """
        ...


@runtime_checkable
class Sink(Protocol):
    """Takes results in frame order, from one thread."""

    @property
    def path(self) -> str | Path:
        """The output's name in messages; an address without passwords."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know about the result, one sentence each; complete after `close`."""
        ...

    @property
    def needs_picture(self) -> bool:
        """False when only the segmentation is used, so that rendering can be left out."""
        ...

    def write(self, frame: Frame, segmentation: Segmentation, picture: UInt8Array | None) -> None:
        """Take one frame, whose arrays must not be changed.

        Args:
            picture: (H', W', 3) uint8 RGB or (H', W', 4) RGBA, as a `Renderer` drew it; None unless `needs_picture`.
        Raises:
            WriteError: it cannot be written.
        """
        ...

    def close(self) -> None:
        """Finish: flush, and only now give the output its final name. Raises WriteError."""
        ...

    def abort(self) -> None:
        """Abandon the output: leave nothing that looks finished. Never raises."""
        ...


@runtime_checkable
class SendingSink(Sink, Protocol):
    """A sink whose receiver may be unreachable or too slow. It never waits; lost frames are counted."""

    @property
    def counters(self) -> Mapping[str, int]:
        """lost_frames: not sent; reconnects; perhaps others."""
        ...

    @property
    def given_up(self) -> str | None:
        """Why sending stopped; None while it continues or retries."""
        ...


@runtime_checkable
class ResumableSink(Sink, Remembers, Protocol):
    """A sink that writes a video in chunks, each safe once complete, from processes that may be killed or that know
    nothing of each other.

    `--resume` and `--workers` refuse a sink without these methods.
    """

    def begin_chunk(self, path: Path) -> Sink:
        """A sink for the frames of the next chunk; after its `close` they are safe on the disk.

        Args:
            path: a file that it may write for the chunk, and that `join` is given.
        """
        ...

    def check(self, chunks: Sequence[Path]) -> None:
        """Check finished chunks before the run continues. Raises ResumeError when one is missing or damaged."""
        ...

    def note_frame(self, frame: Frame, picture_hw: tuple[int, int] | None) -> None:
        """Take note of the next frame as `write` would, without its content, which another process writes."""
        ...

    def merge_state(self, state: State) -> None:
        """Take over what that process's sink, in its last state, found out. Raises WriteError if chunks do not fit."""
        ...

    def join(self, chunks: Sequence[Path], whole: Callable[[Path], None]) -> None:
        """Make the output, after the last chunk. Raises WriteError or ResumeError.

        Args:
            chunks: the paths given to `begin_chunk`, in order.
            whole: called with the finished file just before it gets its name.
        """
        ...
