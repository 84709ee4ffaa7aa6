"""One track of audio without a hole, whatever comes; and what an encoder makes of it in each container."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from tests.sinks.sink_helpers import make_frame, nothing_seen, video_info, write_all
from vidseg.audio import AUDIO_RATE, AudioBlock, AudioQueue
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.gif_sink import GifSink
from vidseg.sinks.hls_sink import HlsSink
from vidseg.video.audio_track import LATE_SECONDS, AudioTrack
from vidseg.video.encoders import EncodeOptions

LOUD = 9000


class Samples:
    """An encoder that keeps what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.left: list[int] = []
        self.ended = False
        self._error = error

    def encode(self, frame: av.AudioFrame | None) -> list[str]:
        if self._error is not None:
            raise self._error
        if frame is None:
            self.ended = True
            return ["end"]
        assert frame.pts == len(self.left) and frame.sample_rate == AUDIO_RATE
        self.left += frame.to_ndarray()[0, ::2].tolist()
        return ["packet"]

    def loud(self) -> list[tuple[float, float]]:
        """Seconds from and to where something is heard."""
        steps = np.flatnonzero(np.diff([0, *(np.array(self.left) != 0), 0]))
        return [(a / AUDIO_RATE, b / AUDIO_RATE) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def tone(start: float, seconds: float) -> AudioBlock:
    return AudioBlock(np.full((round(seconds * AUDIO_RATE), 2), LOUD, np.int16), Fraction(start))


def track(
    *pieces: AudioBlock, origin: float = 0.0, error: Exception | None = None
) -> tuple[AudioTrack, Samples, AudioQueue]:
    queue = AudioQueue()
    for piece in pieces:
        queue.put(piece)
    encoder = Samples(error)
    return AudioTrack(queue, encoder, Fraction(origin), Fraction(0)), encoder, queue


def test_audio_stands_where_its_time_says_and_the_rest_is_silent_up_to_the_end():
    one, heard, _ = track(tone(100.5, 1.0), tone(103.0, 0.5), origin=100.0)
    one.finish(Fraction(5))
    assert heard.loud() == [(0.5, 1.5), (3.0, 3.5)] and len(heard.left) == 5 * AUDIO_RATE and heard.ended
    assert one.notes == ["no audio arrived for 3.5 s of the video; it is silent there"]


def test_it_is_written_no_further_than_the_pictures():
    one, heard, _ = track(*(tone(second, 1.0) for second in range(4)))
    one.pump(Fraction(2))
    assert len(heard.left) == 2 * AUDIO_RATE


def test_late_audio_is_waited_for_and_then_silence_stands_there():
    one, heard, queue = track()
    one.pump(Fraction(LATE_SECONDS))
    assert heard.left == []
    queue.put(tone(0.0, 1.0))
    one.pump(Fraction(LATE_SECONDS + 3))
    assert heard.loud() == [(0.0, 1.0)] and len(heard.left) == 3 * AUDIO_RATE
    queue.put(tone(1.5, 2.0))  # half a second of it lies behind the silence
    one.finish(Fraction(LATE_SECONDS + 3))
    assert heard.loud() == [(0.0, 1.0), (3.0, 3.5)]
    assert "1.5 s of audio arrived too late for its frames and is left out" in one.notes


def test_what_was_before_the_first_picture_is_left_out_and_no_loss():
    one, heard, _ = track(tone(5.0, 4.0), origin=8.0)
    one.finish(Fraction(1))
    assert heard.loud() == [(0.0, 1.0)] and one.notes == []


def test_pictures_that_begin_late_have_no_silence_before_them(tmp_path):
    info = video_info(has_audio=True, audio=AudioQueue())
    for start in (1.3, 2.0):
        info.audio.put(beep(start))
    frames = [make_frame(index, pts=14 + index, time_base=Fraction(1, 10)) for index in range(10)]
    sink = write_all(AvSink(tmp_path / "a.mp4", info, overwrite=False), frames)
    assert sink.notes == (), "what was before the first picture is neither silence nor loss"
    _, starts, length = beeps(tmp_path / "a.mp4")
    assert starts == pytest.approx([1.4, 2.0], abs=0.04) and length == pytest.approx(2.4, abs=0.06)


def test_clocks_that_differ_a_little_are_corrected_rarely():
    pieces = [tone(0.1 * index * 1.001, 0.1) for index in range(100)]  # a gap of 0.1 ms each
    one, heard, _ = track(*pieces)
    one.finish(Fraction(10))
    assert len(heard.loud()) == 1, "10 ms in all: nothing to correct"
    pieces = [tone(0.1 * index * 1.01, 0.1) for index in range(100)]
    one, heard, _ = track(*pieces)
    one.finish(Fraction(10))
    assert len(heard.loud()) == 2, "100 ms in all"
    assert heard.loud()[-1][0] == pytest.approx(5.2, abs=0.2)


def test_two_pieces_at_the_same_time_do_not_make_the_audio_longer():
    one, heard, _ = track(tone(0.0, 1.0), tone(0.5, 1.0))
    one.finish(Fraction(2))
    assert heard.loud() == [(0.0, 1.5)]


def test_an_encoder_that_fails_ends_the_audio_and_nothing_else():
    one, _, queue = track(tone(0.0, 1.0), error=ValueError("no such thing"))
    assert one.pump(Fraction(1)) == []
    queue.put(tone(1.0, 1.0))
    assert one.pump(Fraction(9)) == [] and queue.take() == [], "what comes is not kept either"
    assert one.finish(Fraction(9)) == [] and one.notes == ["the audio ends early (no such thing)"]


# in files


def beeps(name: Any) -> tuple[str, list[float], float]:
    """Codec, times at which a beep begins, and how long the audio is; it has no holes and its times grow."""
    with av.open(str(name)) as container:
        stream = container.streams.audio[0]
        dts = [packet.dts for packet in container.demux(stream) if packet.size]
        assert dts == sorted(set(dts))
    with av.open(str(name)) as container:
        stream = container.streams.audio[0]
        frames = [(frame.time, np.abs(frame.to_ndarray()[0]), frame.sample_rate) for frame in container.decode(stream)]
    begin, rate = frames[0][0], frames[0][2]
    level = np.concatenate([samples for _, samples, _ in frames]).astype(float)
    assert frames[-1][0] == pytest.approx(begin + (len(level) - len(frames[-1][1])) / rate, abs=0.003), "no hole"
    on = np.flatnonzero(level > level.max() / 4) / rate + begin
    starts = [float(at) for last, at in zip([-1.0, *on], on, strict=False) if at - last > 0.1]
    return stream.codec_context.name, starts, begin + len(level) / rate


def beep(start: float) -> AudioBlock:
    wave = (LOUD * np.sin(2 * np.pi * 1000 * np.arange(9600) / AUDIO_RATE)).astype(np.int16)
    return AudioBlock(np.stack([wave, wave], axis=1), Fraction(start))


def live_info(*starts: float) -> Any:
    queue = AudioQueue()
    for start in starts:
        queue.put(beep(start))
    return video_info(live=True, has_audio=True, audio=queue)


def second_frames(seconds: int, start: int = 7) -> Iterable[Any]:
    """Ten pictures a second of a source whose count does not begin at 0."""
    return [make_frame(index, pts=10 * start + index, time_base=Fraction(1, 10)) for index in range(10 * seconds)]


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("mkv", "aac"), ("mp4", "aac"), ("mov", "aac"), ("ts", "aac"), ("webm", "opus"), ("avi", "mp3float")],
)
def test_the_audio_of_a_live_source_is_in_step_with_the_pictures_in_every_container(tmp_path, ending, codec):
    path = tmp_path / f"a.{ending}"
    sink = write_all(AvSink(path, live_info(7.5, 9.0, 11.3), overwrite=False), second_frames(6))
    found, starts, length = beeps(path)
    with av.open(str(path)) as container:
        pictures = [frame.time for frame in container.decode(video=0)]
    begin = pictures[0] if ending == "ts" else 0  # MPEG-TS does not begin at 0
    assert found == codec and len(pictures) == 60
    assert [start - begin for start in starts] == pytest.approx([0.5, 2.0, 4.3], abs=0.04)
    assert length - begin == pytest.approx(6.0, abs=0.06)
    assert any("no audio arrived for 5.4 s" in note for note in sink.notes)


