"""Output files appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vidseg import zoo
from vidseg.atomic import PartFile, UniqueStems, open_lock, write_failure, write_whole_file
from vidseg.errors import ConfigError, SinkError, WriteError
from vidseg.folder_lock import locked
from vidseg.zoo.download import _only_one


def test_commit_names_the_file(tmp_path: Path) -> None:
    claim = PartFile(tmp_path / "a.bin", overwrite=False)
    claim.part.write_bytes(b"new")
    assert os.listdir(tmp_path) == ["a.bin.part"]
    claim.commit()
    claim.discard()
    assert os.listdir(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_discard_keeps_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"old")
    claim = PartFile(tmp_path / "a.bin", overwrite=True)
    claim.part.write_bytes(b"new")
    claim.discard()
    assert os.listdir(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_a_leftover_part_file_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"left by a killed run")
    claim = PartFile(tmp_path / "a.bin", overwrite=False)
    assert claim.part.read_bytes() == b""
    claim.discard()


def test_two_claims_of_one_name(tmp_path: Path) -> None:
    first = PartFile(tmp_path / "a.bin", overwrite=True)
    first.part.write_bytes(b"first")
    with pytest.raises(SinkError, match="written by another process"):
        PartFile(tmp_path / "a.bin", overwrite=True)
    first.commit()
    assert (tmp_path / "a.bin").read_bytes() == b"first"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    claim = PartFile(tmp_path / "a.bin", overwrite=False)
    claim.part.write_bytes(b"new")
    (tmp_path / "a.bin").write_bytes(b"of someone else")
    with pytest.raises(WriteError, match=r"the result is in .*a\.bin\.part"):
        claim.commit()
    assert (tmp_path / "a.bin").read_bytes() == b"of someone else"
    assert (tmp_path / "a.bin.part").read_bytes() == b"new"


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("disk/real.bin")
    claim = PartFile(tmp_path / "link.bin", overwrite=True)
    assert claim.part.parent.name == "disk"
    claim.part.write_bytes(b"new")
    claim.commit()
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "disk" / "real.bin").read_bytes() == b"new"


def test_devices_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.bin")
    with pytest.raises(SinkError, match="not a regular file"):
        PartFile(tmp_path / "pipe.bin", overwrite=True)
    reading, writing = os.pipe()
    with pytest.raises(SinkError, match=r"regular file; give another name$"):  # as /dev/stdout and >(command) are
        PartFile(f"/dev/fd/{writing}", overwrite=True)
    os.close(reading)
    os.close(writing)
    os.mkfifo(tmp_path / "a.bin.part")
    with pytest.raises(SinkError):
        PartFile(tmp_path / "a.bin", overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["a.bin.part", "pipe.bin"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("no/a.bin", "does not exist; create it"), ("file/a.bin", "is not a folder"), ("dir", "is a folder")],
)
def test_impossible_places(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "dir").mkdir()
    with pytest.raises(SinkError, match=message):
        PartFile(tmp_path / name, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["dir", "file"]


def test_folder_without_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(SinkError, match="cannot be written"):
            PartFile(tmp_path / "a.bin", overwrite=False)
    finally:
        tmp_path.chmod(0o700)


def test_failed_open_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SinkError, match=r"a\.bin: cannot be written \(Permission denied\)"):
        PartFile(tmp_path / "a.bin", overwrite=False)


def test_failing_flush_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    claim = PartFile(tmp_path / "a.bin", overwrite=False)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match="disk full"):
        claim.commit()
    assert os.listdir(tmp_path) == []


def test_small_files_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole_file(tmp_path / "a.bin", b"one")
    write_whole_file(tmp_path / "a.bin", b"two")
    assert (tmp_path / "a.bin").read_bytes() == b"two"

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match="disk full"):
        write_whole_file(tmp_path / "a.bin", b"three")
    assert os.listdir(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"two"


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk full"), (errno.EDQUOT, "disk full"), (errno.EFBIG, "exceeds the largest")]
)
def test_reasons_in_plain_words(code: int, words: str) -> None:
    assert words in write_failure("a.mp4", OSError(code, os.strerror(code)))
    assert "a.mp4" in write_failure("a.mp4", OSError(code, os.strerror(code)))


def test_stems_are_unique_in_any_case_and_stay_inside_the_folder() -> None:
    stems = UniqueStems()
    taken = [stems.take(stem) for stem in ("a", "a", "a_1", "A", "b", "a", "../x", "..", "")]
    assert taken == ["a", "a_1", "a_1_1", "A_2", "b", "a_3", ".._x", "frame", "frame_1"]
    assert len({stem.casefold() for stem in taken}) == len(taken)
    assert not any("/" in stem or stem in ("", ".", "..") for stem in taken)


def test_a_lock_is_no_way_to_another_file(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"content")
    (tmp_path / "lock").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        open_lock(tmp_path / "lock")
    os.close(open_lock(precious))
    assert precious.read_bytes() == b"content", "a lock that is there is left as it is"
    with pytest.raises(ConfigError, match="cannot be written"), locked(tmp_path):
        pass
    (tmp_path / "file.lock").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"), _only_one(tmp_path / "file", zoo.entries()[0], print):
        pass
    assert precious.read_bytes() == b"content"


@pytest.mark.parametrize("whole", [None, 3])
def test_what_is_kept_after_a_failure_has_its_name(tmp_path: Path, whole: int | None) -> None:
    file = PartFile(tmp_path / "a", overwrite=False)
    file.part.write_bytes(b"abcdef")
    file.keep(whole)
    file.discard()
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"abcdef"[:whole]
