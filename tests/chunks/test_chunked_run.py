"""Runs in chunks: the same result wherever they are cut off, and the disk never left in a state that cannot go on."""

from __future__ import annotations

import errno
import os
from fractions import Fraction
from pathlib import Path

import pytest

from tests.chunks.power import Power, PowerLoss
from tests.chunks.remembering import BandRenderer, CountingPropagator, SummingSegmenter
from tests.sinks.sink_helpers import frame_times, pictures
from vidseg.chunks.chunked_run import ChunkedRun, ChunkSource, Stages
from vidseg.errors import SourceError, WriteError
from vidseg.frames import Frame
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline
from vidseg.pipeline.stats import RunStats
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.chunked_video import ChunkedAvSink
from vidseg.sinks.records.label_maps import LabelMapSink
from vidseg.sources.pattern_source import PatternSource
from vidseg.video.encoders import EncodeOptions
from vidseg.wiring.work_folder import WorkFolder

PATTERN = "test:32x32@10,frames=5"
OPTIONS = PipelineOptions(stride=2)


def do_run(
    folder: Path,
    *,
    options: PipelineOptions = OPTIONS,
    seconds: float = 0.2,
    fail_at: int | None = None,
    source: PatternSource | None = None,
) -> ChunkedRun | None:
    """What `vidseg run --resume` does, with stages that are quick; None where the run was over already."""
    work = WorkFolder(folder / "out.mov")
    if work.was_named():
        work.remove()
        return None
    source = source or PatternSource(PATTERN)
    video = ChunkedAvSink(
        folder / "out.mov", source.info, overwrite=False, encode=EncodeOptions(codec="mjpeg", threads=1)
    )
    try:
        masks = LabelMapSink(folder / "masks", overwrite=work.exists)
        state = work.load()
        stages = Stages(SummingSegmenter(), BandRenderer(fail_at), CountingPropagator(), [video, masks])
        run = ChunkedRun(source, stages, work, options=options, seconds=seconds, facts={})
        work.claim()
        if state is not None:
            run.restore(state)
        run.run()
        return run
    finally:
        video.abort()
        source.close()


