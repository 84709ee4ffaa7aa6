import os

import pytest

from vidseg.batch.inputs import find_inputs, identity_of, list_words
from vidseg.errors import ConfigError


def no_stdin():
    raise AssertionError("standard input is not asked for")


def find(*words, **options):
    return find_inputs(words, **{"stdin": no_stdin} | options)


def names(found):
    return [item.name for item in found.inputs]


def refused(found):
    return [(item.name, item.reason) for item in found.unusable]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory, and a function that makes empty files in it."""
    monkeypatch.chdir(tmp_path)

    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(b"x")

    return make


def test_a_folder_is_searched_to_the_bottom_in_order_and_keeps_its_structure(here):
    here("rec/b.MP4", "rec/a.mkv", "rec/deep/er/c.mov", "rec/a/z.avi", "rec/notes.txt")
    found = find("rec")
    assert names(found) == ["rec/a.mkv", "rec/b.MP4", "rec/a/z.avi", "rec/deep/er/c.mov"]
    assert [item.folder for item in found.inputs] == ["", "", "a", "deep/er"]
    assert all(os.path.isabs(item.path) and item.identity == identity_of(item.path) for item in found.inputs)


def test_hidden_and_unfinished_files_are_left_out(here):
    here("rec/.a.mp4", "rec/.trash/b.mp4", "rec/c.mp4.part", "rec/d.mp4")
    assert names(find("rec")) == ["rec/d.mp4"]
    assert names(find("rec", patterns=["*"])) == ["rec/d.mp4"]


def test_patterns_say_what_is_taken_from_folders_only(here):
    here("rec/cam1_a.mp4", "rec/cam2_a.mp4", "rec/CAM1_b.dat", "other.mp4")
    assert names(find("rec", "other.mp4", patterns=["cam1_*"])) == ["rec/CAM1_b.dat", "rec/cam1_a.mp4", "other.mp4"]
    assert refused(find("rec", patterns=["*.mov", "*.y"])) == [("rec", "no file that matches *.mov *.y in this folder")]


def test_links_that_go_in_circles_and_to_nothing(here):
    here("rec/a.mp4", "rec/sub/b.mp4")
    os.symlink("..", "rec/sub/up")
    os.symlink(".", "rec/self")
    os.symlink("nowhere.mp4", "rec/gone.mp4")
    os.symlink("a.mp4", "rec/again.mp4")
    found = find("rec")
    assert names(found) == ["rec/a.mp4", "rec/sub/b.mp4"]
    assert refused(found) == [("rec/gone.mp4", "is a broken link")]
    assert found.notes == ["1 input was given more than once; each is processed once"]


def test_the_same_file_by_several_names_is_taken_once(here):
    here("rec/a.mp4")
    found = find("rec/a.mp4", "rec", "./rec//a.mp4", "rec/*.mp4", os.path.abspath("rec/a.mp4"))
    assert names(found) == ["rec/a.mp4"] and refused(found) == []
    assert found.notes == ["4 inputs were given more than once; each is processed once"]


def test_globs_take_videos_or_the_ending_they_name_and_search_folders(here):
    here("rec/a.mp4", "rec/a.txt", "rec/x.dat", "rec/sub/b.mp4", "rec/[odd].mp4")
    assert names(find("rec/*")) == ["rec/[odd].mp4", "rec/a.mp4", "rec/sub/b.mp4"]
    assert names(find("rec/*.dat")) == ["rec/x.dat"]
    assert names(find("rec/**/b.*")) == names(find("r*/**/sub")) == ["rec/sub/b.mp4"]
    everything = find("rec/**/*")
    assert names(everything) == ["rec/[odd].mp4", "rec/a.mp4", "rec/sub/b.mp4"] and everything.notes == []
    assert names(find("rec/[odd].mp4")) == ["rec/[odd].mp4"]
    assert refused(find("rec/*.mov")) == [("rec/*.mov", "no video matches")]


def test_globs_of_any_depth_end_where_links_go_in_circles(here, tmp_path):
    here("rec/a.mp4", "rec/sub/b.mp4")
    for name in ("rec/up", "rec/up2", "rec/sub/up"):
        os.symlink(tmp_path / "rec", tmp_path / name)
    found = find("rec/**/*.mp4")
    assert names(found) == ["rec/a.mp4", "rec/sub/b.mp4"] and found.notes == []


def test_what_is_no_file_is_refused_with_the_reason(here, tmp_path):
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    found = find("gone.mp4", "empty", "rtsp://user:secret@cam/1", "pipe.mp4", "a\0b")
    assert refused(found) == [
        ("gone.mp4", "no such file"),
        ("empty", "no video in this folder"),
        ("rtsp://user:secret@cam/1", "a batch takes files only; use `vidseg run` for streams"),
        ("pipe.mp4", "is not a regular file"),
        ("a\0b", "is not a file name"),
    ]


def test_images_of_a_folder_are_left_out_and_said(here):
    here("rec/a.mp4", "rec/b.JPG", "rec/sub/c.png", "rec/d.txt", "photos/e.jpg")
    found = find("rec", "photos")
    assert names(found) == ["rec/a.mp4"] and refused(found) == [
        ("photos", "no video in this folder, but 1 image, which `vidseg run` takes")
    ]
    assert found.notes == ["rec: 2 images left out; `vidseg run` takes videos and images"]
    assert find("rec", patterns=["*.mp4"]).notes == find("rec/b.JPG").notes == find("rec", out_dir="rec").notes == []


def test_lists_have_comments_and_names_beside_them(here, tmp_path):
    here("lists/beside.mp4", "near.mp4", "#odd.mp4", "rec/c.mp4")
    text = "\ufeff# recordings\r\n  near.mp4  \n\nbeside.mp4\n./#odd.mp4\nrec\ngone.mp4\n"
    (tmp_path / "lists" / "list.txt").write_text(text, encoding="utf-8", newline="")
    found = find(lists=["lists/list.txt"])
    assert [os.path.basename(name) for name in names(found)] == ["near.mp4", "beside.mp4", "#odd.mp4", "c.mp4"]
    assert refused(found) == [("gone.mp4", "no such file")]
    with pytest.raises(ConfigError, match=r"nolist\.txt: cannot read the list \(No such file"):
        find(lists=["nolist.txt"])


def test_standard_input_is_a_list_with_any_name_when_separated_by_nul(here):
    odd = ["two\nlines.mp4", "# no comment.mp4", " space .mp4", os.fsdecode(b"\xff\xfe.mp4")]
    here(*odd)
    data = b"\0".join(map(os.fsencode, odd)) + b"\0"
    assert names(find("-", null=True, stdin=lambda: data)) == odd
    assert names(find("-", stdin=lambda: b"two\n./# no comment.mp4\n")) == ["./# no comment.mp4"]
    assert list_words(b"") == list_words(b"\n\n# a\n") == []


def test_the_output_folder_inside_a_searched_folder_is_not_searched(here):
    here("rec/a.mp4", "rec/out/a_annotated.mp4", "rec/out2/b.mp4")
    assert names(find("rec", out_dir="rec/out")) == ["rec/a.mp4", "rec/out2/b.mp4"]
