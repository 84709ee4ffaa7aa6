"""Decoding on a device: what is said and done where there is none, and where one fails under way.

No device is needed: those that FFmpeg cannot open here fail for real, and one that is there is acted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.clips import make_clip, read_counter
from vidseg.config import OPTIONS
from vidseg.errors import SourceError
from vidseg.sources import av_decoder, hwaccel
from vidseg.sources.av_decoder import BAD_PACKETS_BEFORE_SOFTWARE
from vidseg.sources.av_source import AvSource
from vidseg.sources.hwaccel import KINDS, decodes_on_device, known_kinds, open_device
from vidseg.sources.rgb import RgbConverter

FRAMES = 90
GOOD = 40
"""Frames that the acted device decodes before it fails."""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=FRAMES, bframes=2, gop=30)


def numbers(source: AvSource) -> list[int]:
    return [read_counter(frame.image) for frame in source]


def missing_kinds() -> list[str]:
    return [kind for kind in KINDS if open_device(kind)[0] is None]


def test_the_option_knows_exactly_the_kinds() -> None:
    assert set(OPTIONS["hwaccel"].check.choices) == {"none", "auto", *KINDS}


def test_a_device_that_is_not_there_is_named_with_the_reason() -> None:
    assert missing_kinds(), "no machine has all of them"
    for kind in missing_kinds():
        reason = open_device(kind)[1]
        assert ("no such device here" if kind in known_kinds() else "built without it") in reason


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_without_the_device_frames_come_from_software_and_one_note_says_so(tmp_path: Path, ending: str) -> None:
    clip = make_clip(tmp_path / f"clip.{ending}", frames=12)
    for kind in missing_kinds():
        with AvSource(clip, hwaccel=kind) as source:
            (note,) = source.info.notes
            assert note.startswith(f"--hwaccel {kind}: ") and note.endswith("; decoding in software")
            assert numbers(source) == list(range(12)) and source.counters == {}


def test_auto_without_a_device_says_nothing(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hwaccel, "KINDS", tuple(missing_kinds()))
    with AvSource(clip, hwaccel="auto") as source:
        assert source.info.notes == ()
        assert len(numbers(source)) == FRAMES


def test_auto_takes_the_first_device_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        def __init__(self, kind: str, **options: object) -> None:
            self.kind = kind

        def create(self, codec: av.Codec) -> None:
            if self.kind == "cuda":
                raise av.error.ExternalError(1, "no driver")

    monkeypatch.setattr(hwaccel, "HWAccel", Device)
    monkeypatch.setattr(hwaccel, "known_kinds", lambda: ["cuda", "vaapi"])
    device, reason = open_device("auto")
    assert device is not None and device.kind == "vaapi" and reason == ""
    assert open_device("cuda") == (None, "no such device here: no driver")


def test_software_frames_are_told_from_those_of_a_device(clip: Path) -> None:
    with av.open(str(clip)) as container:
        next(container.decode(video=0))
        assert not decodes_on_device(container.streams.video[0].codec_context)


@pytest.fixture
def acted_device(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A device that can be had; software decodes in its place. `acted_device["decodes"]` says what FFmpeg would."""
    answers = {"decodes": True}
    real = av_decoder.open_file
    monkeypatch.setattr(av_decoder, "open_device", lambda kind: (object(), ""))
    monkeypatch.setattr(av_decoder, "open_file", lambda text, name, options, device: real(text, name, options))
    monkeypatch.setattr(av_decoder, "decodes_on_device", lambda context: answers["decodes"])
    return answers


def spoil(monkeypatch: pytest.MonkeyPatch, which: Callable[[AvSource, int], bool]) -> None:
    """Packets that cannot be decoded: those of which `which(source, number)` says so."""
    real = AvSource._packets

    def packets(self: AvSource) -> Iterator[av.Packet]:
        for number, packet in enumerate(real(self)):
            if which(self, number):
                spoilt = av.Packet(b"\0\0\0\1\xff")
                spoilt.pts, spoilt.dts, spoilt.time_base = packet.pts, packet.dts, packet.time_base
                yield spoilt
            else:
                yield packet

    monkeypatch.setattr(AvSource, "_packets", packets)


def lost_device(source: AvSource, number: int) -> bool:
    return source._device is not None and number >= GOOD


def test_a_device_in_use_is_told(clip: Path, acted_device: dict[str, bool]) -> None:
    with AvSource(clip, hwaccel="cuda") as source:
        assert any("not in software" in note for note in source.info.notes)
        assert numbers(source) == list(range(FRAMES))


@pytest.mark.parametrize("kind", ["cuda", "auto"])
def test_what_the_device_does_not_know_is_decoded_in_software(
    clip: Path, acted_device: dict[str, bool], kind: str
) -> None:
    acted_device["decodes"] = False
    with AvSource(clip, hwaccel=kind) as source:
        said = ("--hwaccel cuda: does not decode this h264 video; decoding in software",) if kind == "cuda" else ()
        assert source.info.notes == said
        assert numbers(source) == list(range(FRAMES))


@pytest.mark.parametrize("good", [GOOD, FRAMES - BAD_PACKETS_BEFORE_SOFTWARE + 5, FRAMES - 3])
@pytest.mark.parametrize("ending", ["mp4", "h264"])
def test_a_device_lost_under_way_costs_no_frame(
    tmp_path: Path, acted_device: dict[str, bool], monkeypatch: pytest.MonkeyPatch, ending: str, good: int
) -> None:
    clip = make_clip(tmp_path / f"clip.{ending}", frames=FRAMES, gop=30)
    with AvSource(clip) as plain:
        expected = [(frame.pts, read_counter(frame.image)) for frame in plain]
    spoil(monkeypatch, lambda source, number: lost_device(source, number + GOOD - good))
    with AvSource(clip, hwaccel="cuda") as source:
        assert [(frame.pts, read_counter(frame.image)) for frame in source] == expected
        assert {key: n for key, n in source.counters.items() if key != "guessed_pts"} == {"decoding_device_lost": 1}
    assert len(expected) == FRAMES


def test_damage_shorter_than_a_lost_device_is_skipped_as_in_software(
    clip: Path, acted_device: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, lambda source, number: GOOD <= number < GOOD + BAD_PACKETS_BEFORE_SOFTWARE - 1)
    with AvSource(clip) as plain, AvSource(clip, hwaccel="cuda") as source:
        assert numbers(source) == numbers(plain)
        assert source.counters == plain.counters and source.counters["corrupt_packets"] > 0


def test_a_stream_whose_device_is_lost_is_to_be_opened_anew(
    clip: Path, acted_device: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AvSource, "_is_live", lambda self: True)
    monkeypatch.setattr(av_decoder, "BAD_PACKETS_BEFORE_SOFTWARE", 3)
    spoil(monkeypatch, lost_device)
    with AvSource(clip, hwaccel="cuda") as source, pytest.raises(SourceError, match=r"the device that .* \(cuda\)"):
        numbers(source)


def test_pictures_of_a_device_look_as_those_of_software(clip: Path) -> None:
    """A device gives NV12 where software gives planes: the same values, in another order."""
    with av.open(str(clip)) as container:
        planar = next(container.decode(video=0))
    packed = planar.reformat(format="nv12")
    difference = RgbConverter(planar).convert(planar).astype(int) - RgbConverter(packed).convert(packed)
    assert np.abs(difference).max() <= 2


def test_nothing_is_offered_that_only_windows_has() -> None:
    """vidseg does not run there."""
    assert not {"d3d11va", "d3d12va", "dxva2"} & set(OPTIONS["hwaccel"].check.choices)