def result(folder: Path) -> dict[str, bytes]:
    """All files of a finished run."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed")
    run = do_run(folder)
    assert run is not None and run.stats.delivered == 5 and run.stats.inferred == 3
    found = result(folder)
    assert sorted(found) == [*(f"masks/{i:06d}.png" for i in range(5)), "out.mov"]
    return found


def test_chunks_are_the_undivided_run(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    source = PatternSource(PATTERN)
    sinks = [
        AvSink(tmp_path / "out.mov", source.info, overwrite=False, encode=EncodeOptions(codec="mjpeg")),
        LabelMapSink(tmp_path / "masks", overwrite=False),
    ]
    Pipeline(source, SummingSegmenter(), BandRenderer(), sinks, propagator=CountingPropagator(), options=OPTIONS).run()
    plain = result(tmp_path)
    assert {name: data for name, data in plain.items() if name != "out.mov"} == {
        name: data for name, data in undisturbed.items() if name != "out.mov"
    }
    whole, chunked = tmp_path / "out.mov", tmp_path / "pieced.mov"
    chunked.write_bytes(undisturbed["out.mov"])
    assert frame_times(whole) == frame_times(chunked)
    # every picture of this codec stands for itself, so not even the packets differ
    assert all((a == b).all() for a, b in zip(pictures(whole), pictures(chunked), strict=True))


def operations(tmp_path: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        power = Power(patch, tmp_path)
        do_run(tmp_path)
        return power.count


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="names open folders through Linux's /proc")
@pytest.mark.parametrize("lost", [pytest.param(False, marks=pytest.mark.slow), True], ids=["killed", "power lost"])
def test_cut_off_between_any_two_file_operations(tmp_path: Path, undisturbed: dict[str, bytes], lost: bool) -> None:
    (tmp_path / "count").mkdir()
    total = operations(tmp_path / "count")
    assert total > 30
    for fail_at in range(1, total + 1):
        folder = tmp_path / str(fail_at)
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            power = Power(patch, folder, fail_at)
            with pytest.raises(PowerLoss):
                do_run(folder)
        if lost:
            power.lose()
        work = WorkFolder(folder / "out.mov")
        if work.exists and not os.listdir(work.path):
            work.path.rmdir()  # the very last step was missing, or the first of all was done
        if work.exists or not work.output.exists():
            do_run(folder)
        found = {name: data for name, data in result(folder).items() if not name.endswith(".part")}
        assert found == undisturbed, f"cut off before operation {fail_at}"
        assert not work.exists


@pytest.mark.parametrize("stop_at", range(5))
def test_a_run_that_fails_at_any_frame_goes_on(tmp_path: Path, undisturbed: dict[str, bytes], stop_at: int) -> None:
    with pytest.raises(RuntimeError, match="renderer broke"):
        do_run(tmp_path, fail_at=stop_at)
    assert not (tmp_path / "out.mov").exists()
    again = do_run(tmp_path)
    assert again is not None
    assert (again.stats.decoded, again.stats.delivered, again.stats.inferred, again.stats.held) == (5, 5, 3, 2)
    assert result(tmp_path) == undisturbed


@pytest.mark.parametrize("name", ["replace", "fsync"])
def test_a_full_disk_keeps_what_is_finished_and_the_run_goes_on(
    tmp_path: Path, undisturbed: dict[str, bytes], name: str
) -> None:
    plain, calls = getattr(os, name), iter(range(1000))

    def full(*words: object) -> None:
        if next(calls) >= 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(*words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, full)
        with pytest.raises(WriteError, match="disk full"):
            do_run(tmp_path)
    work = WorkFolder(tmp_path / "out.mov")
    state = work.load()
    assert state is not None and not (tmp_path / "out.mov").exists()
    do_run(tmp_path)
    assert result(tmp_path) == undisturbed


def test_a_source_that_breaks_off_can_be_gone_on_with(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    class Broken(PatternSource):
        def _frames(self):  # type: ignore[no-untyped-def]
            for frame in super()._frames():
                if frame.index == 3:
                    raise SourceError("reading failed: the network drive is gone")
                yield frame

    run = do_run(tmp_path, source=Broken(PATTERN))
    assert run is not None and run.stats.broken_source is not None and run.kept_frames == 2
    assert not (tmp_path / "out.mov").exists()
    do_run(tmp_path)
    assert result(tmp_path) == undisturbed


def frames_of(source: ChunkSource) -> list[list[tuple[int, int | None]]]:
    """(index, duration) of all frames, chunk by chunk."""
    chunks: list[list[tuple[int, int | None]]] = []
    while not source.ended:
        chunks.append([(frame.index, frame.duration) for frame in source])
    return chunks


def chunk_source(seconds: float, max_fps: float | None = None, frames: int = 11) -> ChunkSource:
    source = PatternSource(f"test:32x32@10,frames={frames}")
    return ChunkSource(source, seconds=seconds, max_fps=max_fps, stats=RunStats())


def test_chunks_end_by_the_times_of_the_frames() -> None:
    assert [[i for i, _ in chunk] for chunk in frames_of(chunk_source(0.4))] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    assert [len(chunk) for chunk in frames_of(chunk_source(0.01))] == [2, 2, 2, 2, 2, 1]
    assert [len(chunk) for chunk in frames_of(chunk_source(100))] == [11]


def test_frames_left_out_lengthen_the_one_before_also_at_the_end_of_a_chunk() -> None:
    found = frames_of(chunk_source(0.6, max_fps=10 / 3))
    assert found == [[(0, 3), (3, 3)], [(6, 3), (9, 2)]]


def test_a_chunk_goes_on_in_another_process_with_the_frame_that_ended_the_last(tmp_path: Path) -> None:
    whole = frames_of(chunk_source(0.6, max_fps=5))
    first = chunk_source(0.6, max_fps=5)
    assert [(frame.index, frame.duration) for frame in first] == whole[0]
    second = chunk_source(0.6, max_fps=5)
    second.restore(first.state())
    assert frames_of(second) == whole[1:]


def test_limit_and_the_end_on_a_cut_leave_no_empty_chunk(tmp_path: Path) -> None:
    for limit, expected in ((2, 2), (4, 4), (None, 5)):
        folder = tmp_path / str(limit)
        folder.mkdir()
        run = do_run(folder, options=PipelineOptions(limit=limit))
        assert run is not None and run.stats.delivered == expected
        assert frame_times(folder / "out.mov") == [Fraction(i, 10) for i in range(expected)]


def test_a_source_without_frames_is_told(tmp_path: Path) -> None:
    class Empty(PatternSource):
        def _frames(self):  # type: ignore[no-untyped-def]
            return iter(list[Frame]())

    with pytest.raises(WriteError, match="no frame was written"):
        do_run(tmp_path, source=Empty(PATTERN))
