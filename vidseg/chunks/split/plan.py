"""Where a video is cut for its workers, and the state that each of them begins with.

The video is decoded once, without the model. That gives what no header says for sure: the number and times of all
frames, which of them the model sees, what the outputs make of their times, and places from which a decoder goes on
exactly. Each worker then begins as if it had come to its place by itself, but for one thing: what the smoothing
remembers. That is gone after a scene cut, and fades with time: a worker warms up on the frames before its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from vidseg.config import RunConfig
from vidseg.defaults import MEMORIES
from vidseg.frames import Frame
from vidseg.interfaces import ResumableSink, ResumableSource
from vidseg.motion.propagate import FlowPropagator
from vidseg.motion.tracker import FlowTracker
from vidseg.pipeline.options import PipelineOptions, inference_stride
from vidseg.pipeline.policy import RateLimit, cover
from vidseg.saved_state import State

SCENE: Literal["scene"] = "scene"
_LEAST_FRAMES = 2
"""In a chunk, as for `vidseg.chunks.chunked_run`."""
_MOST_PLACES = 4096
"""Kept of one video; a place takes some kB. Of ten hours that is one every nine seconds."""
_NEAR = 0.1
"""By this share of its length a chunk may be longer or shorter for the sake of a scene cut."""


@dataclass(frozen=True, slots=True)
class Place:
    """A frame that the model sees, and all that was so just before it."""

    number: int
    """Of the frame, among those that are kept."""
    index: int
    seconds: float
    fresh: bool
    """Nothing that came before it matters to it or to what follows."""
    reading: State
    """Of the source and of the frame rate's limit, as `ChunkSource.restore` takes it."""
    stride: State
    sinks: tuple[State, ...]


@dataclass(frozen=True, slots=True)
class ChunkJob:
    """What one worker does. Can be pickled; paths are those of the machine where it was planned."""

    number: int
    config: RunConfig
    folder: str
    """Where its files go."""
    begin: Place
    """The first frame that it reads."""
    start: Place
    """The first frame that it writes."""
    stop: int | None
    """Index of the first frame that it does not read; None: there is none."""
    frames: int
    """That it has to write."""

    @property
    def path(self) -> Path:
        """The file of its packets."""
        return Path(self.folder) / f"{self.number:05d}"

    @property
    def exact(self) -> bool:
        """True where its labels are those of one pass whatever is in the pictures."""
        return self.begin.fresh


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found by decoding the video once."""

    places: tuple[Place, ...]
    """Rising; the first is the first frame."""
    decoded: int
    kept: int
    end_seconds: float
    """Time of the last frame that is kept."""
    stop: int | None
    """Index at which reading ended before the video did; None at its end."""


def overlap_seconds(config: RunConfig) -> float | None:
    """For how long a worker warms up; None where chunks begin at scene cuts only."""
    if config.overlap == SCENE:
        return None
    return MEMORIES * config.smooth_seconds if config.overlap is None else float(config.overlap)


def scan_video(
    source: ResumableSource,
    sinks: Sequence[ResumableSink],
    options: PipelineOptions,
    *,
    smooth: bool,
    scenes: bool,
    flow: bool,
    picture_hw: Callable[[Frame], tuple[int, int] | None],
) -> Scan:
    """Read all of the source; the sinks take note of all frames.

    Args:
        options: of the run; frames are kept and seen by the model as these say.
        smooth: the segmenter remembers.
        scenes: look for the places where it forgets.
        flow: masks follow the motion, so that a new scene brings the model's next frame forward.
        picture_hw: height and width of what is drawn of the first frame.
    Raises:
        SourceError, WriteError.
    """
    limit, stride = RateLimit(options.max_fps), inference_stride(options, still=False)
    carrying = FlowPropagator() if flow and not stride.every_frame else None
    tracker = FlowTracker() if smooth and scenes else None
    places: list[Place] = []
    step, seen, decoded, kept = 1, 0, 0, 0
    size: tuple[int, int] | None = None
    held: Frame | None = None
    frames = iter(source)
    while options.limit is None or kept < options.limit:
        reading = {"source": source.state(), "limit": limit.state()}
        frame = next(frames, None)
        if frame is None:
            break
        decoded += 1
        if not limit.keep(frame.seconds):
            if held is not None:
                cover(held, frame)
            continue
        size = size or picture_hw(frame)
        if held is not None:
            _note_frame(sinks, held, size)
        before = stride.state()
        new_scene = carrying is not None and carrying.follow(frame) is None
        if stride.wants(frame.size_hw, frame.seconds, new_scene=new_scene):
            if carrying is not None:
                carrying.anchor()
            cut = tracker is not None and tracker.follow(frame) is None
            fresh = not smooth or kept == 0 or cut
            if seen % step == 0 or cut:
                states = tuple(sink.state() for sink in sinks)
                places.append(Place(kept, frame.index, frame.seconds, fresh, reading, before, states))
            seen += 1
            if len(places) > _MOST_PLACES:
                places, step = places[::2], 2 * step
        held, kept = frame, kept + 1
    if held is not None:
        _note_frame(sinks, held, size)
    more = options.limit is not None and kept >= options.limit
    end_seconds, stop = (0.0, None) if held is None else (held.seconds, held.index + 1 if more else None)
    return Scan(tuple(places), decoded, kept, end_seconds, stop)


def plan_chunks(config: RunConfig, scan: Scan, folder: Path, *, workers: int) -> list[ChunkJob]:
    """Jobs of about the same length, in order: one per worker, or fewer where there are too few places to begin at.

    Args:
        config: as each worker is to have it.
        folder: where the workers put their files.
    """
    overlap = overlap_seconds(config)
    starts = _starts(scan, workers, scenes_only=overlap is None)
    jobs = []
    for number, start in enumerate(starts):
        following = starts[number + 1] if number + 1 < len(starts) else None
        jobs.append(
            ChunkJob(
                number,
                config,
                str(folder),
                # only a place to read from: what the outputs make of it is not needed
                replace(_beginning(scan.places, start, overlap or 0.0), sinks=()),
                start,
                scan.stop if following is None else following.index,
                (scan.kept if following is None else following.number) - start.number,
            )
        )
    return jobs


def _starts(scan: Scan, workers: int, *, scenes_only: bool) -> list[Place]:
    first = scan.places[0]
    length = (scan.end_seconds - first.seconds) / workers
    starts = [first]
    for number in range(1, workers):
        wanted = first.seconds + number * length
        usable = [
            place
            for place in scan.places
            if place.number >= starts[-1].number + _LEAST_FRAMES
            and place.number + _LEAST_FRAMES <= scan.kept
            and (place.fresh or not scenes_only)
        ]
        near = [place for place in usable if place.fresh and abs(place.seconds - wanted) <= _NEAR * length]
        if usable:
            starts.append(min(near or usable, key=lambda place: abs(place.seconds - wanted)))
    return starts


def _beginning(places: Sequence[Place], start: Place, overlap: float) -> Place:
    """The latest place that is early enough for the frame at `start` to be as in one pass."""
    for place in reversed(places):
        if place.number <= start.number and (place.fresh or place.seconds <= start.seconds - overlap):
            return place
    return places[0]


def _note_frame(sinks: Sequence[ResumableSink], frame: Frame, picture_hw: tuple[int, int] | None) -> None:
    for sink in sinks:
        sink.note_frame(frame, picture_hw)
