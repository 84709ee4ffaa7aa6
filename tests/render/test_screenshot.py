from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.render.scenes import noise
from vidseg.render.screenshot import save_screenshot


def test_screenshots_are_numbered_and_exact(tmp_path: Path) -> None:
    pictures = [noise(20, 30, seed) for seed in range(3)]
    paths = [save_screenshot(picture, tmp_path) for picture in pictures]
    assert [path.name for path in paths] == [f"vidseg-shot-000{n}.png" for n in (1, 2, 3)]
    for path, picture in zip(paths, pictures, strict=True):
        assert np.array_equal(cv2.imread(str(path))[:, :, ::-1], picture)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    taken = tmp_path / "vidseg-shot-0001.png"
    taken.write_bytes(b"mine")
    assert save_screenshot(noise(4, 4), tmp_path).name == "vidseg-shot-0002.png"
    assert taken.read_bytes() == b"mine"


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        save_screenshot(noise(4, 4), tmp_path / "missing")
