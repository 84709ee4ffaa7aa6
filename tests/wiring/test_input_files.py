"""An input that is written to while it is read never gives an output that looks like a good one."""

import os
import shutil

import av
import pytest

from tests.app.test_run import SilentReporter
from tests.cli.test_workers import HereInstead
from tests.video.clips import make_clip
from vidseg.app.render import render
from vidseg.app.run import run
from vidseg.config import RunConfig
from vidseg.errors import InputChangedError, SourceError
from vidseg.sinks.chunked_video import ChunkedAvSink
from vidseg.wiring import network_cores
from vidseg.wiring.input_files import InputFiles
from vidseg.wiring.work_folder import WorkFolder


class Writer(SilentReporter):
    """Writes to a file as soon as a run is under way."""

    def __init__(self, path):
        super().__init__()
        self.problems = []
        self._path = path

    def problem(self, text):
        self.problems.append(text)

    def progress(self, progress, total):
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
    assert reporter.problems == [f"{clip}: changed while it was being read; its output so far is kept"]
    assert outcome.exit_code == 1 and outcome.outputs and os.path.exists(outcome.outputs[0])


def test_drawing_again_looks_after_the_clip_and_the_masks(clip, tmp_path):
    masks = tmp_path / "masks.mkv"
    run(RunConfig(source=str(clip), save_masks=str(masks), imgsz=64, threads=1), SilentReporter())
    for path in (clip, masks):
        reporter = Writer(path)
        outcome = render(config(clip, overwrite=True), str(masks), reporter)
        assert outcome.exit_code == 1 and reporter.problems[0].startswith(f"{path}: changed while it was being read")


def test_workers_leave_no_output(clip, monkeypatch):
    monkeypatch.setattr("vidseg.chunks.split.run.Workers", HereInstead)
    with pytest.raises(SourceError, match=r"clip\.mp4: changed while it was being read; try again when"):
        run(config(clip, workers=2), Writer(clip))
    assert os.listdir(clip.parent) == ["clip.mp4"]


def test_a_run_to_be_gone_on_with_keeps_no_chunk_of_the_changed_file(clip):
    shutil.copy2(clip, clip.with_name("before.mp4"))
    with pytest.raises(SourceError, match=r"clip\.mp4: changed while it was being read"):
        run(config(clip, resume=True, segment_seconds=0.1), Writer(clip))
    assert not clip.with_name("out.mp4").exists()
    os.replace(clip.with_name("before.mp4"), clip)
    assert run(config(clip, resume=True, segment_seconds=0.1), SilentReporter()).stats.delivered == 6


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"workers": 2}, {"max_fps": 5.0}])
def test_what_is_written_to_before_the_first_frame_is_read_fails_the_run(clip, monkeypatch, options):
    """While the network is loaded: by then the file is open."""
    plain = network_cores.load_engine

    def load(*args, **named):
        clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
        return plain(*args, **named)

    monkeypatch.setattr("vidseg.chunks.split.run.Workers", HereInstead)
    monkeypatch.setattr(network_cores, "load_engine", load)
    reporter = Writer(clip)
    try:
        code, said = run(config(clip, **options), reporter).exit_code, "".join(reporter.problems)
    except InputChangedError as error:
        code, said = error.exit_code, str(error)
    assert code == 1 and "clip.mp4: changed while it was being read" in said


@pytest.mark.parametrize("lost", ["second piece", "last piece", "joined"])
def test_an_input_that_is_removed_fails_a_run_to_be_gone_on_with_and_keeps_its_chunks(tmp_path, monkeypatch, lost):
    clip = make_clip(tmp_path / "clip.mp4", frames=6, audio_seconds=0.2)
    plain_commit, plain_join = WorkFolder.commit, ChunkedAvSink.join

    def commit(folder, state):
        plain_commit(folder, state)
        if {"second piece": state["pieces"] == 2, "last piece": state["finished"]}.get(lost):
            clip.rename(tmp_path / "away.mp4")

    def join(sink, chunks, whole):
        if lost == "joined":
            clip.rename(tmp_path / "away.mp4")
        plain_join(sink, chunks, whole)

    monkeypatch.setattr(WorkFolder, "commit", commit)
    monkeypatch.setattr(ChunkedAvSink, "join", join)
    again = config(clip, resume=True, segment_seconds=0.07)
    with pytest.raises(
        InputChangedError, match=r"clip\.mp4: was removed while it was being read; try again when it exists"
    ) as told:
        run(again, SilentReporter())
    assert told.value.exit_code == 1 and not (tmp_path / "out.mp4").exists()
    assert len(list((tmp_path / "out.mp4.resume").glob("0*"))) >= 2, "pieces are kept"
    (tmp_path / "away.mp4").rename(clip)
    monkeypatch.undo()
    assert run(again, SilentReporter()).stats.delivered == 6
    with av.open(str(tmp_path / "out.mp4")) as video:
        assert video.streams.audio


def test_a_run_whose_input_is_removed_keeps_its_output_says_so_and_fails(clip):
    class Remover(Writer):
        def progress(self, progress, total):
            clip.unlink(missing_ok=True)

    reporter = Remover(clip)
    outcome = run(config(clip), reporter)
    assert outcome.exit_code == 1 and reporter.problems[-1].startswith(f"{clip}: was removed while it was being read")


def test_pipes_do_not_count(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    files = InputFiles([str(tmp_path / "pipe"), "rtsp://camera/1", str(tmp_path / "none")])
    os.utime(tmp_path / "pipe", (1, 1))
    (tmp_path / "none").touch()
    assert files.what_changed() is None
    files.refuse_change()


def test_the_first_look_counts_and_a_fault_of_a_changed_source_is_its_change(tmp_path):
    path = tmp_path / "a b.mp4"
    path.write_bytes(b"12")
    files = InputFiles([path.as_uri()])
    with pytest.raises(SourceError, match="damaged"), files.blamed():
        raise SourceError("damaged")
    path.write_bytes(b"123")
    files.add([str(path)])
    with pytest.raises(InputChangedError, match=r"a b\.mp4: changed while"), files.blamed():
        raise SourceError("damaged")
