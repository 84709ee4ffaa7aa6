"""Damaged files, kills, full disks, closed terminals: does anything hang, break or stay half?

    python benchmarks/drills.py [--part damaged,kills,disks,terminals] [--count N] [--seed 1] [--folder DIR]

- damaged: 160 videos in 7 containers and 40 pictures in 5 formats, with flipped bits, cut off, or with zeroed ranges.
- kills: 30 times TERM, HUP, INT or KILL at a moment that the seed chooses, of `run`, with masks and tables, `batch`,
  `--resume`, `--workers` and live recordings. After a KILL the same command is given again and has to end well.
- disks: files that may not grow beyond some kilobytes (RLIMIT_FSIZE) and, for root, a small tmpfs.
- terminals: a terminal that closes (SIGHUP through a pty), stderr into a closed pipe and into /dev/full.

One table is printed at the end: trials, hangs (not over in time, or a process left behind), tracebacks (or a crash),
half files (a file under its final name that cannot be read to its end, or a part file that stayed where it should not),
wrong ends (an exit code that says something else than what happened). Exit code 1 unless all are 0; then the files of
the trials are kept. `--count` limits the trials of each part. Some 15 minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.trials import COLUMNS, PATIENCE, Ended, Tally, Trial, judge, judge_files, unreadable  # noqa: E402
from tests.video.clips import make_clip  # noqa: E402

PARTS = {"damaged": 200, "kills": 30, "disks": 16, "terminals": 12}
"""With the number of trials."""
VIDEOS = {
    "mp4": ("libx264", "yuv420p"),
    "mkv": ("libx264", "yuv420p"),
    "webm": ("libvpx", "yuv420p"),
    "avi": ("mpeg4", "yuv420p"),
    "ts": ("mpeg2video", "yuv420p"),
    "mov": ("mjpeg", "yuvj420p"),
    "flv": ("libx264", "yuv420p"),
}
PICTURES = ("png", "jpg", "webp", "tiff", "bmp")
PER_BATCH = 20
WORDS = ("--imgsz", "64", "--runtime", "torch", "--threads", "1")
LIVE = "test:96x64@25,frames=inf,realtime"
END_PATIENCE = 30.0
"""Seconds after which a process hangs that had a signal."""


# damaged files


def make_videos(folder: Path, *, frames: int = 40) -> list[Path]:
    """One clip for each container, with audio where it is usual."""
    return [
        make_clip(
            folder / f"clip.{ending}",
            size=(96, 64),
            frames=frames,
            codec=codec,
            pix_fmt=pix_fmt,
            bframes=2,
            audio_seconds=frames / 25 if ending in ("mp4", "mkv", "mov") else None,
        )
        for ending, (codec, pix_fmt) in VIDEOS.items()
    ]


def make_pictures(folder: Path) -> list[Path]:
    """One picture in each format: noise over a gradient, so that no byte is without meaning."""
    noise = np.random.default_rng(1).integers(0, 60, (80, 120, 3))
    picture = (np.linspace(0, 190, 120)[None, :, None] + noise).astype(np.uint8)
    paths = [folder / f"picture.{ending}" for ending in PICTURES]
    for path in paths:
        cv2.imwrite(str(path), picture)
    return paths


def damaged(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """What was done, and the bytes after that."""
    kind = chance.choice(("flips", "cut", "zeros"))
    if kind == "cut":
        return kind, data[: chance.randrange(len(data))]
    broken = bytearray(data)
    if kind == "flips":
        for _ in range(chance.choice((1, 5, 50))):
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    else:
        for _ in range(chance.choice((1, 3))):
            length = chance.randrange(1, max(2, len(broken) // 8))
            start = chance.randrange(len(broken) - length)
            broken[start : start + length] = bytes(length)
    return kind, bytes(broken)


def drill_damaged(tally: Tally, folder: Path, count: int, chance: random.Random) -> None:
    """Four of five are videos, given to `batch`; the others pictures, each given to `run`."""
    videos, pictures = make_videos(folder), make_pictures(folder)
    for first in range(0, count * 4 // 5, PER_BATCH):
        numbers = range(first, min(first + PER_BATCH, count * 4 // 5))
        group = folder / f"videos{first:03}"
        (group / "in").mkdir(parents=True)
        for number in numbers:
            path = chance.choice(videos)
            kind, data = damaged(path.read_bytes(), chance)
            (group / "in" / f"{number:03}-{kind}{path.suffix}").write_bytes(data)
        trial = Trial(["batch", "in", "-o", "out", "--save-csv", "{stem}.csv", *WORDS], group)
        judge(tally, group.name, trial, trial.end(PATIENCE * 2), (0, 1))
        tally.counts["trials"] += len(numbers) - 1
        judge_files(tally, group.name, group, but=["in", ".vidseg-batch"])
    for number in range(count * 4 // 5, count):
        path = chance.choice(pictures)
        kind, data = damaged(path.read_bytes(), chance)
        place = folder / f"picture{number:03}"
        place.mkdir()
        given = place / f"{kind}{path.suffix}"
        given.write_bytes(data)
        trial = Trial(["run", given.name, "-o", "out.png", *WORDS], place)
        judge(tally, place.name, trial, trial.end(), (0, 1, 2))
        judge_files(tally, place.name, place, but=[given.name])


# kills

JOBS: dict[str, tuple[list[str], list[str]]] = {
    "run": (["run", "long.mp4", "-o", "out.mp4"], ["out.mp4.part"]),
    "tables": (
        [
            "run",
            "long.mp4",
            "-o",
            "out.mkv",
            "--save-masks",
            "masks",
            "--save-csv",
            "out.csv",
            "--save-json",
            "o.jsonl",
        ],
        ["out.mkv.part"],
    ),
    "batch": (["batch", "in", "-o", "out"], ["out"]),
    "resume": (["run", "long.mp4", "-o", "out.mp4", "--resume", "--segment-seconds", "1"], ["out.mp4.pieces"]),
    "workers": (["run", "long.mp4", "-o", "out.mp4", "--workers", "2"], ["out.mp4*.pieces"]),
    "live": (["run", LIVE, "-o", "out.mp4"], ["out.mp4.part"]),
    "live mkv": (["run", LIVE, "-o", "out.mkv", "--save-csv", "out.csv"], ["out.mkv.part"]),
}
"""The words of each kind of run, and what shows that its work has begun."""
INPUTS = ["long.mp4", "in"]
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL)


def long_clip(folder: Path) -> Path:
    """40 s of video with audio: some seconds of work."""
    return make_clip(folder / "long.mp4", size=(96, 64), frames=1000, audio_seconds=40.0)


def place_for(folder: Path, name: str, clip: Path) -> Path:
    """A folder with the inputs of `JOBS`."""
    place = folder / name.replace(" ", "-")
    (place / "in").mkdir(parents=True)
    for target in (place / "long.mp4", *(place / "in" / f"{k}.mp4" for k in range(3))):
        os.link(clip, target)
    return place


def begun(place: Path, signs: Sequence[str], process: subprocess.Popen[bytes]) -> None:
    """Returns when the work has begun, the process has ended, or 20 s are over."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None and not any([*place.glob(sign)] for sign in signs):
        time.sleep(0.02)


