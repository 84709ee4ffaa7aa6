"""The source's audio in the file that is written: same packets, same times, cut where the pictures stop."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.sinks.sink_helpers import (
    audio_packets,
    file_frames,
    file_info,
    frame_times,
    make_frame,
    pictures,
    video_info,
    write_all,
)
from tests.video.clips import AUDIO_RATE, counter_picture, make_audio, make_clip
from vidseg.errors import WriteError
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.gif_sink import GifSink
from vidseg.sources.av_source import AvSource
from vidseg.video.audio_copy import AudioCopy
from vidseg.video.encoders import EncodeOptions

REAL_AVI = Path(__file__).parent.parent / "sources" / "files" / "h264_bframes_real.avi"


def audio_tracks(path: Path) -> list[tuple[str, str | None]]:
    """(codec, language) of each audio track."""
    with av.open(str(path)) as container:
        return [(s.codec_context.name, s.metadata.get("language")) for s in container.streams.audio]


def tone_energy(path: Path, start: float, end: float, frequency: float = 440.0) -> float:
    """Share of the signal between two times that is a tone of `frequency`: 1 for the tone alone."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        pieces = []
        for frame in container.decode(stream):
            assert frame.pts is not None and frame.time_base is not None
            at = float(frame.pts * frame.time_base)
            if start <= at < end:
                samples = frame.to_ndarray().astype(float)
                pieces.append(samples[0] if frame.format.is_planar else samples.ravel()[:: frame.layout.nb_channels])
    signal = np.concatenate(pieces)
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    frequencies = np.fft.rfftfreq(len(signal), 1 / rate)
    return float(spectrum[np.abs(frequencies - frequency) < 30].sum() / spectrum.sum())


