import glob
import os

import pytest

from vidseg.wildcards import matching_paths


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "rec/a.mp4", "rec/[odd]/b.mp4", "rec/.hidden/c.mp4", "rec/sub/deep/a.mp4", "rec/.d.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        *("*.mp4", "rec/*", "r*/**/*.mp4", "**/*.mp4", "./**/a.*", "rec/**/deep", "rec/**/deep/*", "**/sub/**/*.mp4"),
        *("rec/.*/*.mp4", "rec/[[]odd]/*", "rec/**/**/b.mp4", "rec/a**", "nothing/**/*", "a.mp4/**/x", "rec/**/*/"),
    ],
)
def test_without_links_the_matches_are_those_of_glob(tree, pattern):
    for start in ("", f"{tree}/"):
        assert matching_paths(start + pattern) == sorted(set(glob.glob(start + pattern, recursive=True)))


def test_any_depth_at_the_end_gives_everything_below(tree):
    files = [path for path in matching_paths("rec/**") if os.path.isfile(path)]
    assert files == ["rec/[odd]/b.mp4", "rec/a.mp4", "rec/sub/deep/a.mp4"]


def test_links_that_go_in_circles_are_followed_once(tree):
    for name in ("up", "up too", "sub/up", "sub/deep/up"):
        os.symlink(tree / "rec", tree / "rec" / name)
    os.symlink(tree / "rec" / "sub", tree / "rec" / "again")
    os.symlink("self", tree / "rec" / "self")
    expected = ["rec/[odd]/b.mp4", "rec/a.mp4", "rec/sub/deep/a.mp4"]
    assert matching_paths("rec/**/*.mp4") == expected
    assert matching_paths(f"{tree}/**/*.mp4") == [f"{tree}/{name}" for name in ("a.mp4", *expected)]
