"""`vidseg run --workers`: what several processes make of a video is what one makes of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.app.test_run import SilentReporter
from tests.cli.test_resume import textured
from tests.cli.test_run import SMALL, assert_one_line_error, pictures, video_pts
from tests.sinks.sink_helpers import audio_packets
from tests.video.clips import make_clip
from vidseg.app.run import run
from vidseg.chunks.split.chunk import ChunkDone, do_chunk
from vidseg.chunks.split.plan import ChunkJob
from vidseg.config import RunConfig
from vidseg.errors import ResumeError

ROOT = Path(__file__).parents[2]
TORCH = ("--runtime", "torch")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames of 96x64 at 25 fps with B-frames and audio; another scene begins at frame 17."""

    def painter(index: int, width: int, height: int) -> np.ndarray:
        picture = textured(index, width, height)
        return picture if index < 17 else np.ascontiguousarray(255 - picture[::-1, :, ::-1])

    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    return make_clip(path, size=(96, 64), frames=30, bframes=2, gop=12, audio_seconds=1.2, painter=painter)


class HereInstead:
    """Does the jobs one after the other in this process, as `vidseg.chunks.split.workers.Workers` would."""

    def __init__(self, jobs: Sequence[ChunkJob]) -> None:
        self._jobs = jobs
        self.written = [0] * len(jobs)

    def __enter__(self) -> HereInstead:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def results(self, on_tick: Callable[[], bool]) -> list[ChunkDone]:
        assert on_tick()
        return [do_chunk(job, lambda count: None) for job in reversed(self._jobs)][::-1]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidseg.chunks.split.run.Workers", HereInstead)