def write_with_tracks(
    path: Path, tracks: Sequence[tuple[str, str, int]], *, seconds: float = 1.0, options: dict[str, Any] | None = None
) -> Path:
    """A clip with one tone per (codec, language, channels), all properly interleaved."""
    with av.open(str(path), "w", options=options or {}) as output:
        output.metadata["title"] = "Two tongues"
        video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        video.width, video.height = 64, 48
        streams = []
        for codec, language, channels in tracks:
            stream = output.add_stream(codec, rate=AUDIO_RATE, layout="mono" if channels == 1 else "stereo")
            stream.metadata["language"] = language
            streams.append(stream)
        for index in range(round(seconds * 25)):
            output.mux(video.encode(av.VideoFrame.from_ndarray(make_frame(index).image)))
            for stream in streams:
                start = index * AUDIO_RATE // 25
                times = np.arange(start, start + AUDIO_RATE // 25) / AUDIO_RATE
                tone = (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
                stacked = np.stack([tone] * stream.layout.nb_channels)
                frame = av.AudioFrame.from_ndarray(stacked, format="fltp", layout=stream.layout)
                frame.rate, frame.pts, frame.time_base = AUDIO_RATE, start, Fraction(1, AUDIO_RATE)
                output.mux(stream.encode(frame))
        for stream in [video, *streams]:
            output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_packets_and_times_are_the_same(tmp_path: Path, ending: str) -> None:
    source = make_clip(tmp_path / f"in.{ending}", frames=50, audio_seconds=2.0)
    output = tmp_path / f"out.{ending}"
    sink = write_all(AvSink(output, file_info(source), overwrite=False), file_frames(source))
    assert audio_packets(output) == audio_packets(source)
    assert frame_times(output) == frame_times(source)
    assert sink.notes == ()


def test_mp4_to_matroska_leaves_the_pictures_at_their_times_and_drops_only_encoder_priming(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=50, audio_seconds=2.0)
    write_all(AvSink(tmp_path / "out.mkv", file_info(source), overwrite=False), file_frames(source))
    wanted, found = audio_packets(source), audio_packets(tmp_path / "out.mkv")
    assert [data for _, data in found] == [data for at, data in wanted if at >= 0]
    assert all(abs(a - b) <= Fraction(1, 1000) for (a, _), (b, _) in zip(found, wanted[1:], strict=True))
    assert frame_times(tmp_path / "out.mkv") == frame_times(source)


def test_transport_stream_to_mp4_keeps_the_offset_between_audio_and_picture(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.ts", pts=[280 + 40 * i for i in range(40)], audio_seconds=2.0)
    write_all(AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False), file_frames(source))
    offset = [audio_packets(path)[0][0] - frame_times(path)[0] for path in (source, tmp_path / "out.mp4")]
    assert abs(offset[0] - offset[1]) <= Fraction(1, AUDIO_RATE)


def test_late_pictures_beside_early_audio(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[520 + 40 * i for i in range(20)], audio_seconds=1.3)
    write_all(AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False), file_frames(source))
    assert frame_times(tmp_path / "out.mp4")[0] == Fraction(520, 1000)
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


def test_a_start_moved_to_zero_moves_the_audio_as_well(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[480 + 40 * i for i in range(20)], audio_seconds=1.3)
    write_all(AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False, rebase=True), file_frames(source))
    assert frame_times(tmp_path / "out.mp4")[0] == 0
    source_times = dict((data, at) for at, data in audio_packets(source))
    found = audio_packets(tmp_path / "out.mp4")
    assert {source_times[data] - at for at, data in found} == {Fraction(480, 1000)}
    assert -Fraction(1024, AUDIO_RATE) < found[0][0] <= 0, "sound before the first picture is left out"


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_far_start_finds_its_audio(tmp_path: Path, ending: str) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[200 * i for i in range(100)], audio_seconds=20.0)
    frames = [frame for frame in file_frames(source) if frame.seconds >= 15]
    write_all(AvSink(tmp_path / f"out.{ending}", file_info(source), overwrite=False), frames)
    assert frame_times(tmp_path / f"out.{ending}")[0] == 0
    wanted = [(at - 15, data) for at, data in audio_packets(source) if at - 15 > -Fraction(1024, AUDIO_RATE)]
    found = audio_packets(tmp_path / f"out.{ending}")
    assert [data for _, data in found] == [data for _, data in wanted]
    # Matroska cannot start below zero: its first packet may be a packet late
    assert abs(found[0][0] - wanted[0][0]) < Fraction(1024, AUDIO_RATE)
    tolerance = 0 if ending == "mp4" else Fraction(1, 1000)
    assert all(abs(a - b) <= tolerance for (a, _), (b, _) in zip(found[1:], wanted[1:], strict=True))


def test_audio_is_cut_where_the_run_was_ended(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=75, audio_seconds=3.0)
    write_all(AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False), file_frames(source, limit=20))
    found = audio_packets(tmp_path / "out.mp4")
    assert found == audio_packets(source)[: len(found)]
    assert Fraction(76, 100) < found[-1][0] < Fraction(80, 100)


def test_audio_longer_than_the_pictures_stays_when_these_are_complete(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=20, audio_seconds=2.0)
    write_all(AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False), file_frames(source))
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


def test_long_tail_of_audio_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidseg.video.audio_copy._TAIL_PACKETS", 5)
    source = make_clip(tmp_path / "in.mp4", frames=20, audio_seconds=2.0)
    write_all(AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False), file_frames(source))
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)


def test_audio_shorter_than_the_pictures(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=50, audio_seconds=0.5)
    write_all(AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False), file_frames(source))
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(source)
    assert len(frame_times(tmp_path / "out.mp4")) == 50


def test_a_file_of_audio_alone_is_cut_with_the_pictures(tmp_path: Path) -> None:
    audio = make_audio(tmp_path / "in.m4a", seconds=2.0)
    sink = AvSink(tmp_path / "out.mp4", video_info(audio_path=str(audio)), overwrite=False)
    write_all(sink, (make_frame(i) for i in range(25)))
    assert Fraction(97, 100) < audio_packets(tmp_path / "out.mp4")[-1][0] < 1


