"""What is lost of a file is told, and what only looks like a loss is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.sources.h264_fields import write_field_coded
from tests.video.clips import make_clip, read_counter
from vidseg.sources.av_source import AvSource

OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0:rc-lookahead=12"}


def packets(clip: Path) -> list[tuple[int, int]]:
    """Place and length of the picture's packets."""
    with av.open(str(clip)) as container:
        return [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]


def overwritten(clip: Path, which: Iterable[int]) -> Path:
    """The clip with zeros in place of these packets."""
    places, data = packets(clip), bytearray(clip.read_bytes())
    for number in which:
        start, size = places[number]
        data[start : start + size] = bytes(size)
    clip.write_bytes(data)
    return clip


def remuxed(clip: Path, target: Path, change: Callable[[int, Any], Iterable[Any]]) -> Path:
    """The packets that `change` makes of each packet of the picture, given its number, in another file."""
    with av.open(str(clip)) as source, av.open(str(target), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                for changed in change(number, packet):
                    changed.stream = stream
                    output.mux(changed)
    return target


def read(clip: Path) -> tuple[list[int], dict[str, int]]:
    with AvSource(clip) as source:
        return [read_counter(frame.image) for frame in source], dict(source.counters)


# --- losses ---


def test_a_damaged_last_packet_costs_its_own_frame_only_and_is_told(tmp_path: Path) -> None:
    clip = overwritten(make_clip(tmp_path / "clip.mp4", frames=48, bframes=2), [-1])
    with av.open(str(clip)) as container:
        last = max((packet for packet in container.demux(video=0) if packet.size), key=lambda packet: packet.dts)
        lost = round(last.pts * last.time_base * 25)
    found, counters = read(clip)
    assert found == [number for number in range(48) if number != lost]
    assert counters == {"corrupt_packets": 1, "lost_frames": 1}


def test_frames_lost_in_the_middle_are_counted(tmp_path: Path) -> None:
    found, counters = read(overwritten(make_clip(tmp_path / "clip.mp4", frames=48, gop=8), range(20, 29)))
    assert len(found) == 39
    assert counters == {"corrupt_packets": 9, "lost_frames": 9}


def test_frames_for_which_a_decoder_gives_neither_a_picture_nor_an_error_are_told(tmp_path: Path) -> None:
    def hollow(number: int, packet: Any) -> list[Any]:
        if number % 8 < 2:
            return [packet]
        filler = av.Packet(bytes((0, 0, 0, 3, 0x0A << 3 | 1, 1, 0)))  # a unit of HEVC that says nothing
        filler.pts, filler.dts, filler.time_base = packet.pts, packet.dts, packet.time_base
        return [filler]

    clip = make_clip(tmp_path / "whole.mp4", frames=48, codec="libx265", gop=8)
    found, counters = read(remuxed(clip, tmp_path / "clip.mp4", hollow))
    assert len(found) == 12
    assert counters.get("lost_frames") == 36


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_a_short_cut_of_a_short_clip_is_noticed(tmp_path: Path, ending: str) -> None:
    codec = "mpeg4" if ending == "avi" else "libx264"
    clip = make_clip(tmp_path / f"clip.{ending}", frames=24, codec=codec, container_options={"movflags": "faststart"})
    start, size = packets(clip)[-4]
    clip.write_bytes(clip.read_bytes()[: start + size])
    found, counters = read(clip)
    assert found in (list(range(20)), list(range(21)))
    assert counters["truncated"] == 1


def test_a_clip_that_announces_48_frames_and_gives_9_says_so(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=48, rate=120, container_options={"movflags": "faststart"})
    start, _ = packets(clip)[9]
    clip.write_bytes(clip.read_bytes()[:start])
    found, counters = read(clip)
    assert found == list(range(9))
    assert counters["truncated"] == 1


def test_damage_is_told_in_mpeg_4_part_2_in_avi_too(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.avi", frames=48, codec="mpeg4", gop=12, size=(160, 120))
    whole, places = clip.read_bytes(), packets(clip)
    for half, counted in ((1, {"damaged_frames": 3}), (0, {"corrupt_packets": 3})):
        data = bytearray(whole)
        for start, size in (places[number] for number in (14, 20, 30)):
            begin = half * size // 2
            data[start + begin : start + size] = bytes(size - begin)
        clip.write_bytes(data)
        _, counters = read(clip)
        assert counters == counted


def test_what_an_outage_took_from_a_transport_stream_is_told(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", frames=150, gop=5, size=(160, 120))
    data = clip.read_bytes()
    start, end = (packets(clip)[number][0] // 188 * 188 for number in (40, 100))
    clip.write_bytes(data[: start + 188] + data[end + 188 :])
    with AvSource(clip) as source:
        frames = list(source)
        counters = source.counters
    assert 75 < len(frames) < 95 and frames[-1].pts - frames[0].pts == 149 * 3600  # the hole is a hole
    assert counters.get("corrupt_packets", 0) >= 1


# --- healthy ---


def test_a_clip_that_begins_late_is_whole(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", pts=range(2000, 3000, 40))
    found, counters = read(clip)
    assert (found, counters) == (list(range(25)), {})


def test_frames_whose_fields_come_one_by_one_are_whole(tmp_path: Path) -> None:
    clip = write_field_coded(tmp_path / "fields.mkv", frames=20)
    assert len(packets(clip)) == 40
    with AvSource(clip) as source:
        assert [frame.pts * frame.time_base for frame in source] == [Fraction(number, 25) for number in range(20)]
        assert source.counters == {}


def test_references_of_vp8_that_are_never_shown_are_no_loss(tmp_path: Path) -> None:
    def with_hidden_one(number: int, packet: Any) -> list[Any]:
        if number % 6 != 3:
            return [packet]
        data = bytearray(bytes(packet))
        data[0] &= ~0x10  # show_frame
        hidden = av.Packet(bytes(data))
        hidden.pts, hidden.dts, hidden.time_base = packet.pts - 1, packet.dts - 1, packet.time_base
        return [hidden, packet]

    clip = make_clip(tmp_path / "whole.webm", frames=30, codec="libvpx")
    changed = remuxed(clip, tmp_path / "clip.webm", with_hidden_one)
    assert len(packets(changed)) == 35
    found, counters = read(changed)
    assert len(found) == 30
    assert counters == {}


def test_what_an_edit_list_cuts_out_is_no_loss(tmp_path: Path) -> None:
    def earlier(number: int, packet: Any) -> list[Any]:
        ticks = round(Fraction(3, 5) / packet.time_base)
        packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
        return [packet]

    clip = make_clip(tmp_path / "whole.mp4", frames=40, bframes=2, gop=30)
    found, counters = read(remuxed(clip, tmp_path / "clip.mp4", earlier))
    assert found == list(range(15, 40))
    assert counters == {}


@pytest.mark.parametrize("ending", ["ts", "mkv", "mp4"])
def test_a_start_with_pictures_that_lean_on_an_earlier_one_is_healthy(tmp_path: Path, ending: str) -> None:
    clip = make_clip(tmp_path / "whole.ts", frames=48, options=OPEN_GOP, bframes=3)
    with av.open(str(clip)) as container:
        keys = [number for number, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
    cut = remuxed(clip, tmp_path / f"clip.{ending}", lambda number, packet: [packet] if number >= keys[1] else [])
    found, counters = read(cut)
    assert found == list(range(found[0], 48))
    assert 0 < 48 - keys[1] - len(found) <= 3  # some were left out
    assert counters == {}


@pytest.mark.parametrize(
    ("ending", "codec"), [("mp4", "libx265"), ("webm", "libvpx-vp9"), ("mkv", "mjpeg"), ("mpg", "mpeg2video")]
)
def test_whole_clips_give_no_word(tmp_path: Path, ending: str, codec: str) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    found, counters = read(make_clip(tmp_path / f"clip.{ending}", frames=30, codec=codec, pix_fmt=pix_fmt, bframes=2))
    assert found == list(range(30))
    assert counters == {}