def test_audio_none_takes_nothing(tmp_path):
    write_all(
        AvSink(tmp_path / "a.mkv", live_info(7.5), overwrite=False, encode=EncodeOptions(audio="none")),
        second_frames(1),
    )
    with av.open(str(tmp_path / "a.mkv")) as container:
        assert not container.streams.audio


def test_a_gif_says_that_it_holds_none(tmp_path):
    sink = write_all(GifSink(tmp_path / "a.gif", live_info(7.5), overwrite=False), second_frames(1))
    assert sink.notes == ("gif cannot contain audio; it is left out",)


def test_a_live_playlist_has_the_audio_and_no_picture_waits_for_it(tmp_path):
    info = live_info()
    sink = HlsSink(tmp_path / "a.m3u8", info, rolling=True, overwrite=False)
    for frame in second_frames(8):
        if frame.index in (60, 70):
            info.audio.put(beep(frame.seconds))
        sink.write(frame, nothing_seen(frame), frame.image)
        if frame.index == 35:  # no audio yet, not even silence in its place
            assert len(list(tmp_path.glob("*.ts"))) == 1
    sink.close()
    _, starts, _ = beeps(tmp_path / "a.m3u8")
    assert [b - a for a, b in itertools.pairwise(starts)] == pytest.approx([1.0], abs=0.01)


def test_a_full_disk_is_told_and_not_taken_for_damaged_audio(tmp_path):
    info = live_info(7.0)
    sink = AvSink(tmp_path / "a.mkv", info, overwrite=False)
    sink.write(make_frame(0, pts=7), nothing_seen(make_frame()), make_frame().image)

    class Full:
        def mux(self, packet: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        sink._audio.finish(Full(), Fraction(1), Fraction(1))
    sink.abort()
