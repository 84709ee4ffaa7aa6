"""`--workers`: one video over several processes, joined into the outputs of an undivided run."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidseg.atomic import PART_SUFFIX, write_failure
from vidseg.chunks.refusals import refuse_options
from vidseg.chunks.split.chunk import ChunkDone
from vidseg.chunks.split.plan import SCENE, ChunkJob, overlap_seconds, plan_chunks, scan_video
from vidseg.chunks.split.workers import Workers
from vidseg.config import RunConfig
from vidseg.cores import usable_cores
from vidseg.errors import ConfigError, WriteError
from vidseg.folder_lock import LOCK, locked
from vidseg.frames import Frame
from vidseg.interfaces import Renderer, ResumableSink, ResumableSource
from vidseg.pipeline.options import nothing_found
from vidseg.pipeline.stats import Progress, RunStats
from vidseg.timing import Clock, StageTime
from vidseg.wiring.frame_policy import pipeline_options
from vidseg.wiring.input_files import InputFiles
from vidseg.wiring.interrupts import StopRequest
from vidseg.wiring.reporter import Reporter

SUFFIX = ".pieces"
_OURS = re.compile(rf"\d{{5,}}(\.[^.]+)?({re.escape(PART_SUFFIX)})?|{LOCK}")
_NOT_WITH = (
    *("resume", "show", "serve", "metrics", "matte"),
    *("save_json", "save_csv", "save_parquet", "save_plot", "save_confidence"),
)


def is_split(config: RunConfig) -> bool:
    """True where the video goes to several workers. Raises ConfigError for options that they cannot follow."""
    if config.workers is None or config.workers == 1:
        if config.overlap is not None:
            raise ConfigError("--overlap is for --workers 2 or more; leave it out")
        return False
    refuse_options("--workers", config, _NOT_WITH)
    if not (config.output or config.save_masks):
        raise ConfigError("--workers split the work on an output; give -o FILE or --save-masks DIR")
    return True


def run_split(
    config: RunConfig,
    source: ResumableSource,
    sinks: Sequence[ResumableSink],
    renderer: Renderer,
    batch: int,
    precision: str,
    files: InputFiles,
    *,
    smooth: bool,
    reporter: Reporter,
    interrupts: StopRequest,
) -> tuple[RunStats, bool]:
    """Plan the chunks, process them in parallel, join them. The counts, and False when the run was interrupted.

    Args:
        sinks: as the run opened them; they give the outputs their names.
        files: of the source, as they were when the run began.
        precision: of the network, the same for all workers.
        smooth: the labels are smoothed.
    Raises:
        VidsegError: as any run, in the worker that failed first; the others are ended and the chunks are removed.
    """
    assert config.workers is not None
    count = FrameCount()
    reporter.detail("reading the video once, to find where it can be cut")
    scan = scan_video(
        source,
        sinks,
        pipeline_options(config, source.info, batch),
        smooth=smooth,
        scenes=overlap_seconds(config) is None,
        flow=config.propagate == "flow",
        picture_hw=lambda frame: _picture_hw(config, renderer, frame),
    )
    if not scan.places:
        raise WriteError(f"{config.output or config.save_masks}: no frame was written, so there is no video")
    threads = config.threads or max(1, usable_cores() // config.workers)
    each = replace(config, batch=batch, precision=precision, threads=threads)
    # from here on there is something to be ended in good order
    interrupts.started()
    with _work_folder(config) as folder:
        jobs = plan_chunks(each, scan, folder, workers=config.workers)
        _say_plan(jobs, config.workers, reporter)
        with Workers(jobs) as workers:

            def look() -> bool:
                reporter.progress(count.seen(sum(workers.written)), scan.kept)
                return not interrupts.count

            found = workers.results(look)
        if found is None:
            return count.stats, False
        files.refuse_change()
        _say_seams(jobs, found, reporter)
        join_chunks(sinks, jobs, found)
    count.seen(scan.kept)
    stats = count.stats
    stats.decoded, stats.skipped = scan.decoded, scan.decoded - scan.kept
    stats.inferred = sum(done.stats.inferred for done in found)
    stats.held = sum(done.stats.held for done in found)
    stats.last_pts_seconds = scan.end_seconds
    stats.source_counters = dict(source.counters)
    stats.stages = _summed(done.stats.stages for done in found)
    return stats, True


def join_chunks(sinks: Sequence[ResumableSink], jobs: Sequence[ChunkJob], found: Sequence[ChunkDone]) -> None:
    """Make the outputs out of what the workers left at `ChunkJob.path`; no picture is encoded again.

    Args:
        sinks: those that took note of all frames in `scan_video`.
        found: in the order of the jobs.
    Raises:
        WriteError, ResumeError: the chunks do not fit together, or cannot be read or written. No output appears then.
    """
    for sink, states in zip(sinks, zip(*(done.sinks for done in found), strict=True), strict=True):
        for state in states:
            sink.merge_state(state)
    paths = [job.path for job in jobs]
    for sink in sinks:
        sink.join(paths, lambda part: None)
        sink.close()


class FrameCount:
    """Counts the frames of several workers. They bring theirs together, so the rate is a mean since the first."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.stats = RunStats()
        self._clock = clock
        self._begun = clock()
        self._first: tuple[int, float] | None = None
        self._rate = 0.0

    def seen(self, delivered: int) -> Progress:
        """So many frames are written by now."""
        now = self._clock()
        if self._first is None and delivered:
            self._first = delivered, now
        elif self._first is not None and now > self._first[1]:
            self._rate = (delivered - self._first[0]) / (now - self._first[1])
        self.stats.delivered = delivered
        self.stats.elapsed_seconds = now - self._begun
        return Progress(delivered, self._rate)