def files(folder: Path) -> dict[str, bytes]:
    """Label maps and their table."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_like_one_pass(cli, tmp_path, clip, options, workers, *, also=()):
    """`also`: options of the shared run alone."""
    words = (*options, *SMALL, *TORCH)
    plain = cli("run", clip, "-o", "plain.mp4", "--save-masks", "plain", *words)
    split = cli("run", clip, "-o", "out.mp4", "--save-masks", "masks", "--workers", workers, *also, *words)
    assert (plain.code, split.code) == (0, 0), split.err
    counts = [next(x for x in r.err.splitlines() if "segmented" in x).split(", ", 1)[1] for r in (plain, split)]
    assert counts[0] == counts[1]
    assert video_pts("plain.mp4") == video_pts("out.mp4")
    assert pictures("plain.mp4")[-1].shape == pictures("out.mp4")[-1].shape
    assert audio_packets(Path("plain.mp4")) == audio_packets(Path("out.mp4"))
    assert files(tmp_path / "plain") == files(tmp_path / "masks")
    assert sorted(os.listdir(tmp_path)) == ["masks", "out.mp4", "plain", "plain.mp4"]
    return split


def test_two_processes_give_the_frames_times_audio_and_labels_of_one(cli, scene, tmp_path):
    split = assert_like_one_pass(cli, tmp_path, scene, ("-v",), 2)
    assert "worker 2: 16 frames from 0.56 s, 14 before that (exact)" in split.err


@pytest.mark.parametrize(
    "options",
    [
        ("--no-smooth", "--crop", "80x48+8+8", "--rotate", 90, "--size", "50%"),
        ("--no-smooth", "--stride", 4, "--propagate", "hold"),
        ("--no-smooth", "--stride", 4),
        ("--stride", 2, "--max-fps", 10, "--limit", 11, "--view", "side"),
    ],
)
def test_labels_are_those_of_one_pass_to_the_last_bit(cli, here, scene, tmp_path, options):
    split = assert_like_one_pass(cli, tmp_path, scene, options, 3)
    assert "not quite" not in split.err


def test_parts_that_begin_with_a_scene_need_no_overlap(cli, here, scene, tmp_path):
    split = assert_like_one_pass(cli, tmp_path, scene, ("--stride", 3, "-v"), 3, also=("--overlap", "scene"))
    assert "only 2 of 3 workers have work; there is no scene cut for more" in split.err
    assert "worker 2: 13 frames from 0.68 s, 0 before that (exact)" in split.err


def test_a_seam_that_shows_is_told(cli, here, tmp_path):
    words = ("--save-masks", "masks", "--workers", 2, "--overlap", 0.04, "--limit", 16, "--smooth-seconds", 2)
    result = cli("run", ROOT / "samples" / "street.mp4", *words, *SMALL, *TORCH)
    assert result.code == 0, result.err
    assert re.search(r"differs slightly from a single pass: (\d+\.\d|under 0\.1) % of pixels", result.err), result.err
    assert "a longer --overlap helps" in result.err


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["CLIP", "-o", "out.mp4", "--resume"], ["--workers cannot be combined with --resume"]),
        (["CLIP", "-o", "out.mp4", "--show"], ["--workers cannot be combined with --show"]),
        (["CLIP", "-o", "out.mp4", "--serve", "8000"], ["--workers cannot be combined with --serve"]),
        (["CLIP", "-o", "out.mp4", "--hwaccel", "cuda"], ["--workers cannot be combined with --hwaccel cuda"]),
        (["CLIP", "-o", "out.mp4", "--save-csv", "t.csv"], ["--workers cannot be combined with --save-csv"]),
        (["CLIP", "-o", "o.mp4", "--blur-classes", "sky", "--stride", "2"], ["cannot be combined with --blur-classes"]),
        (["CLIP", "--stats", "s.json"], ["give -o FILE or --save-masks DIR"]),
        (["CLIP", "-o", "frames_%03d.png"], ["frames_%03d.png: --workers cannot make this output"]),
        (["CLIP", "--save-masks", "masks.mkv"], ["masks.mkv: --workers cannot make this output"]),
        (["CLIP", "-o", "out.gif"], ["out.gif", "leave out --resume and --workers"]),
        (["picture.png", "-o", "out.mp4"], ["picture.png: --workers needs a video file"]),
        (["test:64x48@10,frames=3,realtime", "-o", "out.mp4"], ["--workers needs a video file"]),
        (["CLIP", "-o", "out.mp4", "--overlap", "soon"], ["--overlap is 'soon'", "a number from 0 to 3600, or scene"]),
    ],
)
def test_what_workers_cannot_share_is_refused_in_one_line(cli, clip, tmp_path, words, texts):
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((48, 64, 3), 90, np.uint8))
    result = cli("run", *(clip if word == "CLIP" else word for word in words), "--workers", 2, *SMALL)
    assert result.code == 2
    assert_one_line_error(result, *texts)
    assert os.listdir(tmp_path) == ["picture.png"]


def test_an_overlap_without_workers_is_refused(cli, clip):
    result = cli("run", clip, "-o", "out.mp4", "--overlap", 2, *SMALL)
    assert result.code == 2
    assert_one_line_error(result, "--overlap is for --workers 2 or more")


def begin(tmp_path: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A long run in a session of its own, and its two workers."""
    words = ["test:64x48@30,frames=4000", "-o", "out.mp4", "--workers", "2", "-q", *map(str, SMALL), *TORCH]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "vidseg", "run", *words],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while process.poll() is None and len(found := workers_of(process.pid)) < 2:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    return process, found


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


def assert_nothing_is_left(tmp_path: Path, workers: list[int]) -> None:
    assert os.listdir(tmp_path) == []
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds the workers through Linux's /proc")


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_ends_all_processes_and_leaves_nothing(tmp_path, number):
    process, workers = begin(tmp_path)
    os.killpg(process.pid, number)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number and "Traceback" not in err and "worker" not in err, err
    assert_nothing_is_left(tmp_path, workers)