def test_all_tracks_are_kept_with_language_and_title(tmp_path: Path) -> None:
    source = write_with_tracks(tmp_path / "in.mkv", [("aac", "eng", 2), ("ac3", "deu", 1)])
    for ending in ("mkv", "mp4"):
        output = tmp_path / f"out.{ending}"
        write_all(
            AvSink(output, file_info(source), overwrite=False, source_paths=[source]),
            file_frames(source),
        )
        assert audio_tracks(output) == [("aac", "eng"), ("ac3", "deu")]
        with av.open(str(output)) as container:
            assert container.metadata["title"] == "Two tongues"
        for track in (0, 1):
            found, wanted = audio_packets(output, track), audio_packets(source, track)
            assert [data for _, data in found] == [data for _, data in wanted]


def test_no_audio_when_told(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=10, audio_seconds=0.4)
    sink = write_all(
        AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False, encode=EncodeOptions(audio="none")),
        file_frames(source),
    )
    assert audio_tracks(tmp_path / "out.mp4") == []
    assert sink.notes == ()


def test_gif_leaves_the_audio_out_and_says_so(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=5, audio_seconds=0.2)
    sink = write_all(GifSink(tmp_path / "out.gif", file_info(source), overwrite=False), file_frames(source))
    assert any("cannot contain audio" in note for note in sink.notes)


@pytest.mark.parametrize(
    ("codec", "source_ending", "ending", "result"),
    [
        ("aac", "mkv", "webm", "opus"),
        ("pcm_s16le", "mkv", "mp4", "aac"),
        ("aac", "mp4", "avi", "mp3float"),
        ("libopus", "mkv", "mov", "aac"),
        ("flac", "mkv", "ts", "aac"),
    ],
)
def test_codec_that_does_not_fit_is_encoded_again_in_time(
    tmp_path: Path, codec: str, source_ending: str, ending: str, result: str
) -> None:
    source = write_with_tracks(tmp_path / f"in.{source_ending}", [(codec, "eng", 2)], seconds=2.0)
    output = tmp_path / f"out.{ending}"
    sink = write_all(AvSink(output, file_info(source), overwrite=False), file_frames(source))
    assert audio_tracks(output)[0][0] == result
    assert any("encoded as" in note for note in sink.notes)
    packets = audio_packets(output)
    assert abs(packets[0][0]) < Fraction(3, 100)
    assert abs(packets[-1][0] - 2) < Fraction(8, 100)
    assert tone_energy(output, 0.1, 1.9) > 0.98


@pytest.mark.parametrize("codec", ["libopus", "flac", "libmp3lame", "ac3"])
def test_codecs_that_fit_mp4_are_copied(tmp_path: Path, codec: str) -> None:
    source = write_with_tracks(tmp_path / "in.mkv", [(codec, "eng", 2)])
    output = tmp_path / "out.mp4"
    sink = write_all(AvSink(output, file_info(source), overwrite=False), file_frames(source))
    assert [data for _, data in audio_packets(output)] == [data for _, data in audio_packets(source)]
    tolerance = Fraction(1, 1000)  # the source counts in milliseconds
    assert all(
        abs(a - b) <= tolerance for (a, _), (b, _) in zip(audio_packets(output), audio_packets(source), strict=True)
    )
    assert sink.notes == ()


