"""GIF and WebP: moving pictures for pages and messages."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.sinks.sink_helpers import make_frame, pictures, timed_frames, video_info, write_all
from tests.video.clips import read_counter
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.gif_sink import GifSink
from vidseg.sources.animation_source import AnimationSource


def local_palettes(path: Path) -> list[bool]:
    """Of each picture of a GIF, whether it has colours of its own."""
    data, found = path.read_bytes(), []
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            flags = data[at + 9]
            found.append(bool(flags & 0x80))
            at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    return found


def half_coloured(index: int, width: int, height: int) -> np.ndarray:
    """Blue at first, later red."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 2 if index < 6 else 0] = np.linspace(60, 250, width, dtype=np.uint8)
    return picture


def test_a_gif_has_one_palette_that_knows_what_comes_late(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    frames = [make_frame(i, painter=half_coloured) for i in range(12)]
    write_all(GifSink(path, video_info(), overwrite=False), frames)
    assert local_palettes(path) == [False] * 12
    for made, frame in zip(pictures(path), frames, strict=True):
        assert np.abs(made.astype(int) - frame.image).mean() < 4
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("end", ["abort", "close"])
def test_a_gif_that_is_given_up_leaves_nothing(tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = GifSink(tmp_path / "a.gif", video_info(), overwrite=False)
    frame = make_frame(0)
    sink.write(frame, None, frame.image)  # type: ignore[arg-type]
    if end == "close":
        monkeypatch.setattr(sink, "_open_output", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sink.close()
    sink.abort()
    assert not list(tmp_path.iterdir())


def test_a_webp_of_a_video_moves_at_its_times_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    frames = timed_frames([0, 3, 4, 9], Fraction(1, 10), [3, 1, 5, 2])
    write_all(AvSink(path, video_info(), overwrite=False), frames)
    with AnimationSource(path) as source:
        made = list(source)
    assert [read_counter(frame.image) for frame in made] == [0, 1, 2, 3]
    assert [frame.seconds for frame in made] == [0, 0.3, 0.4, 0.9]
    data = path.read_bytes()
    at = data.index(b"ANIM") + 12
    assert data[at : at + 2] == b"\0\0", "repeats"


def test_a_webp_keeps_what_is_cut_out(tmp_path: Path) -> None:
    sink = AvSink(tmp_path / "a.webp", video_info(), overwrite=False, alpha=True)
    picture = np.zeros((48, 64, 4), np.uint8)
    picture[:, 32:] = 255
    for index in range(2):
        sink.write(make_frame(index), None, picture)  # type: ignore[arg-type]
    sink.close()
    import cv2

    alpha = cv2.imreadanimation(str(tmp_path / "a.webp"))[1].frames[0][..., 3]
    assert (alpha[:, :32] == 0).all() and (alpha[:, 32:] == 255).all()