@needs_proc
def test_a_worker_that_is_killed_fails_the_run_in_one_line(tmp_path):
    process, workers = begin(tmp_path)
    os.kill(workers[1], signal.SIGKILL)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert err.startswith("vidseg: error: worker 2 was killed by SIGKILL") and err.count("\n") == 1, err
    assert_nothing_is_left(tmp_path, workers)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs_proc
def test_workers_end_with_a_run_that_is_killed_and_the_next_one_removes_what_it_left(cli, clip, here, tmp_path):
    process, workers = begin(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while any(map(runs, workers)):
        assert time.monotonic() < deadline, "workers outlive their run"
        time.sleep(0.05)
    assert sorted(os.listdir(tmp_path)) == ["out.mp4.part", "out.mp4.pieces"]
    (tmp_path / "out.mp4.pieces" / "00007.mp4.part").touch()
    assert cli("run", clip, "-o", "out.mp4", "--workers", 2, *SMALL).code == 0
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_a_folder_of_chunks_that_is_not_free_is_refused_and_left_alone(cli, clip, here, tmp_path):
    folder = tmp_path / "out.mp4.pieces"
    folder.mkdir()
    (folder / "holiday.txt").touch()
    words = ("run", clip, "-o", "out.mp4", "--workers", 2, *SMALL)
    result = cli(*words)
    assert result.code == 2
    assert_one_line_error(result, "out.mp4.pieces: contains holiday.txt, which no run wrote; choose another output")
    (folder / "holiday.txt").rename(folder / "00000")
    holder = "import sys, pathlib; from vidseg.folder_lock import locked\n"
    holder += "with locked(pathlib.Path(sys.argv[1])): print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=os.environ | {"PYTHONPATH": str(ROOT)}) as other:
        assert other.stdout.readline()
        result = cli(*words)
        assert_one_line_error(result, "another run is using it; wait until it ends, or choose another output")
        assert sorted(os.listdir(folder)) == ["00000", "lock"]
        other.stdin.close()


def test_a_chunk_of_another_length_than_planned_gives_no_output(clip, tmp_path, monkeypatch):
    class Longer(HereInstead):
        def __init__(self, jobs: Sequence[ChunkJob]) -> None:
            super().__init__([replace(job, frames=job.frames + (job.number == 1)) for job in jobs])

    monkeypatch.setattr("vidseg.chunks.split.run.Workers", Longer)
    config = RunConfig(source=str(clip), output=str(tmp_path / "out.mp4"), imgsz=64, threads=1, workers=2)
    with pytest.raises(ResumeError, match=r"gave 7 frames from 0\.20 s on, but 8 before"):
        run(config, SilentReporter())
    assert os.listdir(tmp_path) == []


def test_pixels_are_square_in_every_output_of_every_way_to_run(cli, here, tmp_path):
    clip = make_clip(tmp_path / "dvd.mp4", size=(72, 58), sample_aspect_ratio=Fraction(16, 15), painter=textured)
    note = "72x58 non-square pixels became 76x58 square pixels"
    plain = cli("run", clip, "-o", "plain.mp4", "--save-masks", "masks.mkv", "--save-json", "found.jsonl", *SMALL)
    assert plain.code == 0 and plain.err.count(note) == 1, plain.err
    for words in (
        ("render", clip, "masks.mkv"),
        ("run", clip, "--resume", *SMALL),
        ("run", clip, "--workers", 2, *SMALL),
    ):
        again = cli(*words, "-o", "again.mp4", "-y")
        assert again.code == 0 and again.err.count(note) == 1, again.err
        assert shape_of("again.mp4") == (76, 58, 1)
    assert shape_of("plain.mp4") == shape_of("masks.mkv") == (76, 58, 1)
    found = json.loads((tmp_path / "found.jsonl").read_text().splitlines()[0])
    assert (found["width"], found["height"]) == (76, 58)


def shape_of(path: str) -> tuple[int, int, Fraction]:
    """Width, height, and the pixels' aspect."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height, Fraction(stream.sample_aspect_ratio or 1)