def test_audio_that_cannot_be_read_costs_a_note_not_the_video(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\0" * 1000)
    for path in (broken, tmp_path / "gone.mp4"):
        sink = AvSink(tmp_path / "out.mp4", video_info(audio_path=str(path)), overwrite=True)
        write_all(sink, (make_frame(i) for i in range(5)))
        assert len(frame_times(tmp_path / "out.mp4")) == 5
        assert any("the audio is left out" in note for note in sink.notes)
        assert all("\n" not in note for note in sink.notes)


def test_audio_file_cut_off_in_the_middle(tmp_path: Path) -> None:
    source = write_with_tracks(tmp_path / "in.ts", [("aac", "eng", 2)], seconds=2.0)
    info = file_info(source)
    frames = list(file_frames(source))
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    write_all(AvSink(tmp_path / "out.mp4", info, overwrite=False), frames)
    assert len(frame_times(tmp_path / "out.mp4")) == len(frames)
    assert 0.5 < audio_packets(tmp_path / "out.mp4")[-1][0] < 1.5


@pytest.mark.parametrize("ending", ["mp4", "webm"], ids=["copied", "encoded again"])
def test_damaged_audio_packets_do_not_stop_the_video(tmp_path: Path, ending: str) -> None:
    source = write_with_tracks(tmp_path / "in.mkv", [("aac", "eng", 2)], seconds=2.0)
    info, frames = file_info(source), list(file_frames(source))
    data = bytearray(source.read_bytes())
    for _, packet in audio_packets(source)[20:40]:
        at = data.find(packet)
        data[at : at + len(packet)] = b"\xff" * len(packet)
    source.write_bytes(data)
    output = tmp_path / f"out.{ending}"
    sink = write_all(AvSink(output, info, overwrite=False), frames)
    assert len(frame_times(output)) == len(frames)
    assert audio_packets(output)[-1][0] > Fraction(19, 10)
    if ending == "webm":
        assert any("damaged" in note for note in sink.notes)


def test_counter_that_starts_anew_goes_on_behind_the_last_packet(tmp_path: Path) -> None:
    """Two recordings joined: the source moves the later pictures, the audio has to follow."""
    part = make_clip(tmp_path / "part.ts", frames=50, audio_seconds=2.0)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    with av.open(str(joined)) as container:
        clock = container.streams.video[0].time_base
    frames = [make_frame(i, pts=3600 * i, time_base=clock or Fraction(1, 90000), duration=3600) for i in range(100)]
    write_all(AvSink(tmp_path / "out.mp4", file_info(joined), overwrite=False), frames)
    assert audio_packets(tmp_path / "out.mp4")[-1][0] > Fraction(38, 10)


def test_audio_is_read_no_further_than_the_pictures(tmp_path: Path) -> None:
    """Bounded memory: after one frame, a minute of audio has not been read."""
    source = make_clip(tmp_path / "in.mp4", frames=100, audio_seconds=4.0)
    sink = AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False)
    frame = next(file_frames(source))
    sink.write(frame, None, frame.image)  # type: ignore[arg-type]
    assert sink._audio is not None
    last = sink._audio.tracks[0].last_dts
    assert last is not None and last <= 1024
    sink.abort()


def test_encoded_audio_moves_with_a_start_moved_to_zero(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[480 + 40 * i for i in range(20)], audio_seconds=1.28)
    write_all(AvSink(tmp_path / "out.webm", file_info(source), overwrite=False, rebase=True), file_frames(source))
    packets = audio_packets(tmp_path / "out.webm")
    assert abs(packets[0][0]) < Fraction(3, 100)
    assert abs(packets[-1][0] - Fraction(80, 100)) < Fraction(8, 100)


