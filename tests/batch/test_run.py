"""Whole batches with a network that costs nothing."""

import json
import os
import pickle
import signal
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.video.clips import make_clip
from vidseg.batch import local, work
from vidseg.batch.archive import Archive
from vidseg.batch.job import do_job
from vidseg.batch.prepare import HIDDEN_FOLDER, BatchOptions
from vidseg.batch.resources import automatic_jobs
from vidseg.batch.run import run_batch
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, SinkError, WriteError
from vidseg.pipeline.pipeline import Pipeline
from vidseg.sinks.records.label_maps import LabelMapSink
from vidseg.wiring.engine import Engine
from vidseg.wiring.network_input import NetworkInput
from vidseg.wiring.reporter import SilentReporter

SKY = 2


class FakeRuntime:
    """Sees the sky everywhere. `before` is called first, with the number of calls so far."""

    name = "fake"
    device = torch.device("cpu")

    def __init__(self):
        self.before = lambda calls: None
        self.calls = 0

    def run(self, images):
        self.before(self.calls)
        self.calls += 1
        count, _, height, width = images.shape
        class_logits = torch.zeros(count, 1, 151)
        class_logits[..., SKY] = 9.0
        return class_logits, torch.full((count, 1, height // 4, width // 4), 9.0)


class Reporter(SilentReporter):
    """Keeps what it is told; `look` is called on every tick."""

    def __init__(self):
        self.notes, self.problems, self.failed = [], [], {}
        self.look = lambda board: None

    def note(self, text):
        self.notes.append(text)

    def problem(self, text):
        self.problems.append(text)

    def batch_progress(self, board):
        self.look(board)

    def job_done(self, row, board):
        pass

    def input_failed(self, name, reason):
        self.failed[name] = reason


class Place:
    """A working directory with clips, and batches into `out`."""

    def __init__(self, path, runtime):
        self.path = path
        self.runtime = runtime
        self.reporter = Reporter()

    def clip(self, name, frames=4):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        return make_clip(self.path / name, size=(32, 32), frames=frames)

    def batch(self, *inputs, config=None, **options):
        """(name -> (state, reason), exit code)"""
        self.reporter = options.pop("reporter", None) or Reporter()
        settings = BatchOptions(inputs=inputs, **{"out_dir": "out", "jobs": 1} | options)
        outcome = run_batch(config or RunConfig(), settings, self.reporter, stdin=lambda: b"")
        self.outcome = outcome
        if outcome.report is None:
            return None, outcome.exit_code
        return {item.name: (item.state, item.reason) for item in outcome.report.files}, outcome.exit_code

    def states(self, *inputs, **options):
        files, _ = self.batch(*inputs, **options)
        return [state for state, _ in files.values()]

    def outputs(self):
        """Everything in `out` but what the batch keeps for itself."""
        found = [path for path in Path("out").rglob("*") if HIDDEN_FOLDER not in path.parts and path.is_file()]
        return sorted(str(path.relative_to("out")) for path in found if not path.name.startswith("batch-report"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runtime = FakeRuntime()
    place = Place(tmp_path, runtime)
    place.loaded = []

    def load(config, reporter, *, most):
        place.loaded.append(config.device)
        place.most = most
        return Engine(config.model, runtime, NetworkInput(32), torch.device("cpu"))

    monkeypatch.setattr(local, "load_beside", load)
    return place


def test_the_network_is_given_more_pictures_at_once_than_jobs_by_films_only(place):
    cv2.imwrite("a.png", np.zeros((8, 8, 3), np.uint8))
    place.batch("a.png", jobs=2)
    assert place.most == 1
    place.clip("b.mp4")
    place.batch("b.mp4", jobs=1)
    assert place.most == 8


def test_everything_is_done_once_and_remembered(place):
    place.clip("rec/a.mp4")
    place.clip("rec/day/b.mkv")
    config = RunConfig(save_masks="{stem}_masks", stats="{stem}.json")
    files, code = place.batch("rec", config=config, jobs=2)
    assert files == {"rec/a.mp4": ("done", ""), "rec/day/b.mkv": ("done", "")} and code == 0
    masks = ["a_masks/frames.csv", *(f"a_masks/{index:06}.png" for index in range(4))]
    day = ["day/b.json", "day/b_annotated.mp4", *(f"day/{name.replace('a_', 'b_')}" for name in masks)]
    assert place.outputs() == sorted(["a.json", "a_annotated.mp4", *masks, *day])
    details = place.outcome.report.files[0].details
    assert (details["frames"], set(details["shares"]["shares"])) == (4, {str(SKY)})
    assert place.outcome.report.files[0].strip.startswith(b"\xff\xd8")

    calls = place.runtime.calls
    files, code = place.batch("rec", config=config)
    assert [state for state, _ in files.values()] == ["skipped", "skipped"] and code == 0
    assert place.runtime.calls == calls and len(place.loaded) == 1
    again = place.outcome.report.files[0]
    assert again.details["frames"] == 4 and again.strip.startswith(b"\xff\xd8")


def test_bad_files_are_listed_with_their_reasons_and_the_others_are_done(place):
    for name in ("a.mp4", "z.mp4"):
        place.clip(f"rec/{name}")
    Path("rec/bad.mp4").write_bytes(b"\0" * 1000)
    Path("rec/empty.mp4").touch()
    Path("rec/text.mp4").write_text("hello")
    Path("none").mkdir()
    files, code = place.batch("rec", "gone.mp4", "none")
    assert code == 1
    assert {name for name, (state, _) in files.items() if state == "done"} == {"rec/a.mp4", "rec/z.mp4"}
    assert "not a video that FFmpeg can read" in files["rec/bad.mp4"][1]
    assert "this is a text file, not a video" in files["rec/text.mp4"][1]
    assert files["gone.mp4"] == ("failed", "no such file")
    assert place.reporter.failed == {name: reason for name, (state, reason) in files.items() if state == "failed"}
    assert files["none"] == ("failed", "no video in this folder")
    assert place.outputs() == ["a_annotated.mp4", "z_annotated.mp4"]
    assert all(str(place.path) not in reason for _, reason in files.values())


def test_bad_inputs_wait_for_retry_failed_or_for_another_file(place):
    place.clip("rec/a.mp4")
    Path("rec/bad.mp4").write_bytes(b"\0" * 1000)
    assert place.states("rec") == ["done", "failed"]
    files, code = place.batch("rec")
    assert code == 1 and "not retried, unless with --retry-failed" in files["rec/bad.mp4"][1] and len(place.loaded) == 1
    files, _ = place.batch("rec", retry_failed=True)
    assert "--retry-failed" not in files["rec/bad.mp4"][1] and len(place.loaded) == 2
    place.clip("rec/bad.mp4")
    assert place.states("rec") == ["skipped", "done"]


def test_keep_going_can_be_turned_off(place):
    Path("a.mp4").write_bytes(b"\0" * 1000)
    place.clip("b.mp4")
    files, code = place.batch("a.mp4", "b.mp4", keep_going=False)
    assert code == 1 and files["b.mp4"] == ("not started", "the batch ended before its turn")
    assert place.states("a.mp4", "b.mp4") == ["failed", "done"]


def test_a_mistake_in_one_job_does_not_cost_the_others(place):
    place.clip("a.mp4")
    place.clip("b.mp4")

    def fail_once(calls):
        place.runtime.before = lambda calls: None
        raise RuntimeError("no such kernel\nlong story")

    place.runtime.before = fail_once
    files, code = place.batch("a.mp4", "b.mp4")
    assert files["a.mp4"] == ("failed", "unexpected RuntimeError: no such kernel")
    assert files["b.mp4"][0] == "done" and code == 1 and place.outputs() == ["b_annotated.mp4"]
    assert "RuntimeError" in json.loads(Path("out/batch-report.json").read_text())["files"][0]["trace"]
    assert place.states("a.mp4", "b.mp4") == ["done", "skipped"]  # it was not the input's fault


def test_an_input_that_changes_while_it_is_read_gives_no_output(place):
    clip = place.clip("a.mp4")
    place.runtime.before = lambda calls: os.utime(clip, ns=(1, 1))
    config = RunConfig(stats="{stem}.json")
    files, code = place.batch("a.mp4", config=config)
    assert (
        files["a.mp4"][0] == "failed" and files["a.mp4"][1].startswith("changed while it was being read") and code == 1
    )
    assert place.outputs() == []
    place.runtime.before = lambda calls: None
    assert place.states("a.mp4", config=config) == ["done"]


def test_outputs_are_made_again_when_input_or_settings_change_but_foreign_files_stay(place):
    place.clip("a.mp4")
    place.clip("b.mp4")
    Path("out").mkdir()
    Path("out/b_annotated.mp4").write_bytes(b"mine")
    files, code = place.batch("a.mp4", "b.mp4")
    assert files["a.mp4"][0] == "done" and "-y replaces it" in files["b.mp4"][1] and code == 1
    assert Path("out/b_annotated.mp4").read_bytes() == b"mine"
    before = Path("out/a_annotated.mp4").stat().st_mtime_ns
    assert place.states("a.mp4", config=RunConfig(opacity=0.2)) == ["done"]
    assert place.reporter.notes == ["1 file again: other settings"]
    assert Path("out/a_annotated.mp4").stat().st_mtime_ns > before
    assert place.states("b.mp4", config=RunConfig(overwrite=True)) == ["done"]
    os.remove("out/b_annotated.mp4")
    assert place.states("a.mp4", "b.mp4", config=RunConfig(opacity=0.2)) == ["skipped", "done"]


def test_own_outputs_beside_the_inputs_are_no_inputs(place):
    place.clip("rec/a.mp4")
    assert place.states("rec", out_dir="rec") == ["done"]
    files, code = place.batch("rec", out_dir="rec")
    assert files == {"rec/a.mp4": ("skipped", "done before")} and code == 0
    assert place.reporter.notes == ["rec/a_annotated.mp4: made by an earlier batch, left out"]


def test_an_archive_of_ones_own_skips_what_was_moved_away(place):
    place.clip("a.mp4")
    assert place.states("a.mp4", archive="done.jsonl") == ["done"]
    os.rename("out/a_annotated.mp4", "moved.mp4")
    assert place.states("a.mp4", archive="done.jsonl") == ["skipped"]
    skipped, code = place.batch("a.mp4", archive="done.jsonl", out_dir="out2")
    assert [state for state, _ in skipped.values()] == ["skipped"] and code == 0, place.reporter.problems
    assert os.listdir("out2"), "the report"
    assert place.states("a.mp4", archive="done.jsonl", config=RunConfig(opacity=0.1)) == ["done"]
    assert place.reporter.notes == ["1 file again: other settings"]


def test_a_killed_batch_goes_on_where_it_was(place):
    """As after a power loss: one job was announced and its output is there, whole, but nobody said it was done."""
    place.clip("a.mp4")
    assert place.states("a.mp4") == ["done"]
    path = Path("out", HIDDEN_FOLDER, "archive.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    Path("out/a_annotated.mp4.part").write_bytes(b"left")
    assert place.states("a.mp4") == ["done"] and "line 3 is damaged" in place.reporter.notes[0]
    assert place.outputs() == ["a_annotated.mp4"]
    assert place.states("a.mp4") == ["skipped"]


def test_a_dry_run_plans_and_writes_nothing(place):
    place.clip("a.mp4")
    _, code = place.batch("a.mp4", "gone.mp4", dry_run=True)
    assert [item.action for item in place.outcome.plan.decisions] == ["do"] and code == 1
    assert sorted(os.listdir()) == ["a.mp4"] and place.loaded == []


def test_nothing_is_written_when_the_plan_is_wrong(place):
    place.clip("a.mp4")
    place.clip("a.mkv")
    with pytest.raises(ConfigError, match="would be written twice"):
        place.batch("a.mp4", "a.mkv")
    for config, message in (
        (RunConfig(source="x"), "cannot be used with a batch"),
        (RunConfig(show=True), "--show: is for single runs"),
        (RunConfig(serve="8000"), "--serve: is for single runs"),
        (RunConfig(classes=("skyy",)), "unknown class"),
        (RunConfig(save_masks="{foo}"), r"--save-masks '\{foo\}'"),
    ):
        with pytest.raises(ConfigError, match=message):
            place.batch("a.mp4", config=config)
    with pytest.raises(ConfigError, match="--no-video"):
        place.batch("a.mp4", video=False)
    with pytest.raises(ConfigError, match="no inputs"):
        place.batch()
    assert sorted(os.listdir()) == ["a.mkv", "a.mp4"] and place.loaded == []


def test_an_output_folder_that_cannot_be_is_told_at_once(place):
    place.clip("a.mp4")
    Path("file").touch()
    with pytest.raises(SinkError, match="cannot be used"):
        place.batch("a.mp4", out_dir="file/out")
    assert place.loaded == []


def test_folders_that_stay_empty_are_removed(place):
    Path("rec/deep/er").mkdir(parents=True)
    Path("rec/deep/er/bad.mp4").write_bytes(b"\0" * 1000)
    assert place.states("rec") == ["failed"]
    assert sorted(os.listdir("out")) == [HIDDEN_FOLDER, "batch-report.html", "batch-report.json"]


def test_masks_of_an_attempt_that_failed_do_not_block_the_next_ones(place, monkeypatch):
    """The folder holds those that were whole when the disk was full, and is known as made from this input."""
    place.clip("a.mp4")
    config = RunConfig(save_masks="{stem}_masks")
    plain = LabelMapSink.write_map

    def full(self, frame, segmentation):
        if frame.index == 2:
            raise WriteError("disk full while writing a_masks; free some space")
        return plain(self, frame, segmentation)

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(LabelMapSink, "write_map", full)
            files, code = place.batch("a.mp4", config=config)
        assert files["a.mp4"] == ("failed", "disk full while writing a_masks; free some space") and code == 1
        assert place.outputs() == ["a_annotated.mp4", "a_masks/000000.png", "a_masks/000001.png"]
    files, code = place.batch("a.mp4", config=config)
    assert files["a.mp4"][0] == "done" and code == 0
    assert len([name for name in place.outputs() if name.endswith(".png")]) == 4


def test_a_folder_of_others_that_appears_meanwhile_stays_theirs(place, monkeypatch):
    place.clip("a.mp4")
    config = RunConfig(save_masks="{stem}_masks")

    def appear(job, engine, **named):
        Path("out/a_masks").mkdir()
        Path("out/a_masks/mine.png").touch()
        return do_job(job, engine, **named)

    with monkeypatch.context() as patch:
        patch.setattr(local, "do_job", appear)
        assert place.states("a.mp4", config=config) == ["failed"]
    files, _ = place.batch("a.mp4", config=config)
    assert "was not made from this input" in files["a.mp4"][1] and place.outputs() == ["a_masks/mine.png"]


def test_a_record_that_cannot_be_written_is_told_once_and_the_work_goes_on(place, monkeypatch):
    place.clip("a.mp4")
    place.clip("b.mp4")

    def full(self, line):
        raise OSError(28, "No space left on device")

    Archive(Path("out", HIDDEN_FOLDER, "archive.jsonl"), write=True).close()
    monkeypatch.setattr(Archive, "_append", full)
    files, code = place.batch("a.mp4", "b.mp4")
    assert [state for state, _ in files.values()] == ["done", "done"] and code == 1
    [problem] = place.reporter.problems
    assert "cannot be recorded" in problem and "disk full" in problem


def test_only_data_outputs(place):
    place.clip("a.mp4")
    assert place.states("a.mp4", config=RunConfig(stats="{name}.json"), video=False) == ["done"]
    assert place.outputs() == ["a.mp4.json"]
    assert place.outcome.report.files[0].strip.startswith(b"\xff\xd8")


def test_numbered_pictures_are_outputs_like_others(place):
    place.clip("a.mp4")
    names = {"name": "{stem}/f_%02d.png"}
    assert place.states("a.mp4", **names) == ["done"]
    pictures = [f"a/f_{number:02}.png" for number in range(4)]
    assert place.outputs() == pictures and place.outcome.report.files[0].outputs == ("a/f_%02d.png",)
    assert place.states("a.mp4", **names) == ["skipped"]
    assert place.states("a.mp4", config=RunConfig(opacity=0.1), **names) == ["done"]
    for path in Path("out/a").iterdir():
        path.unlink()
    assert place.states("a.mp4", **names) == ["done"] and place.outputs() == pictures
    Path("foreign").mkdir()
    Path("foreign/f_07.png").touch()
    files, _ = place.batch("a.mp4", out_dir="foreign", name="f_%02d.png")
    assert "exists, but was not made from this input" in files["a.mp4"][1]
    with pytest.raises(ConfigError, match="numbered images"):
        place.batch("a.mp4", out_dir="memory://out", **names)


def test_what_was_to_be_hidden_does_not_show_in_the_report(place):
    place.clip("a.mp4")
    config = RunConfig(stats="{name}.json", blur_classes=("person",))
    assert place.states("a.mp4", config=config, video=False) == ["done"]
    assert place.outcome.report.files[0].strip == b""
    assert "check the results before you publish" in place.reporter.notes[-1]


def test_a_job_is_a_plain_value_and_so_is_its_result(place):
    clip = place.clip("a.mp4")
    place.batch(str(clip), dry_run=True)
    [decision] = place.outcome.plan.decisions
    job = pickle.loads(pickle.dumps(decision.job))
    result = do_job(job, Engine("fake", place.runtime, NetworkInput(32), torch.device("cpu")))
    assert pickle.loads(pickle.dumps(result)) == result
    assert (result.state, result.frames, list(result.outputs)) == ("done", 4, [job.config.output])


def test_several_gpus_get_a_network_each(place, monkeypatch):
    for name in "abcd":
        place.clip(f"{name}.mp4")
    monkeypatch.setattr(work, "devices_for", lambda config: ["cuda:0", "cuda:1"])
    used = []
    real = local.do_job

    def do(job, engine, **more):
        used.append(engine.model)
        return real(job, engine, **more)

    def load(config, reporter, *, most):
        return Engine(config.device, place.runtime, NetworkInput(32), torch.device("cpu"))

    monkeypatch.setattr(local, "load_beside", load)
    monkeypatch.setattr(local, "do_job", do)
    states = place.states("a.mp4", "b.mp4", "c.mp4", "d.mp4", jobs=2)
    assert states == ["done"] * 4 and {"cuda:0", "cuda:1"} == set(used)


@pytest.mark.parametrize(
    ("cores", "gigabytes", "networks", "jobs"),
    [(1, 64, 1, 1), (2, 1, 1, 1), (8, 64, 1, 2), (16, 64, 1, 4), (64, 64, 1, 6), (64, 64, 4, 16), (16, 3, 1, 1)],
)
def test_automatic_jobs_heed_cores_memory_and_gpus(cores, gigabytes, networks, jobs):
    assert automatic_jobs(cores, gigabytes * 2**30, networks) == jobs
    assert automatic_jobs(cores, None, networks) >= jobs


# Ctrl+C


def test_one_signal_finishes_what_is_under_way_and_starts_no_more(place):
    place.clip("a.mp4")
    place.clip("b.mp4")
    gate = threading.Event()
    place.runtime.before = lambda calls: gate.wait(30)
    reporter = Reporter()

    def look(board):
        if board.running() and not reporter.notes:
            signal.raise_signal(signal.SIGINT)
            reporter.look = lambda board: gate.set()

    reporter.look = look
    files, code = place.batch("a.mp4", "b.mp4", reporter=reporter)
    assert [state for state, _ in files.values()] == ["done", "not started"] and code == 130
    assert "stopping: finishing the files in progress" in reporter.notes[0]
    assert place.outputs() == ["a_annotated.mp4"]
    assert place.states("a.mp4", "b.mp4") == ["skipped", "done"]


def test_two_signals_abort_and_leave_nothing_half_written(place, monkeypatch):
    place.clip("a.mp4", frames=30)
    place.clip("b.mp4")
    gate = threading.Event()
    place.runtime.before = lambda calls: calls < 3 or gate.wait(30)
    abort = Pipeline.abort

    def abort_and_open_the_gate(self):
        abort(self)
        gate.set()

    monkeypatch.setattr(Pipeline, "abort", abort_and_open_the_gate)
    reporter = Reporter()

    def look(board):
        if any(row.log.delivered for row in board.running()):
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            reporter.look = lambda board: None

    reporter.look = look
    files, code = place.batch("a.mp4", "b.mp4", reporter=reporter)
    assert files["a.mp4"] == ("stopped", "stopped by the user") and files["b.mp4"][0] == "not started"
    assert code == 143 and place.outputs() == []
    place.runtime.before = lambda calls: None
    assert place.states("a.mp4", "b.mp4") == ["done", "done"]


def test_the_settings_of_all_runs_reach_the_jobs(place):
    place.clip("a.mp4", frames=9)
    place.batch("a.mp4", config=replace(RunConfig(), limit=3))
    assert place.outcome.report.files[0].details["frames"] == 3
