from __future__ import annotations

import numpy as np
import pytest

from vidseg.render.text import (
    MIN_SIZE_PX,
    draw_haloed_text,
    draw_panel,
    draw_text,
    halo_px,
    line_height,
    text_size_px,
    text_width,
)


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("size_px", [9, 13, 20, 30, 45, 60])
@pytest.mark.parametrize("text", ["Agjpqy|", "(100 %)", "chest of drawers"])
def test_text_stays_in_its_box(text: str, size_px: int, bold: bool) -> None:
    picture = np.zeros((200, 800, 3), dtype=np.uint8)
    draw_text(picture, text, 50, 50, size_px, bold=bold)
    rows, columns = (np.flatnonzero(picture.any(axis=(2, 1 - axis))) for axis in (0, 1))
    assert rows[0] >= 50 and rows[-1] < 50 + line_height(size_px)
    slack = 1 + size_px // 10  # a letter may lean over its box a little
    assert columns[0] >= 50 - slack and columns[-1] < 50 + text_width(text, size_px, bold=bold) + slack


def test_haloed_text_is_cut_off_at_the_border() -> None:
    whole = np.full((60, 200, 3), 128, dtype=np.uint8)
    draw_haloed_text(whole, "sidewalk", 60, 10, 20)
    cut = np.full((60, 200, 3), 128, dtype=np.uint8)
    draw_haloed_text(cut, "sidewalk", -20, 10, 20)
    assert np.array_equal(cut[:, :100], whole[:, 80:180])
    draw_haloed_text(cut, "sidewalk", 500, 500, 20)


def test_halo_reaches_no_further_than_said() -> None:
    picture = np.full((100, 300, 3), 255, dtype=np.uint8)
    draw_haloed_text(picture, "road", 50, 30, 20)
    columns = np.flatnonzero((picture != 255).any(axis=(0, 2)))
    margin = halo_px(20)
    assert 50 - margin <= columns[0] <= 50 + 2
    assert columns[-1] < 50 + text_width("road", 20, bold=True) + margin


def test_panel_darkens_its_box_only() -> None:
    picture = np.full((60, 80, 3), 255, dtype=np.uint8)
    draw_panel(picture, 10, 20, 50, 30)
    dark = (picture < 100).all(axis=2)
    assert dark[25:45, 20:50].all()
    dark[20:50, 10:60] = False
    assert not dark.any()


def test_text_grows_with_the_picture_and_stays_readable() -> None:
    sizes = [text_size_px(height, width) for height, width in ((16, 16), (480, 640), (720, 1280), (2160, 3840))]
    assert sizes == sorted(sizes) and sizes[0] == MIN_SIZE_PX and sizes[-1] > 2 * sizes[-2]
    assert text_size_px(1280, 720) == text_size_px(720, 1280)