def _picture_hw(config: RunConfig, renderer: Renderer, frame: Frame) -> tuple[int, int] | None:
    """Height and width of what is drawn of a frame."""
    if not config.output:
        return None
    picture = renderer.render(frame.image, nothing_found(frame))
    return picture.shape[0], picture.shape[1]


@contextmanager
def _work_folder(config: RunConfig) -> Iterator[Path]:
    """An empty folder beside the output, where there is room for it; gone afterwards.

    It always has the same name, and whoever works in it has locked it: what a killed run left there is removed by the
    next one.

    Raises:
        ConfigError: another run works in it, or it holds what no run left.
        WriteError: it cannot be made.
    """
    output = Path(os.path.realpath(config.output or config.save_masks or ""))
    folder = output.with_name(output.name + SUFFIX)
    try:
        folder.mkdir(exist_ok=True)
        names = os.listdir(folder)
    except OSError as error:
        raise WriteError(write_failure(output, error)) from error
    stranger = next((name for name in sorted(names) if not _OURS.fullmatch(name)), None)
    if stranger is not None:
        raise ConfigError(f"{folder}: contains {stranger}, which no run wrote; choose another output")
    try:
        with locked(folder, advice="choose another output"):
            _empty(folder)
            try:
                yield folder
            finally:
                with contextlib.suppress(OSError):
                    _empty(folder)
    finally:
        with contextlib.suppress(OSError):  # another run is at work in it
            folder.rmdir()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != LOCK:
            path.unlink(missing_ok=True)


def _say_plan(jobs: Sequence[ChunkJob], workers: int, reporter: Reporter) -> None:
    if len(jobs) < workers:
        where = (
            "there is no scene cut for more" if jobs[0].config.overlap == SCENE else "the video is too short for more"
        )
        reporter.note(f"only {len(jobs)} of {workers} workers have work; {where}")
    for job in jobs:
        warm = job.start.number - job.begin.number
        how = "exact" if job.exact else "smoothing is warmed up"
        reporter.detail(
            f"worker {job.number + 1}: {job.frames} frames from {job.start.seconds:.2f} s, {warm} before that ({how})"
        )


def _say_seams(jobs: Sequence[ChunkJob], found: Sequence[ChunkDone], reporter: Reporter) -> None:
    """Tell where two chunks do not agree, to the last bit, on what follows the frame before their seam."""
    for job, left, right in zip(jobs[1:], found, found[1:], strict=False):
        if right.before is None or right.before.digest == left.last.digest:
            continue
        share = 100 * float(np.mean(left.last.labels != right.before.labels))
        shown = f"{share:.1f}" if share >= 0.05 else "under 0.1"
        reporter.note(
            f"from {job.start.seconds:.2f} s on, smoothing differs slightly "
            f"from a single pass: {shown} % of pixels "
            "differ there, and later ones may; a longer --overlap helps"
        )


def _summed(parts: Iterable[Mapping[str, StageTime]]) -> dict[str, StageTime]:
    total: dict[str, StageTime] = {}
    for stages in parts:
        for name, stage in stages.items():
            so_far = total.get(name, StageTime(0, 0, 0.0))
            total[name] = StageTime(
                so_far.calls + stage.calls, so_far.frames + stage.frames, so_far.seconds + stage.seconds
            )
    return total
