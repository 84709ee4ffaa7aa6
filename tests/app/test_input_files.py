"""An input that is written to while it is read never gives an output that looks like a good one."""

import os
import shutil

import pytest

from tests.app.test_run import SilentReporter
from tests.cli.test_workers import HereInstead
from tests.video.clips import make_clip
from vidseg.app.input_files import InputFiles
from vidseg.app.render import render
from vidseg.app.run import run
from vidseg.config import RunConfig
from vidseg.errors import SourceError


class Writer(SilentReporter):
    """Writes to a file as soon as a run is under way."""

    def __init__(self, path):
        super().__init__()
        self.problems = []
        self._path = path

    def problem(self, text):
        self.problems.append(text)

    def progress(self, pipeline, info):
        if not self.ticks:
            with open(self._path, "ab") as file:
                file.write(b"\0")
        self.ticks += 1


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", frames=6)


def config(clip, **more):
    return RunConfig(source=str(clip), output=str(clip.with_name("out.mp4")), imgsz=64, threads=1, **more)


def test_a_run_keeps_its_outputs_says_so_and_fails(clip):
    reporter = Writer(clip)
    outcome = run(config(clip), reporter)
    assert reporter.problems == [f"{clip}: changed while it was read; what was made of it is kept"]
    assert outcome.exit_code == 1 and outcome.outputs and os.path.exists(outcome.outputs[0])


def test_drawing_again_looks_after_the_clip_and_the_masks(clip, tmp_path):
    masks = tmp_path / "masks.mkv"
    run(RunConfig(source=str(clip), save_masks=str(masks), imgsz=64, threads=1), SilentReporter())
    for path in (clip, masks):
        reporter = Writer(path)
        outcome = render(config(clip, overwrite=True), str(masks), reporter)
        assert outcome.exit_code == 1 and reporter.problems[0].startswith(f"{path}: changed while it was read")


def test_workers_leave_no_output(clip, monkeypatch):
    monkeypatch.setattr("vidseg.app.split.run.Workers", HereInstead)
    with pytest.raises(SourceError, match=r"clip\.mp4: changed while it was read; do it again when"):
        run(config(clip, workers=2), Writer(clip))
    assert os.listdir(clip.parent) == ["clip.mp4"]


def test_a_run_to_be_gone_on_with_keeps_no_piece_of_the_changed_file(clip):
    shutil.copy2(clip, clip.with_name("before.mp4"))
    with pytest.raises(SourceError, match=r"clip\.mp4: changed while it was read"):
        run(config(clip, resume=True, segment_seconds=0.1), Writer(clip))
    assert not clip.with_name("out.mp4").exists()
    os.replace(clip.with_name("before.mp4"), clip)
    assert run(config(clip, resume=True, segment_seconds=0.1), SilentReporter()).stats.delivered == 6


def test_pipes_and_files_that_go_away_do_not_count(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").touch()
    files = InputFiles([str(tmp_path / "pipe"), str(tmp_path / "a")])
    os.utime(tmp_path / "pipe", (1, 1))
    (tmp_path / "a").unlink()
    assert files.what_changed() is None
    files.refuse_change()
