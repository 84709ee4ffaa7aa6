"""A source goes on at a place that another one, perhaps in a process that was killed, had come to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.video.clips import counter_picture, make_clip
from vidseg.errors import ResumeError
from vidseg.interfaces import ResumableSource
from vidseg.saved_state import State
from vidseg.sources.av_source import AvSource
from vidseg.sources.pattern_source import PatternSource
from vidseg.sources.resume_place import digest

FRAMES = 40


def mpeg2(path: Path) -> Path:
    """Open groups of pictures: the first ones behind a key frame lean on the group before."""
    return make_clip(path, frames=FRAMES, codec="mpeg2video", options={"bf": "2", "g": "10"})


def joined(path: Path) -> Path:
    """A transport stream whose clock starts anew in the middle."""
    parts = [make_clip(path.with_name(f"{i}.ts"), frames=FRAMES // 2, gop=5) for i in range(2)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


CLIPS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "b-frames": ("a.mp4", lambda path: make_clip(path, frames=FRAMES, bframes=2, gop=10)),
    "open groups": (
        "a.mkv",
        lambda path: make_clip(path, frames=FRAMES, bframes=3, gop=10, options={"x264-params": "open-gop=1"}),
    ),
    "mpeg2": ("a.ts", mpeg2),
    "variable rate": (
        "a.mp4",
        lambda path: make_clip(path, pts=[i * i + 7 * i for i in range(FRAMES)], bframes=2, gop=10),
    ),
    "late start": (
        "a.mp4",
        lambda path: make_clip(path, pts=[5000 + 40 * i for i in range(FRAMES)], bframes=2, gop=10),
    ),
    "negative start": (
        "a.mkv",
        lambda path: make_clip(path, pts=[-200 + 40 * i for i in range(FRAMES)], gop=10),
    ),
    "one key frame": ("a.mp4", lambda path: make_clip(path, frames=FRAMES, bframes=2, gop=250)),
    "hevc": ("a.mp4", lambda path: make_clip(path, frames=FRAMES, codec="libx265", bframes=2, gop=10)),
    "clock starts anew": ("a.ts", joined),
    "no index": ("a.h264", lambda path: make_clip(path, frames=FRAMES, gop=10, container="h264")),
}


def told(source: ResumableSource) -> list[tuple[int, int, int | None, int]]:
    """Index, time, length and picture of all frames that come."""
    with source:  # type: ignore[attr-defined]
        return [(f.index, f.pts, f.duration, digest(f.image)) for f in source]


def state_after(open_source: Callable[[], ResumableSource], count: int) -> State:
    """The place after so many frames, as it comes back from a file."""
    source = open_source()
    frames = iter(source)
    for _ in range(count):
        next(frames)
    state = source.state()
    source.close()
    return dict(json.loads(json.dumps(state)))


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How places were found: "seek" (by a key frame) or "read" (from the start)."""
    found: list[str] = []
    for name, method in (("seek", "_seek"), ("read", "_read_up_to")):
        plain = getattr(AvSource, method)

        def spy(self: AvSource, *args: object, name: str = name, plain: Callable[..., object] = plain) -> object:
            result = plain(self, *args)
            if result or name == "read":
                found.append(name)
            return result

        monkeypatch.setattr(AvSource, method, spy)
    return found


@pytest.mark.parametrize("kind", CLIPS)
def test_the_frames_behind_any_place_are_those_of_one_pass(tmp_path: Path, kind: str, searches: list[str]) -> None:
    name, make = CLIPS[kind]
    clip = make(tmp_path / name)
    whole = told(AvSource(clip))
    assert len(whole) > FRAMES // 2
    for count in (0, 1, 2, 9, 10, 11, 12, 19, 20, 21, 29, len(whole) - 1, len(whole)):
        source = AvSource(clip)
        source.restore(state_after(lambda: AvSource(clip), count))
        assert told(source) == whole[count:], count
    assert ("read" in searches) == (kind in ("clock starts anew", "no index")), searches
    assert ("seek" in searches) == (kind != "no index")


def test_counters_go_on(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=30, gop=5)
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(clip.read_bytes())
    start, size = places[7]
    assert start is not None
    data[start + 4 : start + size] = bytes(size - 4)
    clip.write_bytes(data)
    with AvSource(clip) as source:
        total = len(list(source))
        counters = source.counters
    assert counters
    again = AvSource(clip)
    again.restore(state_after(lambda: AvSource(clip), total - 3))
    assert len(told(again)) == 3 and again.counters == counters


def test_a_file_that_decodes_differently_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=20, gop=5)
    state = state_after(lambda: AvSource(clip), 12)
    make_clip(clip, frames=20, gop=5, painter=lambda i, w, h: counter_picture(i + 1, w, h))
    source = AvSource(clip)
    source.restore(state)
    with pytest.raises(ResumeError, match="differ from those read before"):
        told(source)


def test_an_interrupted_search_ends_without_an_error(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.h264", frames=20, container="h264")
    state = state_after(lambda: AvSource(clip), 12)
    source = AvSource(clip)
    source.restore(state)
    source.interrupt()
    assert told(source) == []


def test_the_test_pattern_goes_on_at_its_number() -> None:
    def pattern() -> PatternSource:
        return PatternSource("test:64x48@10,frames=7")

    whole = told(pattern())
    source = pattern()
    source.restore(state_after(pattern, 3))
    assert told(source) == whole[3:] and len(whole) == 7
