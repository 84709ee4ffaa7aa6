"""Subtitles and chapters of the source: kept where the container holds them, else told in one line."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest

from tests.sinks.sink_helpers import file_frames, file_info, pictures, write_all
from tests.video.clips import counter_picture
from vidseg.config import RunConfig
from vidseg.labels import ade20k
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.chunked_video import ChunkedAvSink
from vidseg.sinks.gif_sink import GifSink
from vidseg.wiring.outputs import open_sinks

LINES = [(0, 900, "hello <i>you</i>\nsecond line"), (1000, 1500, "straße"), (2600, 3300, "bye")]
CHAPTERS = [(0, 2000, "One"), (2000, 4000, "Two")]


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s at 25 fps with SRT in German, two chapters and audio."""
    return make_film(tmp_path_factory.mktemp("film") / "film.mkv")


def make_film(path: Path, shift: int = 0) -> Path:
    """`shift` is where it begins, in ms."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg4", 25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        text = output.add_mux_stream("subrip")
        text.time_base = Fraction(1, 1000)
        text.metadata.update({"language": "ger", "title": "Deutsch"})
        output.set_chapters(
            [
                {
                    "id": i,
                    "start": a + shift,
                    "end": b + shift,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": t},
                }
                for i, (a, b, t) in enumerate(CHAPTERS)
            ]
        )
        output.start_encoding()
        for start, end, words in LINES:
            packet = av.Packet(words.encode())
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = start + shift
            packet.duration = end - start
            output.mux(packet)
        for index in range(100):
            frame = av.VideoFrame.from_ndarray(counter_picture(index, 64, 48), format="rgb24")
            frame.pts, frame.time_base = index + shift // 40, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
    return path


def info_of(path: Path) -> Any:
    return replace(file_info(path), audio_path=None, source_paths=(str(path),))


def subtitles(path: Path) -> list[tuple[int, int, str]]:
    """(start and end in ms, words) of the first track."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        for packet in container.demux(stream):
            if packet.size and (shown := stream.decode2(packet)) is not None and len(shown):
                start, length = (round(1000 * ticks * packet.time_base) for ticks in (packet.pts, packet.duration))
                words = (
                    shown[0]
                    .ass.decode()
                    .split(",", 8)[8]
                    .replace("{\\i1}", "<i>")
                    .replace("{\\i0}", "</i>")
                    .replace("{\\r}", "</i>")
                )
                found.append((start, start + length, words.replace("\\N", "\n")))
    return found


def chapters(path: Path) -> list[tuple[int, int, str]]:
    with av.open(str(path)) as container:
        return [
            (*(round(1000 * c[side] * c["time_base"]) for side in ("start", "end")), c["metadata"]["title"])
            for c in container.chapters()
        ]


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("mkv", "srt"), ("mp4", "mov_text"), ("mov", "mov_text"), ("m4v", "mov_text"), ("webm", "webvtt")],
)
def test_both_are_kept_where_the_container_holds_them(tmp_path: Path, film: Path, ending: str, codec: str) -> None:
    out = tmp_path / f"out.{ending}"
    sink = write_all(AvSink(out, info_of(film), overwrite=False), file_frames(film))
    assert subtitles(out) == LINES and chapters(out) == CHAPTERS and sink.notes == ()
    with av.open(str(out)) as container:
        stream = container.streams.subtitles[0]
        assert stream.codec_context.name in (codec, "subrip") and stream.metadata["language"] == "ger"
        assert len(container.streams.video) == 1
    assert len(pictures(out)) == 100


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_text_of_mp4_goes_on_in_both(tmp_path: Path, film: Path, ending: str) -> None:
    first = tmp_path / "first.mp4"
    write_all(AvSink(first, info_of(film), overwrite=False), file_frames(film))
    out = tmp_path / f"out.{ending}"
    write_all(AvSink(out, info_of(first), overwrite=False), file_frames(first))
    assert subtitles(out) == LINES and chapters(out) == CHAPTERS


@pytest.mark.parametrize("ending", ["avi", "ts", "gif"])
def test_where_it_does_not_one_line_says_so(tmp_path: Path, film: Path, ending: str) -> None:
    kind = GifSink if ending == "gif" else AvSink
    sink = write_all(kind(tmp_path / f"out.{ending}", info_of(film), overwrite=False), islice(file_frames(film), 5))
    told = [note for note in sink.notes if "left out" in note]
    assert len(told) == 1 and told[0].endswith("does not support chapters, subtitle track 1 (srt); left out")


def test_a_start_moved_to_zero_moves_both(tmp_path: Path) -> None:
    late = make_film(tmp_path / "late.mkv", shift=20_000)
    out = tmp_path / "out.mp4"
    write_all(AvSink(out, info_of(late), overwrite=False), file_frames(late))
    assert subtitles(out) == LINES and chapters(out) == CHAPTERS


def test_what_is_over_before_the_first_picture_is_left_out(tmp_path: Path, film: Path) -> None:
    out = tmp_path / "out.mkv"
    write_all(AvSink(out, info_of(film), overwrite=False, rebase=True), islice(file_frames(film), 55, None))
    assert subtitles(out) == [(400, 1100, "bye")] and chapters(out) == [(0, 1800, "Two")]


def test_subtitles_end_with_the_pictures(tmp_path: Path, film: Path) -> None:
    out = tmp_path / "out.mkv"
    write_all(AvSink(out, info_of(film), overwrite=False), islice(file_frames(film), 30))
    assert subtitles(out) == LINES[:2]


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_what_is_shown_at_the_end_of_a_part_ends_with_it(tmp_path: Path, film: Path, ending: str) -> None:
    out = tmp_path / f"out.{ending}"
    part = replace(info_of(film), duration_seconds=1.2)
    write_all(AvSink(out, part, overwrite=False), islice(file_frames(film), 30))
    assert subtitles(out) == [LINES[0], (1000, 1200, "straße")] and chapters(out) == [(0, 1200, "One")]


def test_a_limit_cuts_nothing_by_the_average_rate(tmp_path: Path, film: Path) -> None:
    """A phone's clip may begin slowly: its rate does not tell how long its first pictures last."""
    config = RunConfig(source=str(film), output=str(tmp_path / "out.mkv"), limit=30)
    (sink,) = open_sinks(config, replace(info_of(film), duration_seconds=4.0, frame_rate=Fraction(100)), ade20k())
    write_all(sink, islice(file_frames(film), 30))
    assert subtitles(tmp_path / "out.mkv") == LINES[:2]


def test_a_video_in_chunks_has_both(tmp_path: Path, film: Path) -> None:
    out = tmp_path / "out.mp4"
    sink = ChunkedAvSink(out, info_of(film), overwrite=False)
    paths = []
    frames = file_frames(film)
    for number in range(2):
        paths.append(tmp_path / f"{number}")
        chunk = sink.begin_chunk(paths[-1])
        for frame in islice(frames, 50):
            chunk.write(frame, None, frame.image)  # type: ignore[arg-type]
        chunk.close()
    sink.join(paths, lambda path: None)
    assert subtitles(out) == LINES and chapters(out) == CHAPTERS


def test_live_and_several_sources_have_none(tmp_path: Path, film: Path) -> None:
    for name, changes in (("live", {"live": True}), ("grid", {"source_paths": (str(film), str(film))})):
        out = tmp_path / f"{name}.mkv"
        sink = write_all(AvSink(out, replace(info_of(film), **changes), overwrite=False), islice(file_frames(film), 3))
        with av.open(str(out)) as container:
            assert len(container.streams) == 1 and sink.notes == ()