def drill_kills(tally: Tally, folder: Path, count: int, chance: random.Random) -> None:
    """Each kind of run meets each signal; one in five early, while libraries are loaded."""
    clip = long_clip(folder)
    pairs = [(job, number) for number in SIGNALS for job in JOBS]
    chance.shuffle(pairs)
    for index in range(count):
        job, number = pairs[index % len(pairs)]
        words, signs = JOBS[job]
        name = f"kill{index:02} {job} {number.name}"
        place = place_for(folder, name, clip)
        trial = Trial([*words, *WORDS], place)
        early, seconds = chance.random() < 0.2, chance.uniform(0, 2)
        if not early:
            begun(place, signs, trial.process)
            seconds += 2.5 if job.startswith("live") and number == signal.SIGKILL else 0
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):  # a fast machine may be done before
            if number == signal.SIGKILL:
                os.kill(trial.process.pid, number)  # of the parent alone: workers have to notice
            else:
                os.killpg(trial.process.pid, number)
        ended = trial.end(END_PATIENCE)
        judge(tally, name, trial, ended, (0, 128 + number, -number))
        killed = number == signal.SIGKILL
        judge_files(tally, name, place, but=INPUTS, leftovers=killed or job == "resume")
        if killed and job == "live" and not early and (part := place / "out.mp4.part").exists():
            shutil.move(part, place / "rescued.mp4")
            if (why := unreadable(place / "rescued.mp4")) is not None:
                tally.add("half files", f"{name}: {place}/rescued.mp4: {why}")
        if (killed or job == "resume") and not job.startswith("live"):
            again = Trial([*words, "-y", *WORDS], place)
            judge(tally, f"{name}, again", again, again.end(), (0,))
            tally.counts["trials"] -= 1
            judge_files(tally, f"{name}, again", place, but=INPUTS)


# full disks


def small_files(size: int) -> Callable[[], None]:
    """For the child: no file may grow beyond `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[bool]:
    """`place` on a disk of `size` bytes; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    done = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "-l", str(place)], check=False)


