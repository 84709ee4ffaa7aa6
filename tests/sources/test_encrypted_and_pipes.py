"""Sources that cannot be read as files are: encrypted ones, which say so, and pipes, which are read once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import pytest

from tests.sinks.sink_helpers import audio_packets, frame_times, write_all
from tests.video.clips import make_clip, read_counter
from vidseg.errors import SourceError
from vidseg.sinks.av_sink import AvSink
from vidseg.sources.av_source import AvSource
from vidseg.sources.factory import open_source
from vidseg.sources.pipe_reader import PipeReader

CENC = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "00112233445566778899aabbccddeeff",
    "encryption_kid": "0123456789abcdef0123456789abcdef",
}


def element(number: str, content: bytes) -> bytes:
    """Of Matroska, below 128 bytes."""
    return bytes.fromhex(number) + bytes([0x80 | len(content)]) + content


def with_key_needed(clip: Path) -> Path:
    """A Matroska file whose only track says that it is encrypted, as WebM files of streaming services do."""
    encryption = element("47e1", b"\5") + element("47e2", bytes(range(16)))
    encodings = element("6d80", element("6240", element("5033", b"\1") + element("5035", encryption)))
    data = clip.read_bytes()
    tracks = data.rindex(bytes.fromhex("1654ae6b")) + 4  # the first one is in the table of contents
    for at in (tracks, data.index(b"\xae", tracks) + 1):
        length = 9 - data[at].bit_length()
        marked = int.from_bytes(data[at : at + length], "big") + len(encodings)
        data = data[:at] + marked.to_bytes(length, "big") + data[at + length :]
    data = data[: at + length] + encodings + data[at + length :]
    clip.write_bytes(data)
    return clip


def test_an_encrypted_mp4_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", container_options=CENC)
    with pytest.raises(SourceError, match=r"clip\.mp4: the video is encrypted"):
        AvSource(clip)


def test_an_encrypted_webm_says_so(tmp_path: Path) -> None:
    streamed = {"live": "1", "write_crc32": "0"}
    plain = make_clip(tmp_path / "clip.webm", codec="libvpx-vp9", container_options=streamed)
    with AvSource(plain) as source:
        assert len(list(source)) == 10
    with pytest.raises(SourceError, match=r"clip\.webm: the video is encrypted"):
        AvSource(with_key_needed(plain))


@contextmanager
def fed(tmp_path: Path, data: bytes) -> Iterator[Path]:
    """A named pipe through which another thread sends the data."""
    pipe = tmp_path / "pipe.ts"
    os.mkfifo(pipe)

    def feed() -> None:
        with suppress(BrokenPipeError):
            pipe.write_bytes(data)

    writer = threading.Thread(target=feed, daemon=True)
    writer.start()
    yield pipe
    writer.join(10)
    assert not writer.is_alive()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("ending", ["ts", "mkv"])
def test_a_pipe_is_read_once_with_its_audio(tmp_path: Path, ending: str) -> None:
    clip = make_clip(tmp_path / f"clip.{ending}", frames=50, audio_seconds=2.0)
    with fed(tmp_path, clip.read_bytes()) as pipe, open_source(str(pipe), audio=True) as source:
        assert (source.info.live, source.info.audio_path, source.info.source_paths) == (False, None, ())
        write_all(AvSink(tmp_path / "out.mp4", source.info, overwrite=False), source)
        assert source.counters == {}
    times = frame_times(tmp_path / "out.mp4")
    assert [time - times[0] for time in times] == [Fraction(number, 25) for number in range(50)]
    assert audio_packets(tmp_path / "out.mp4")[-1][0] > Fraction(19, 10)


@pytest.mark.timeout(60)
def test_an_interrupt_ends_the_wait_for_whoever_writes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = PipeReader(str(tmp_path / "pipe"))
    threading.Timer(0.2, reader.wake).start()
    assert reader.read(10) == b""
    reader.close()
    reader.close()


@pytest.mark.timeout(60)
def test_an_interrupt_ends_the_reading_of_a_pipe_that_stays_open(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", frames=100)
    os.mkfifo(tmp_path / "pipe")
    held = threading.Event()

    def feed() -> None:
        with open(tmp_path / "pipe", "wb") as file:
            file.write(clip.read_bytes())
            file.flush()
            held.wait(30)

    writer = threading.Thread(target=feed, daemon=True)
    writer.start()
    with AvSource(tmp_path / "pipe") as source:
        found = []
        for frame in source:
            found.append(read_counter(frame.image))
            if len(found) == 20:
                threading.Timer(0.2, source.interrupt).start()
    assert found[:20] == list(range(20))
    held.set()
    writer.join(10)


@pytest.mark.timeout(60)
def test_an_mp4_with_its_index_at_the_end_cannot_come_through_a_pipe(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mov", frames=2, size=(320, 240), codec="rawvideo", pix_fmt="rgb24")
    assert clip.stat().st_size > 200_000  # more than is held back
    with fed(tmp_path, clip.read_bytes()) as pipe, pytest.raises(SourceError, match="index in front"):
        AvSource(pipe)
