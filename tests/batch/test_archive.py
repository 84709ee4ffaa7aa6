import json
import os

import pytest

from vidseg.batch.archive import Archive, Record
from vidseg.batch.inputs import Identity
from vidseg.errors import ConfigError, SinkError

ID = Identity(10, 20)


def record(source="/in/a.mp4", state="done", settings="s1", outputs=None, **more):
    return Record(source, ID, settings, state, {"a.mp4": Identity(1, 2)} if outputs is None else outputs, **more)


def write(path, *records):
    with Archive(path, write=True) as archive:
        for item in records:
            archive.add(item)


def test_records_come_back_as_they_were(tmp_path):
    path = tmp_path / "sub" / "archive.jsonl"
    odd = record(os.fsdecode(b"/in/\xff\n\xc3\xbc.mp4"), outputs={"masks": None}, details={"frames": 3})
    failed = record("/in/b.mp4", "failed", reason="broken", input_fault=True, outputs={})
    write(path, odd, failed)
    archive = Archive(path, write=False)
    assert archive.find(odd.source, "s1") == odd and archive.maker("masks") == odd
    assert archive.find("/in/b.mp4", "s1") == failed
    assert archive.find("/in/b.mp4", "s2") is None and archive.notes == []


def test_the_last_record_counts_and_settings_are_kept_apart(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, record(state="failed", outputs={}), record(), record(settings="s2", state="failed", outputs={}))
    archive = Archive(path, write=False)
    assert archive.find("/in/a.mp4", "s1").state == "done"
    assert archive.find("/in/a.mp4", "s2").state == "failed"


def test_an_output_that_was_only_announced_is_no_longer_known_when_the_job_failed(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, record(state="started", outputs={"a.mp4": None}))
    assert Archive(path, write=False).maker("a.mp4").state == "started"
    write(path, record(state="failed", outputs={}))
    assert Archive(path, write=False).maker("a.mp4") is None


@pytest.mark.parametrize("end", [b'{"source": "/in/b', b"\0\0\0\0\0", b"garbage\n", b'{"a": 1}\n', b"[]\n"])
def test_a_damaged_end_is_told_cut_off_and_written_over(tmp_path, end):
    path = tmp_path / "a.jsonl"
    write(path, record())
    whole = path.read_bytes()
    path.write_bytes(whole + end)
    looked = Archive(path, write=False)
    assert looked.find("/in/a.mp4", "s1") and "line 3 is damaged" in looked.notes[0]
    assert path.read_bytes() == whole + end
    write(path, record("/in/c.mp4"))
    archive = Archive(path, write=False)
    assert archive.notes == [] and archive.find("/in/c.mp4", "s1") and archive.find("/in/a.mp4", "s1")


def test_damage_in_the_middle_costs_only_its_line(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, record(), record("/in/b.mp4"), record("/in/c.mp4"))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"#" * len(lines[2][:-1]) + b"\n"
    path.write_bytes(b"".join(lines))
    archive = Archive(path, write=True)
    archive.close()
    assert archive.find("/in/a.mp4", "s1") and archive.find("/in/c.mp4", "s1")
    assert archive.find("/in/b.mp4", "s1") is None and "line 3 is damaged" in archive.notes[0]
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("written", [b"", b"{", b'{"vidseg_batch": 1', b'{"vidseg_batch": 1}', b"\0\0\0\0"])
def test_a_first_line_that_a_power_loss_cut_off_is_a_new_archive(tmp_path, written):
    path = tmp_path / "a.jsonl"
    path.write_bytes(written)
    assert Archive(path, write=False).find("/in/a.mp4", "s1") is None and path.read_bytes() == written
    write(path, record())
    archive = Archive(path, write=False)
    assert archive.notes == [] and archive.find("/in/a.mp4", "s1")


@pytest.mark.parametrize("content", [b"youtube abcdef\n", b"{}\n", b"\x00\x01", b'["vidseg_batch"]\n'])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    for write_it in (False, True):
        with pytest.raises(ConfigError, match="is not an archive of `vidseg batch`"):
            Archive(path, write=write_it)
    assert path.read_bytes() == content


def test_an_archive_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"vidseg_batch": 2}) + "\n")
    with pytest.raises(ConfigError, match="version 2, but only version 1"):
        Archive(path, write=False)


def test_two_batches_cannot_use_one_archive(tmp_path):
    path = tmp_path / "a.jsonl"
    with Archive(path, write=True):
        with pytest.raises(SinkError, match="another batch is using"):
            Archive(path, write=True)
        assert Archive(path, write=False).notes == []
    Archive(path, write=True).close()


def test_reading_makes_nothing_and_a_place_that_cannot_be_written_is_told(tmp_path):
    Archive(tmp_path / "none" / "a.jsonl", write=False)
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot be used"):
        Archive(tmp_path / "file" / "a.jsonl", write=True)
    with pytest.raises(SinkError, match="not a regular file"):
        Archive(tmp_path, write=True)


def test_a_disk_that_takes_a_part_of_a_line_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    with Archive(path, write=True) as archive:
        real, calls = os.write, []

        def short(descriptor, data):
            calls.append(len(data))
            return real(descriptor, data[:5] if len(calls) == 1 else data)

        monkeypatch.setattr(os, "write", short)
        archive.add(record())
    assert len(calls) == 2 and Archive(path, write=False).notes == []
    assert Archive(path, write=False).find("/in/a.mp4", "s1")