def drill_disks(tally: Tally, folder: Path, count: int, chance: random.Random) -> None:
    """Each kind of run into files that may not grow, then, for root, on a disk that is full."""
    clip = long_clip(folder)
    jobs = [job for job in JOBS if job != "workers"] + ["workers"]
    for index in range(count):
        job, on_disk = jobs[index % len(jobs)], index // len(jobs) % 2 == 1
        size = chance.randrange(4_000, 16_000)
        name = f"disk{index:02} {job} {'tmpfs' if on_disk else 'limit'} {size}"
        place = place_for(folder, name, clip)
        work = place / "work"
        work.mkdir()
        words = [f"../{word}" if word in INPUTS else word for word in JOBS[job][0]]
        with small_disk(work, size + 4096) if on_disk else contextlib.nullcontext(True) as usable:
            if not usable:
                print(f"  {name}: left out, mount is not allowed here")
                continue
            limit = {} if on_disk else {"preexec_fn": small_files(size)}
            trial = Trial([*words, "--crf", "1", *WORDS], work, **limit)  # files that soon are large
            judge(tally, name, trial, trial.end(), (1,))
            judge_files(tally, name, work, leftovers=job == "resume", but=[".vidseg-batch"])


# closed terminals


def under_a_terminal(words: Sequence[str], place: Path) -> tuple[Trial, int]:
    """A process whose terminal is a pty, and the terminal's other side."""
    ours, theirs = os.openpty()
    trial = Trial(
        words,
        place,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    return trial, ours


def hang_up(words: Sequence[str], place: Path, signs: Sequence[str], seconds: float) -> tuple[Trial, Ended]:
    """Close the terminal once the work has begun."""
    trial, ours = under_a_terminal(words, place)
    os.set_blocking(ours, False)
    begun(place, signs, trial.process)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            os.read(ours, 1 << 16)
        time.sleep(0.05)
    os.close(ours)
    return trial, trial.end(END_PATIENCE)


def drill_terminals(tally: Tally, folder: Path, count: int, chance: random.Random) -> None:
    """The terminal goes, or nobody reads what is said: what was asked for is made all the same."""
    clip = make_clip(folder / "short.mp4", size=(96, 64), frames=100)
    long = long_clip(folder)
    jobs = ("run", "batch", "live", "tables")
    for index in range(count):
        job, kind = jobs[index // 3 % len(jobs)], ("pty", "pipe", "full")[index % 3]
        name = f"terminal{index:02} {job} {kind}"
        place = place_for(folder, name, long if kind == "pty" else clip)
        words = [*JOBS[job][0], *WORDS, *(["-v"] if job == "run" else [])]
        if kind == "pty":
            trial, ended = hang_up(words, place, JOBS[job][1], chance.uniform(0.2, 2))
            judge(tally, name, trial, ended, (0, 128 + signal.SIGHUP, -signal.SIGHUP))
            judge_files(tally, name, place, but=[*INPUTS, ".vidseg-batch"])
            continue
        if job == "live":
            words[1] = f"test:96x64@25,frames={chance.randrange(20, 60)},realtime"
        read, write = os.pipe()
        os.close(read)
        with open(write, "wb") as closed, open("/dev/full", "wb") as full:
            trial = Trial(words, place, stderr=closed if kind == "pipe" else full)
            judge(tally, name, trial, trial.end(), (0,))
        judge_files(tally, name, place, but=[*INPUTS, ".vidseg-batch"])
        if job != "batch" and not [*place.glob("out.mp4"), *place.glob("out.mkv")]:
            tally.add("wrong ends", f"{name}: no video")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    parser.add_argument("--count", type=int, help="trials of each part at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the files of the trials go; default: a temporary folder")
    arguments = parser.parse_args()
    parts = arguments.part.split(",")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"unknown part {unknown[0]}; known: {', '.join(PARTS)}")
    folder = Path(tempfile.mkdtemp(prefix="vidseg-drills-", dir=arguments.folder))
    drills = {"damaged": drill_damaged, "kills": drill_kills, "disks": drill_disks, "terminals": drill_terminals}
    tallies: dict[str, Tally] = {}
    started = time.monotonic()
    for part in parts:
        print(f"{part} ...", flush=True)
        tallies[part] = Tally()
        place = folder / part
        place.mkdir()
        count = min(PARTS[part], arguments.count or PARTS[part])
        drills[part](tallies[part], place, count, random.Random(f"{arguments.seed} {part}"))
    print(f"\n{'part':<10}" + "".join(f"{column:>12}" for column in COLUMNS))
    for part, tally in tallies.items():
        print(f"{part:<10}" + "".join(f"{tally.counts[column]:>12}" for column in COLUMNS))
    faults = sum(tally.counts[column] for tally in tallies.values() for column in COLUMNS[1:])
    print(f"{faults} faults, seed {arguments.seed}, {time.monotonic() - started:.0f} s")
    if faults:
        print(f"the files are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
