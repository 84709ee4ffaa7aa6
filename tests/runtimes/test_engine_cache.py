"""When a converted network is taken from disk, and when it is made again."""

import os
import zipfile

import pytest

from vidseg.runtimes.engine_cache import EngineKey, cached_parts

KEY = EngineKey("nano", "engine", "ab" * 32, {"engine": "1.0", "torch": "2.0"})
PARTS = {"model.xml": b"<net/>" * 50, "model.bin": bytes(range(256)) * 20}


class Builder:
    """Counts its calls."""

    def __init__(self, parts=PARTS):
        self.parts = parts
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.parts


def test_the_second_run_reads_what_the_first_one_made(tmp_path):
    build, said = Builder(), []
    first = cached_parts(KEY, build, folder=tmp_path / "new", announce=said.append)
    second = cached_parts(KEY, build, folder=tmp_path / "new", announce=said.append)
    assert first == second == PARTS and build.calls == 1
    assert len(said) == 1 and "converting nano for engine" in said[0]
    assert os.listdir(tmp_path / "new") == [KEY.file_name]


@pytest.mark.parametrize(
    "changed",
    [
        EngineKey("nano", "engine", KEY.weights_sha256, {"engine": "1.1", "torch": "2.0"}),
        EngineKey("nano", "engine", KEY.weights_sha256[:16] + "cd" * 24, KEY.facts),
    ],
    ids=["version", "hash with the same beginning"],
)
def test_a_stale_file_is_replaced(tmp_path, changed):
    cached_parts(KEY, Builder(), folder=tmp_path)
    build = Builder({"model.xml": b"new"})
    assert cached_parts(changed, build, folder=tmp_path) == {"model.xml": b"new"}
    assert cached_parts(changed, build, folder=tmp_path) == {"model.xml": b"new"}
    assert build.calls == 1 and os.listdir(tmp_path) == [KEY.file_name]


def test_other_weights_get_a_file_of_their_own(tmp_path):
    other = EngineKey("nano", "engine", "cd" * 32, KEY.facts)
    cached_parts(KEY, Builder(), folder=tmp_path)
    cached_parts(other, Builder(), folder=tmp_path)
    again = Builder()
    cached_parts(KEY, again, folder=tmp_path)
    assert again.calls == 0 and len(os.listdir(tmp_path)) == 2


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "a flipped bit":
        with zipfile.ZipFile(path) as archive:
            start = archive.getinfo("model.bin").header_offset
        content[start + 100] ^= 1
    elif how == "cut":
        del content[len(content) // 2 :]
    elif how == "empty":
        content.clear()
    else:
        content[:] = b"something else"
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["a flipped bit", "cut", "empty", "other content"])
def test_a_damaged_file_is_made_again(tmp_path, how):
    cached_parts(KEY, Builder(), folder=tmp_path)
    damage(tmp_path / KEY.file_name, how)
    build = Builder()
    assert cached_parts(KEY, build, folder=tmp_path) == PARTS and build.calls == 1
    assert cached_parts(KEY, build, folder=tmp_path) == PARTS and build.calls == 1


def test_every_flipped_byte_is_found_or_harmless(tmp_path):
    path = tmp_path / KEY.file_name
    small = {"model.onnx": b"0123456789"}
    cached_parts(KEY, Builder(small), folder=tmp_path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert cached_parts(KEY, Builder(small), folder=tmp_path) == small, position


def test_a_folder_that_cannot_be_written_costs_the_cache_and_nothing_else(tmp_path):
    (tmp_path / "file").touch()
    said = []
    assert cached_parts(KEY, Builder(), folder=tmp_path / "file", announce=said.append) == PARTS
    assert "cannot be written" in said[-1]


def test_a_failed_conversion_leaves_nothing(tmp_path):
    def fail():
        raise RuntimeError("no such operator")

    with pytest.raises(RuntimeError, match="no such operator"):
        cached_parts(KEY, fail, folder=tmp_path)
    assert os.listdir(tmp_path) == []
