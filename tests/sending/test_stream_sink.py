"""The rules of sending: what is lost while a receiver is away, when it is tried again, when it is given up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from tests.sinks.sink_helpers import file_frames, file_info, make_frame, nothing_seen, timed_frames, video_info
from tests.video.clips import make_clip
from vidseg.audio import AudioBlock, AudioQueue
from vidseg.errors import SinkError, WriteError
from vidseg.frames import Frame, VideoInfo
from vidseg.interfaces import SendingSink
from vidseg.sending import receiver_address
from vidseg.sending.receiver_address import stream_muxer
from vidseg.sending.stream_sink import StreamSink, Tries
from vidseg.video.encoders import EncodeOptions
from vidseg.video.protocols import has_protocol

URL = "udp://joe:s3cret@127.0.0.1:9"
PATIENT = Tries(wait_for_first=True)


class FakeSender:
    """A connection that the test makes and breaks."""

    def __init__(self) -> None:
        self.sending = False
        self.failure: str | None = None
        self.packets: list[tuple[int, bool]] = []
        self.audio: list[int] = []
        self.has_audio = False
        self.backlog = 0
        self.killed = self.finished = False
        self.finish_error: str | None = None

    def send(self, packet: Any, stream_format: Any) -> None:
        self.packets.append((packet.pts, packet.is_keyframe))
        self.has_audio = stream_format.audio is not None

    def send_audio(self, packet: Any) -> None:
        assert self.packets, "a picture comes first"
        assert packet.time_base == Fraction(1, 90_000) and packet.pts == packet.dts
        self.audio.append(packet.pts)

    def drop_backlog(self) -> int:
        dropped, self.backlog = self.backlog, 0
        return dropped

    def look(self) -> None:
        pass

    def finish(self, patience: float) -> bool:
        self.finished, self.failure = True, self.finish_error
        return self.failure is None

    def kill(self) -> None:
        self.killed = True


class Waits:
    """Always two seconds."""

    resets = 0

    def next(self) -> float:
        return 2.0

    def reset(self) -> None:
        self.resets += 1


class Stage:
    """A sink with fake connections, on a clock that the test moves."""

    def __init__(self, tries: Tries | None = None, info: VideoInfo | None = None, **options: Any) -> None:
        self.seconds = 0.0
        self.senders: list[FakeSender] = []
        self.said: list[str] = []
        self.waits = Waits()
        self.index = 0
        self.sink = StreamSink(
            URL,
            info or video_info(),
            waits=self.waits,
            tries=tries,
            announce=self.said.append,
            connect=self._connect,
            clock=lambda: self.seconds,
            **options,
        )

    def _connect(self, destination: Any) -> FakeSender:
        self.senders.append(FakeSender())
        return self.senders[-1]

    @property
    def sender(self) -> FakeSender:
        return self.senders[-1]

    def write(self, count: int = 1) -> None:
        """The next frames of a source of 25 fps."""
        for _ in range(count):
            put(self.sink, [make_frame(self.index)])
            self.index += 1

    @property
    def lost(self) -> int:
        return self.sink.counters["lost_frames"]


def put(sink: StreamSink, frames: Iterable[Frame]) -> None:
    for frame in frames:
        sink.write(frame, nothing_seen(frame), frame.image)


@pytest.fixture
def stage() -> Iterable[Callable[..., Stage]]:
    stages: list[Stage] = []

    def make(*args: Any, **options: Any) -> Stage:
        stages.append(Stage(*args, **options))
        return stages[-1]

    yield make
    for one in stages:
        one.sink.abort()


def test_is_a_sink(stage):
    assert isinstance(stage().sink, SendingSink)


def test_every_frame_goes_out_at_once_with_its_time(stage):
    one = stage(encode=EncodeOptions(threads=4))
    for index in range(5):
        put(one.sink, [make_frame(index, size=(640, 368))])  # large enough for several threads
        assert one.sender.packets[-1][0] == index * 3600
    one.sink.close()
    assert one.sender.finished and (one.sink.counters["frames"], one.lost) == (5, 0)


def test_key_frames_are_two_seconds_apart_whatever_the_frame_rate(stage):
    one = stage()
    put(one.sink, timed_frames([0, 900, 1000, 1900, 2100, 4099, 4100, 9000], Fraction(1, 1000)))
    assert [pts // 90 for pts, key in one.sender.packets if key] == [0, 2100, 4100, 9000]


def test_the_zero_of_time_is_the_first_frame(stage):
    one = stage()
    put(one.sink, timed_frames([7000, 7040], Fraction(1, 1000)))
    assert [pts for pts, _ in one.sender.packets] == [0, 3600]


def test_frames_are_lost_while_the_receiver_is_away_and_a_key_frame_comes_first_after_it(stage):
    one = stage()
    one.write(3)
    one.sender.sending = True
    one.write(3)
    one.sender.failure = "broken pipe"
    one.write(4)
    assert one.lost == 4 and one.senders[0].killed and len(one.senders) == 1
    one.seconds = 2.0
    one.write(2)
    assert len(one.senders) == 2 and one.sender.packets == [(10 * 3600, True), (11 * 3600, False)]
    one.sender.sending = True
    one.write()
    assert one.lost == 4 and one.sink.counters["reconnects"] == 1
    assert "connection broke (broken pipe); trying again" in one.said[0]
    assert one.said[1].endswith("is back after 2 s") and len(one.said) == 2
    one.sink.close()
    assert any("4 frames were lost" in note for note in one.sink.notes)


def test_packets_that_waited_for_a_connection_that_was_never_made_are_lost_too(stage):
    one = stage(PATIENT)
    one.write(5)
    one.sender.backlog, one.sender.failure = 5, "connection refused"
    one.write()
    assert one.lost == 6


def test_a_receiver_that_is_away_is_told_once(stage):
    one = stage(PATIENT)
    for _ in range(6):
        one.write()
        one.sender.failure = "connection refused"
        one.seconds += 3.0
    assert len(one.senders) == 3 and len(one.said) == 1


def test_no_message_holds_the_password(stage):
    one = stage(Tries(1, wait_for_first=True))
    one.write()
    one.sender.failure = "connection refused"
    one.write()
    with pytest.raises(WriteError) as caught:
        one.sink.close()
    for text in (*one.said, *one.sink.notes, str(caught.value), one.sink.path):
        assert "s3cret" not in text and "joe" not in text


def test_a_first_connection_that_fails_is_an_error_unless_it_is_waited_for(stage):
    one = stage()
    one.write()
    one.sender.failure = "connection refused"
    with pytest.raises(WriteError, match=r"connection refused.*--reconnect always"):
        one.write()


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_receiver_is_given_up_after_so_many_tries_in_a_row(stage, attempts):
    one = stage(Tries(attempts, wait_for_first=True))
    for tried in range(1, attempts + 1):
        assert one.sink.given_up is None
        one.write()
        one.sender.failure = "connection refused"
        one.write()
        one.seconds += 2.0
        assert len(one.senders) == tried
    assert one.sink.given_up is not None and "connection refused" in one.sink.given_up
    one.write(3)
    assert len(one.senders) == attempts, "no more tries"
    with pytest.raises(WriteError, match=rf"did not get everything.*{one.lost} frames were lost"):
        one.sink.close()


def test_tries_count_anew_after_a_connection_was_made(stage):
    one = stage(Tries(2))
    for _ in range(3):
        one.write()
        one.sender.sending = True
        one.write()
        one.sender.failure = "broken pipe"
        one.write()
        one.seconds += 2.0
        one.write()
        one.sender.failure = "connection refused"
        one.write()
        one.seconds += 2.0
    assert one.sink.given_up is None


def test_with_no_tries_a_receiver_that_goes_away_is_given_up(stage):
    one = stage(Tries(0))
    one.write()
    one.sender.sending = True
    one.write()
    one.sender.failure = "broken pipe"
    one.write()
    assert "broken pipe" in (one.sink.given_up or "")


def test_waits_begin_small_again_only_after_a_connection_that_held(stage):
    one = stage()
    one.write()
    one.sender.sending = True
    one.write()
    one.seconds, one.sender.failure = 1.0, "broken pipe"
    one.write()
    assert one.waits.resets == 0
    one.seconds = 3.0
    one.write()
    one.sender.sending = True
    one.write()
    one.seconds, one.sender.failure = 30.0, "broken pipe"
    one.write()
    assert one.waits.resets == 1


def test_what_a_slow_receiver_does_not_take_is_lost_up_to_the_next_key_frame(stage):
    one = stage()
    one.write(3)
    one.sender.sending, one.sender.backlog = True, 1000
    one.write(2)
    assert one.lost == 1000 and [key for _, key in one.sender.packets] == [True, False, False, True, False]


def test_a_run_that_ends_while_the_receiver_is_away_fails(stage):
    one = stage()
    one.write()
    one.sender.sending = True
    one.write()
    one.sender.failure = "broken pipe"
    one.write(2)
    with pytest.raises(WriteError, match="it was unreachable at the end; 2 frames were lost"):
        one.sink.close()


def test_a_goodbye_that_fails_is_an_error_with_its_reason(stage):
    one = stage()
    one.write(2)
    one.sender.finish_error = "it no longer accepts data"
    with pytest.raises(WriteError, match="did not get everything: it no longer accepts data"):
        one.sink.close()
    assert one.sender.killed


def test_nothing_written_is_an_error_and_closing_twice_is_none(stage):
    one = stage()
    with pytest.raises(WriteError, match="no frame was written"):
        one.sink.close()
    one.sink.close()
    assert one.sender.killed


def test_abort_breaks_the_connection_off(stage):
    one = stage()
    one.write()
    one.sink.abort()
    one.sink.abort()
    assert one.sender.killed and not one.sender.finished


class Piping:
    """A live source with audio, as long as it is asked."""

    def __init__(self) -> None:
        self.queue = AudioQueue()
        self.info = video_info(live=True, has_audio=True, audio=self.queue)

    def put(self, seconds: float, start: float = 0.0) -> None:
        for index in range(round(seconds * 10)):
            self.queue.put(AudioBlock(np.full((4800, 2), 5000, np.int16), Fraction(start) + Fraction(index, 10)))


def test_audio_goes_out_with_the_pictures_and_no_further(stage):
    source = Piping()
    source.put(5.0)
    one = stage(info=source.info)
    one.write(26)
    assert one.sender.has_audio and one.sender.audio == sorted(set(one.sender.audio))
    assert 90_000 * 0.9 < one.sender.audio[-1] <= 90_000 * 1.1, "up to the picture of 1 s"
    one.sink.close()
    assert one.sender.audio[-1] <= 90_000 * 1.2 and one.sink.notes == ()


def test_audio_is_lost_with_the_pictures_and_comes_back_with_them(stage):
    source = Piping()
    source.put(20.0)
    one = stage(info=source.info)
    one.write(25)
    one.sender.sending, one.sender.failure = True, "broken pipe"
    one.write(25)
    assert one.lost == 25
    one.seconds = 2.0
    one.write(25)
    assert len(one.senders) == 2 and one.sender.packets[0] == (50 * 3600, True)
    assert min(one.sender.audio) >= 48 * 3600 and max(one.sender.audio) > 70 * 3600


def test_the_audio_of_a_file_is_sent_too(stage, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", frames=50, audio_seconds=2.0)
    for options, heard in (({}, True), ({"encode": EncodeOptions(audio="none")}, False)):
        one = stage(info=file_info(clip), **options)
        put(one.sink, file_frames(clip))
        one.sink.close()
        assert one.sender.has_audio == heard and bool(one.sender.audio) == heard
        if heard:
            assert max(one.sender.audio) / 90_000 == pytest.approx(2.0, abs=0.1)


def test_audio_that_cannot_be_read_is_left_out_and_said(stage, tmp_path):
    one = stage(info=video_info(has_audio=True, audio_path=str(tmp_path / "gone.mp4")))
    one.write(2)
    one.sink.close()
    assert not one.sender.has_audio and "the audio is left out: it cannot be read (No such file" in one.sink.notes[0]


def test_a_receiver_that_refuses_the_audio_gets_the_pictures_alone(stage):
    source = Piping()
    source.put(5.0)
    one = stage(info=source.info)
    one.write()
    one.sender.failure = "server returned 4xx client error, but not one of 40{0,1,3,4}"
    one.write(2)
    assert len(one.senders) == 2 and not one.sender.has_audio and one.sender.packets == [(2 * 3600, True)]
    one.sender.failure = "server returned 4xx client error, but not one of 40{0,1,3,4}"
    with pytest.raises(WriteError, match="cannot connect to it"):
        one.write()
    assert any("accepts no audio" in note for note in one.sink.notes)


@pytest.mark.parametrize(
    ("url", "muxer"),
    [("rtsp://h/a", "rtsp"), ("RTMP://h/a/b", "flv"), ("udp://239.0.0.1:5000?ttl=2", "mpegts"), ("udp://@:9", None)],
)
def test_the_scheme_chooses_the_container(url, muxer):
    if muxer is None:
        with pytest.raises(SinkError):
            stream_muxer(url)
    else:
        assert stream_muxer(url) == muxer


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://x", r"^ftp://x: video cannot be sent to ftp://; accepted: rtsp://, .*srt://, or a file name$"),
        ("http://x/y.mp4", "cannot be sent to http://"),
        ("rtsp://", "names no host; give an address such as rtsp://host/live/name"),
        ("udp://127.0.0.1", "has no port; give an address such as udp://"),
        ("rtmp://h:99999/a", "not a valid address"),
    ],
)
def test_impossible_addresses_say_what_is_accepted(url, words):
    with pytest.raises(SinkError, match=words):
        stream_muxer(url)


def test_a_protocol_that_this_ffmpeg_lacks_is_named(monkeypatch):
    monkeypatch.setattr(receiver_address, "has_protocol", lambda scheme: scheme not in ("srt", "rtmps"))
    monkeypatch.setattr(receiver_address, "by_tool", lambda url: False)
    with pytest.raises(SinkError, match=r"^srt://h:9: the FFmpeg in this PyAV was built without srt; use .*srt-tools"):
        stream_muxer("srt://h:9")
    with pytest.raises(SinkError, match=r"^rtmps://h/a: .* without rtmps; use rtsp://, rtmp:// or udp://$"):
        stream_muxer("rtmps://h/a")
    monkeypatch.setattr(receiver_address, "by_tool", lambda url: url.startswith("srt:"))
    assert stream_muxer("srt://h:9") == "mpegts"


def test_protocols_are_found_in_this_build():
    assert has_protocol("rtmp") and not has_protocol("nonsense")


def test_a_server_that_is_not_there_is_an_error_at_once_without_the_password():
    words = r"127\.0\.0\.1:1/a: no receiver answers \(connection refused\).*--reconnect always"
    with pytest.raises(SinkError, match=words) as caught:
        StreamSink("rtmp://joe:s3cret@127.0.0.1:1/a", video_info(), waits=Waits(), connect=lambda _: FakeSender())
    assert "s3cret" not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        (URL, {"codec": "vp9"}, "codec vp9 cannot be used in"),
        ("rtmp://h/a", {"codec": "hevc"}, "codec hevc cannot be used in"),
        ("rtmp://h/a", {"codec": "mpeg2video"}, "mpeg2video cannot be used in this kind of stream; use h264"),
        (URL, {"crf": 99}, "crf 99 is out of range"),
        (URL, {"encoder_preset": "rapid"}, "encoder preset 'rapid' is unknown"),
    ],
)
def test_settings_that_do_not_fit_are_refused(url, options, words):
    with pytest.raises(SinkError, match=words):
        StreamSink(
            url,
            video_info(),
            waits=Waits(),
            tries=PATIENT,
            connect=lambda _: FakeSender(),
            encode=EncodeOptions(**options),
        )


def test_what_was_handed_to_a_connection_that_never_came_about_is_lost(stage):
    one = stage(PATIENT)
    one.write(3)
    assert (one.sink.counters["frames"], one.lost) == (3, 0)
    one.sender.failure = "refused"
    one.write()
    assert (one.sink.counters["frames"], one.lost) == (0, 4)
    one.seconds = 2.0
    one.write(2)
    one.sender.finish_error = "no answer"
    with pytest.raises(WriteError, match="6 frames were lost"):
        one.sink.close()


def test_what_was_handed_to_a_connection_that_was_there_counts_as_sent(stage):
    one = stage(PATIENT)
    one.write()
    one.sender.sending = True
    one.write(2)
    one.sender.failure = "reset"
    one.write()
    assert (one.sink.counters["frames"], one.lost) == (3, 1)
