"""How frames are passed on, and what comes out: the values that pipelines share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from vidseg.frames import Frame, Segmentation, nothing_in
from vidseg.pipeline.outputs import Failing
from vidseg.pipeline.policy import InferenceStride, RateLimit
from vidseg.pipeline.stats import RunStats


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How frames are passed on."""

    stride: int | Literal["auto"] = 1
    """The model sees every stride-th frame; the others get the last masks, held or carried by a `Propagator`. "auto":
    the model sees a frame whenever it is free, and none waits for it (`BackgroundInference`)."""
    max_fps: float | None = None
    """Frames per second of source time that go on at most; None for all."""
    limit: int | None = None
    """Frames that go on at most; None for all."""
    batch: int = 1
    """Frames segmented at once at most. A live source is not kept waiting for a full batch."""
    queue_size: int = 4
    """Frames held by each hand-over."""
    fail_closed: bool = False
    """A frame gets its own masks, or carried ones, or none: never those of another frame as they are."""
    infer_fps: float | None = None
    """Frames per second of source time that the model sees at most; None for all."""
    keeps: Literal["auto", "every-frame", "newest"] = "auto"
    """Whether the source waits for the model, or its newest frame is kept and the rest dropped; "auto": live ones."""
    max_staleness: float | None = None
    """Seconds after which a frame of a live source is not shown any more; None for never."""
    failing: Failing = "all"
    """What becomes of the other outputs when one fails; its error is raised in any case, at the end."""
    seconds: float | None = None
    """Of the source's time after which the run ends; None for no end. Parts of files are the source's own matter."""


@dataclass(frozen=True, slots=True)
class Result:
    """One frame and what is in it."""

    frame: Frame
    segmentation: Segmentation


@dataclass(slots=True)
class Carried:
    """What one pipeline leaves to the next one over the same source, where a run is done in chunks."""

    stride: InferenceStride
    last: Segmentation | None = None
    """The newest segmentation: frames that the model does not see take their masks from it."""
    stats: RunStats = field(default_factory=RunStats)
    """Counts so far, of all chunks."""


def inference_stride(options: PipelineOptions, *, still: bool) -> InferenceStride:
    """What says which frames are segmented; of separate pictures, and where nothing waits for the model, all."""
    every = still or options.stride == "auto"
    return InferenceStride(1 if every else int(options.stride), RateLimit(None if every else options.infer_fps))


def nothing_found(frame: Frame) -> Segmentation:
    """A segmentation that says nothing, for a frame in which there is nothing to be found."""
    return nothing_in(frame.size_hw, frame.index)
