"""States come back as they were, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from vidseg.atomic import write_whole_file
from vidseg.errors import ResumeError, WriteError
from vidseg.saved_state import load_state, save_state

STATE = {
    "none": None,
    "flag": True,
    "count": 2**62,
    "share": 0.1 + 0.2,
    "words": ["a", {"b": []}],
    "map": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "deep": {"list": [np.zeros((0, 4), np.float32), np.array(7, np.int64)]},
}


def test_values_and_arrays_come_back_exactly(tmp_path: Path) -> None:
    save_state(tmp_path / "state", STATE)
    found = load_state(tmp_path / "state")
    assert os.listdir(tmp_path) == ["state"]
    assert {name: found[name] for name in ("none", "flag", "count", "share", "words")} == {
        name: STATE[name] for name in ("none", "flag", "count", "share", "words")
    }
    for before, after in (
        (STATE["map"], found["map"]),
        *zip(STATE["deep"]["list"], found["deep"]["list"], strict=True),
    ):  # type: ignore[index,call-overload]
        assert before.dtype == after.dtype and before.shape == after.shape and (before == after).all()


@pytest.mark.parametrize("place", [0, 3, 14, 20, 80, 200, -1])
def test_one_changed_byte_is_noticed(tmp_path: Path, place: int) -> None:
    save_state(tmp_path / "state", STATE)
    data = bytearray((tmp_path / "state").read_bytes())
    data[place] ^= 1
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(ResumeError, match=r"state: .*remove its folder to start over"):
        load_state(tmp_path / "state")


@pytest.mark.parametrize("size", [0, 10, 79, 500])
def test_a_cut_file_is_noticed(tmp_path: Path, size: int) -> None:
    save_state(tmp_path / "state", STATE)
    os.truncate(tmp_path / "state", size)
    with pytest.raises(ResumeError, match="remove its folder"):
        load_state(tmp_path / "state")


def test_a_file_of_another_kind_or_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("hello\n")
    with pytest.raises(ResumeError, match="is not the state of a run"):
        load_state(tmp_path / "state")
    with pytest.raises(ResumeError, match="cannot be read"):
        load_state(tmp_path / "none")


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole_file(tmp_path / "a", b"old", synced=True)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="disk full"):
        write_whole_file(tmp_path / "a", b"new", synced=True)
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"old"
