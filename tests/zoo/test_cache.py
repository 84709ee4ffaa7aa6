from __future__ import annotations

from pathlib import Path

import pytest

from vidseg import zoo
from vidseg.errors import ConfigError
from vidseg.zoo.cache import cache_folder, read_record, weights_path, write_record

RECORD = zoo.FileRecord(url="https://example.org/m.pth", size=4, sha256="ab" * 32, date="2025-01-01T00:00:00+00:00")


def test_own_variable_wins_over_xdg_and_home() -> None:
    assert cache_folder({"VIDSEG_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}) == Path("/a/b")
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/vidseg")
    assert cache_folder({}) == Path.home() / ".cache" / "vidseg"


def test_tilde_is_expanded_and_relative_xdg_folder_ignored() -> None:
    assert cache_folder({"VIDSEG_CACHE": "~/w"}) == Path.home() / "w"
    assert cache_folder({"XDG_CACHE_HOME": "x"}) == Path.home() / ".cache" / "vidseg"


def test_no_home_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(ConfigError, match=r"^no home folder to keep weights in; set VIDSEG_CACHE to a folder$"):
        cache_folder({})


def test_bundled_weights_count_as_cached(tmp_path: Path) -> None:
    entry = zoo.entry("m2f-mobile-ade")
    assert zoo.cached_path(entry, cache_dir=tmp_path) == entry.bundled_path


def test_downloaded_weights_are_found_under_the_canonical_name(tmp_path: Path) -> None:
    entry = zoo.entry("fai-mf-m-ade")
    assert zoo.cached_path(entry, cache_dir=tmp_path) is None

    path = weights_path(entry, tmp_path)
    path.write_bytes(b"1234")

    assert path == tmp_path / "fai-m2f-m-ade.pth"
    assert zoo.cached_path(entry, cache_dir=tmp_path) == path


def test_record_round_trip_and_listing(tmp_path: Path) -> None:
    path = weights_path(zoo.entry("bisenetformer-s-ade"), tmp_path)
    path.write_bytes(b"1234")
    write_record(path, RECORD)

    listed = zoo.cached_entries(cache_dir=tmp_path)

    assert [(cached.entry.name, cached.record) for cached in listed] == [
        ("m2f-mobile-ade", None),
        ("fai-m2f-n-ade", None),
        ("bisenetformer-s-ade", RECORD),
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, f"{path.name}.json"]


def test_file_of_another_size_than_recorded_counts_as_missing(tmp_path: Path) -> None:
    entry = zoo.entry("bisenetformer-s-ade")
    path = weights_path(entry, tmp_path)
    write_record(path, RECORD)
    path.write_bytes(b"123")
    assert zoo.cached_path(entry, cache_dir=tmp_path) is None


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"url": "u"}', '{"url":"u","size":"x","sha256":"s","date":"d"}'])
def test_record_that_cannot_be_understood_is_no_record(tmp_path: Path, text: str) -> None:
    weights = tmp_path / "m.pth"
    (tmp_path / "m.pth.json").write_text(text)
    assert read_record(weights) is None