def test_gap_becomes_silence_where_the_container_has_no_times_for_audio(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as output:
        video = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        video.width, video.height = 64, 48
        audio = output.add_stream("flac", rate=AUDIO_RATE, layout="mono")
        for index in range(75):
            output.mux(video.encode(av.VideoFrame.from_ndarray(make_frame(index).image)))
        for start in [*range(0, AUDIO_RATE, 4800), *range(2 * AUDIO_RATE, 3 * AUDIO_RATE, 4800)]:
            tone = np.sin(2 * np.pi * 440 * np.arange(start, start + 4800) / AUDIO_RATE)
            frame = av.AudioFrame.from_ndarray((10_000 * tone).astype(np.int16)[None], format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = AUDIO_RATE, start, Fraction(1, AUDIO_RATE)
            output.mux(audio.encode(frame))
        output.mux([*video.encode(None), *audio.encode(None)])
    write_all(AvSink(tmp_path / "out.avi", file_info(source), overwrite=False), file_frames(source))
    with av.open(str(tmp_path / "out.avi")) as container:
        signal = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    second = len(signal) // 3
    assert 2.9 < len(signal) / AUDIO_RATE < 3.1
    loud = [float(np.abs(signal[k * second + second // 4 : k * second + 3 * second // 4]).mean()) for k in range(3)]
    assert loud[1] < 0.01 * min(loud[0], loud[2])


@pytest.mark.parametrize(("code", "stops"), [(errno.ENOSPC, True), (errno.EINVAL, False)], ids=["disk", "damage"])
def test_disk_failure_is_not_taken_for_damage(tmp_path: Path, code: int, stops: bool) -> None:
    class Failing:
        def __init__(self, output: Any) -> None:
            self.add_stream_from_template = output.add_stream_from_template

        def mux(self, packet: Any) -> None:
            av.error.err_check(-code)

    source = make_clip(tmp_path / "in.mp4", frames=5, audio_seconds=0.2)
    audio = AudioCopy(str(source), "mp4")
    output: Any = Failing(av.open(str(tmp_path / "out.mp4"), "w"))
    audio.add_streams(output, Fraction(0))
    if stops:
        with pytest.raises(OSError, match="No space left"):
            audio.pump(output, Fraction(1))
    else:
        audio.pump(output, Fraction(1))
        assert any("ends early" in note for note in audio.notes)
    audio.close()
    audio.close()


def test_disk_failure_in_the_audio_is_not_taken_for_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=25, audio_seconds=1.0)

    def full(self: Any, output: Any, track: Any, packet: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidseg.video.audio_copy.AudioCopy._mux", full)
    sink = AvSink(tmp_path / "out.mp4", file_info(source), overwrite=False)
    with pytest.raises(WriteError, match="disk full"):
        write_all(sink, file_frames(source))
    sink.abort()
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("ending", ["mkv", "mp4", "avi", "webm"])
def test_a_dvd_loses_no_audio_where_a_packet_lies_in_two_blocks(tmp_path: Path, ending: str) -> None:
    """FFmpeg gives such a packet the time of the next one."""
    path = tmp_path / "a.vob"
    with av.open(str(path), "w", format="dvd") as output:
        video = output.add_stream("mpeg2video", 25, {"b": "800k"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream("ac3", 48_000, layout="mono")
        wave = (np.sin(np.arange(20 * 48_000) / 20) / 4).astype(np.float32)
        for index in range(20 * 25):
            frame = av.VideoFrame.from_ndarray(counter_picture(index, 64, 48), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            output.mux(video.encode(frame))
            piece = av.AudioFrame.from_ndarray(wave[None, 1920 * index : 1920 * (index + 1)].copy(), "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = 48_000, 1920 * index, Fraction(1, 48_000)
            output.mux(audio.encode(piece))
        output.mux([*video.encode(None), *audio.encode(None)])
    given = [at for at, _ in audio_packets(path)]
    assert len(given) == 625 and len(set(given)) < 625, "else FFmpeg has been mended"
    out = tmp_path / f"b.{ending}"
    sink = write_all(AvSink(out, file_info(path), overwrite=False), file_frames(path))
    if ending == "webm":  # Opus
        with av.open(str(out)) as container:
            assert abs(sum(frame.samples for frame in container.decode(audio=0)) - 20 * 48_000) < 4000
        return
    times = [at for at, _ in audio_packets(out)]
    assert len(times) == 625 and not any("out of order" in note for note in sink.notes)
    assert all(abs(after - before - Fraction(32, 1000)) <= Fraction(1, 1000) for before, after in pairwise(times))


def flash_and_click(path: Path, codec: str, *, start: float, audio_start: float) -> Path:
    """4 s at 25 fps from `start` on, black but for a flash 1 s later, and audio with a click at the flash."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("mpeg2video" if path.suffix == ".ts" else "mpeg4", 25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = output.add_stream(codec, AUDIO_RATE, layout="mono")
        shift = round(start * 25)
        wave = np.zeros(4 * AUDIO_RATE)
        wave[AUDIO_RATE : AUDIO_RATE + 1440] = np.sin(np.arange(1440) / 4) * 0.8
        for index in range(100):
            picture = np.full((48, 64, 3), 255 if index == 25 else 0, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index + shift, Fraction(1, 25)
            output.mux(video.encode(frame))
        resampler = av.AudioResampler(
            audio.format, "mono", AUDIO_RATE, frame_size=audio.codec_context.frame_size or 1024
        )
        piece = av.AudioFrame.from_ndarray(
            (wave[None, round(audio_start * AUDIO_RATE) :] * 30_000).astype(np.int16), "s16", "mono"
        )
        piece.sample_rate, piece.time_base = AUDIO_RATE, Fraction(1, AUDIO_RATE)
        piece.pts = round((start + audio_start) * AUDIO_RATE)
        for part in (*resampler.resample(piece), *resampler.resample(None)):
            output.mux(audio.encode(part))
        output.mux([*video.encode(None), *audio.encode(None)])
    return path


@pytest.mark.parametrize("audio_start", [0.0, 0.6])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.ts", "mp2"), ("a.ts", "ac3"), *(("a.mkv", codec) for codec in ("libmp3lame", "pcm_s16le", "pcm_u8", "aac"))],
)
@pytest.mark.parametrize("start", [0.0, 1.48])
def test_audio_is_in_step_where_the_container_only_counts(
    tmp_path: Path, name: str, codec: str, start: float, audio_start: float
) -> None:
    source = flash_and_click(tmp_path / name, codec, start=start, audio_start=audio_start)
    out = tmp_path / "out.avi"
    sink = write_all(AvSink(out, file_info(source), overwrite=False), file_frames(source))
    bright = [image.mean() > 128 for image in pictures(out)]
    assert len(bright) == 100 and bright.index(True) == 25, "frames are counted from 0"
    with av.open(str(out)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        signal = np.concatenate([frame.reshape(-1) for frame in frames]).astype(float)
        rate = container.streams.audio[0].codec_context.sample_rate
    signal = np.abs(signal - 128 if codec == "pcm_u8" else signal)
    assert abs(int(np.argmax(signal > signal.max() / 2)) / rate - 1) < 0.03
    assert len(signal) / rate == pytest.approx(4, abs=0.08)
    assert any("start at 0" in note for note in sink.notes) == (start > 0 or name == "a.ts")


def test_a_hole_in_copied_audio_becomes_silence_where_the_container_only_counts(tmp_path: Path) -> None:
    source = flash_and_click(tmp_path / "in.mkv", "libmp3lame", start=0, audio_start=0)
    audio = audio_packets(source)
    with av.open(str(source)) as container, av.open(str(tmp_path / "hole.mkv"), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            at = packet.pts * packet.time_base if packet.pts is not None else None
            if at is None or (packet.stream.type == "audio" and 1 <= at < 2):
                continue
            packet.stream = streams[packet.stream_index]
            output.mux(packet)
    hole = tmp_path / "hole.mkv"
    write_all(AvSink(tmp_path / "out.avi", file_info(hole), overwrite=False), file_frames(hole))
    assert abs(len(audio_packets(tmp_path / "out.avi")) - len(audio)) <= 2


@pytest.mark.parametrize("ending", ["mp4", "avi", "webm"], ids=["copied", "counted", "encoded again"])
def test_an_avi_whose_header_shortens_its_audio_keeps_it_in_step(tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"out.{ending}"
    with AvSource(REAL_AVI) as source:  # 78 packets of 26 ms, which its header puts into 20 ms
        info = source.info
        write_all(AvSink(target, info, overwrite=False), source)
    times = [seconds for seconds, _ in audio_packets(target)]
    assert 1.9 < times[-1] - times[0] < 2.1
    longest = {"mp4": Fraction(1152, 44100), "avi": Fraction(1152, 44100), "webm": Fraction(1, 50)}[ending]
    assert all(abs(after - before - longest) < Fraction(1, 500) for before, after in pairwise(times))
