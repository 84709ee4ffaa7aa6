"""Audio out of streams and files in one format, with its own times."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.servers.processes import free_port
from tests.video.clips import counter_picture, make_audio, make_clip
from vidseg.audio import AUDIO_RATE, AudioBlock
from vidseg.errors import SourceError
from vidseg.frames import Frame
from vidseg.sources.av_source import AvSource
from vidseg.video.audio_reader import AudioDecoder, FileAudio


def total(pieces: list[AudioBlock]) -> float:
    return sum(len(piece.samples) for piece in pieces) / AUDIO_RATE


def test_whatever_the_codec_it_comes_out_in_one_format(tmp_path: Path) -> None:
    for name, codec in (("a.m4a", "aac"), ("a.mka", "libopus"), ("a.wav", "pcm_s16le"), ("a.mka", "pcm_alaw")):
        audio = FileAudio(str(make_audio(tmp_path / name, seconds=1.0, codec=codec)), Fraction(0))
        pieces = list(audio.take(Fraction(10)))
        assert total(pieces) == pytest.approx(1.0, abs=0.05), codec
        assert all(piece.samples.dtype == np.int16 and piece.samples.shape[1] == 2 for piece in pieces)
        ends = [piece.seconds + Fraction(len(piece.samples), AUDIO_RATE) for piece in pieces]
        gaps = [float(b.seconds - a) for a, b in zip(ends, pieces[1:], strict=False)]
        assert max(map(abs, gaps)) < 0.002, codec
        loud = max(np.abs(piece.samples).max() for piece in pieces)
        assert loud == pytest.approx(0.3 * 32767, rel=0.4 if codec == "aac" else 0.05), f"{codec}: mono is as loud"
        audio.close()
        audio.close()


def test_a_file_is_read_as_far_as_it_is_wanted(tmp_path: Path) -> None:
    audio = FileAudio(str(make_audio(tmp_path / "a.m4a", seconds=3.0)), Fraction(0))
    assert total(list(audio.take(Fraction(1)))) == pytest.approx(1.0, abs=0.05)
    assert list(audio.take(Fraction(1))) == []
    assert total(list(audio.take(Fraction(2)))) == pytest.approx(1.0, abs=0.05)


def test_a_late_start_reads_little_of_what_was_before(tmp_path: Path) -> None:
    audio = FileAudio(str(make_audio(tmp_path / "a.m4a", seconds=20.0)), Fraction(15))
    assert 13 <= next(iter(audio.take(Fraction(20)))).seconds <= 15


def test_an_avi_whose_header_shortens_its_audio_is_heard_whole() -> None:
    audio = FileAudio(str(Path(__file__).parent.parent / "sources" / "files" / "h264_bframes_real.avi"), Fraction(0))
    pieces = list(audio.take(Fraction(10)))
    assert total(pieces) == pytest.approx(78 * 1152 / 44100, abs=0.03)
    assert pieces[-1].seconds == pytest.approx(77 * 1152 / 44100, abs=0.03)


def test_a_file_without_audio_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no audio"):
        FileAudio(str(make_clip(tmp_path / "a.mp4")), Fraction(0))


def test_a_format_that_changes_in_mid_stream_is_followed() -> None:
    class Stream:
        """Gives out what it is asked to decode."""

        def decode(self, frames: list[av.AudioFrame]) -> list[av.AudioFrame]:
            return frames

    def frame(rate: int, layout: str, channels: int, pts: int | None) -> av.AudioFrame:
        made = av.AudioFrame.from_ndarray(np.full((1, rate // 10 * channels), 999, np.int16), "s16", layout)
        made.sample_rate, made.pts, made.time_base = rate, pts, Fraction(1, rate)
        return made

    decoder = AudioDecoder(Stream())
    pieces = decoder.decode(
        [frame(8000, "mono", 1, 0), frame(44_100, "stereo", 2, 4410), frame(48_000, "mono", 1, None)]
    )
    assert [float(piece.seconds) for piece in pieces] == pytest.approx([0.0, 0.1, 0.2], abs=0.01)
    assert total(pieces) == pytest.approx(0.3, abs=0.02)


class Answer:
    """A server on loopback that sends one file without saying how long it is: a live stream, as far as one can tell."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/live.ts"
        self._path = path
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + self._path.read_bytes())


def all_of(source: AvSource) -> Iterator[Frame]:
    """Frames until the server has gone."""
    with contextlib.suppress(SourceError):
        yield from source


@pytest.fixture
def live(tmp_path: Path) -> Callable[..., AvSource]:
    def opened(*, audio: bool, audio_seconds: float | None = 2.0) -> AvSource:
        clip = make_clip(tmp_path / "a.ts", frames=50, audio_seconds=audio_seconds)
        return AvSource(Answer(clip).url, audio=audio)

    return opened


@pytest.mark.timeout(60)
def test_a_live_source_gives_its_audio_with_its_pictures(live: Callable[..., AvSource]) -> None:
    with live(audio=True) as source:
        assert source.info.live and source.info.audio is not None and source.info.audio_path is None
        frames = list(all_of(source))
        pieces = source.info.audio.take()
    assert len(frames) == 50 and total(pieces) == pytest.approx(2.0, abs=0.15)
    assert float(pieces[0].seconds) == pytest.approx(frames[0].seconds, abs=0.1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("wanted", "seconds"), [(False, 2.0), (True, None)])
def test_without_audio_or_the_wish_for_it_there_is_none(live: Callable[..., AvSource], wanted, seconds) -> None:
    with live(audio=wanted, audio_seconds=seconds) as source:
        assert source.info.audio is None and source.info.has_audio == (seconds is not None)
        assert len(list(all_of(source))) == 50


@pytest.mark.timeout(60)
def test_a_picture_that_stops_while_the_audio_goes_on_is_a_stream_that_fell_silent() -> None:
    stopped = threading.Event()
    port = free_port(socket.SOCK_DGRAM)

    def send() -> None:
        options = {"max_interleave_delta": "100000", "flush_packets": "1"}
        with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts", options=options) as output:
            picture = output.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "5"})
            picture.width, picture.height = 64, 48
            audio = output.add_stream("aac", rate=48_000, layout="mono")
            index = 0
            while not stopped.wait(0.01):  # the pace is what a camera would do; nothing is concluded from it
                piece = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.float32), "fltp", "mono")
                piece.sample_rate, piece.pts, piece.time_base = 48_000, index * 1920, Fraction(1, 48_000)
                output.mux(audio.encode(piece))
                if index < 200:
                    image = counter_picture(index, 64, 48)
                    output.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
                index += 1

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        url, options = f"udp://127.0.0.1:{port}", {"analyzeduration": "300000"}
        with AvSource(url, open_timeout=10, read_timeout=0.5, options=options, audio=True) as source:
            with pytest.raises(SourceError, match=r"no data for 0\.5 seconds"):
                list(source)
            assert sender.is_alive() and source.info.audio is not None and source.info.audio.take()
    finally:
        stopped.set()
        sender.join()


def test_the_audio_of_a_file_is_left_to_the_sinks(tmp_path: Path) -> None:
    with AvSource(make_clip(tmp_path / "a.mp4", audio_seconds=0.4), audio=True) as source:
        assert source.info.audio is None and source.info.audio_path is not None
