"""`vidseg` processes that meet trouble, and what may be wrong with how they end: for `benchmarks/drills.py`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = ("trials", "hangs", "tracebacks", "half files", "wrong ends")
PATIENCE = 90.0
"""Seconds after which a process hangs: a machine that does other things too."""
VIDEO_ENDINGS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts"}
PICTURE_ENDINGS = {".png", ".jpg", ".webp", ".tiff", ".bmp"}


@dataclass(slots=True)
class Tally:
    """What went wrong in one part."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))

    def add(self, kind: str, what: str) -> None:
        """Count a fault and say which."""
        self.counts[kind] += 1
        print(f"  {kind}: {what}", flush=True)


@dataclass(slots=True)
class Ended:
    """How a process ended. `code` is None for one that hung."""

    code: int | None
    err: str
    orphans: bool


class Trial:
    """One `vidseg` process, in a process group of its own."""

    def __init__(self, words: Sequence[Any], folder: Path, **popen: Any) -> None:
        self.words = [str(word) for word in words]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        popen = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | popen
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vidseg", *self.words], cwd=folder, env=environment, start_new_session=True, **popen
        )

    def end(self, patience: float = PATIENCE) -> Ended:
        """Wait for it; what is still there after that is killed."""
        try:
            err = (self.process.communicate(timeout=patience)[1] or b"").decode(errors="replace")
            code: int | None = self.process.returncode
        except subprocess.TimeoutExpired:
            self._kill()
            return Ended(None, (self.process.communicate()[1] or b"").decode(errors="replace"), False)
        deadline = time.monotonic() + 15
        while self._group_lives() and time.monotonic() < deadline:
            time.sleep(0.1)
        orphans = self._group_lives()
        self._kill()
        return Ended(code, err, orphans)

    def _group_lives(self) -> bool:
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def judge(tally: Tally, name: str, trial: Trial, ended: Ended, codes: Sequence[int]) -> None:
    """Count what is wrong with how a process ended; `codes` are the proper ones."""
    told = f"{name}: vidseg {' '.join(trial.words)}"
    tally.counts["trials"] += 1
    if ended.code is None or ended.orphans:
        tally.add("hangs", told + (": a process was left behind" if ended.orphans else ""))
    elif "Traceback" in ended.err or ended.code in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS):
        tally.add("tracebacks", f"{told}: {ended.code}: {ended.err[-600:]}")
    elif ended.code not in codes:
        tally.add("wrong ends", f"{told}: exit code {ended.code}, right is one of {codes}: {ended.err[-300:]}")


def unreadable(path: Path) -> str | None:
    """Why a file is none that can be read to its end; None when it is fine, or of a kind that is not looked at."""
    try:
        if path.suffix in VIDEO_ENDINGS:
            with av.open(str(path)) as container:
                if not sum(1 for _ in container.decode(video=0)):
                    return "no frames"
        elif path.suffix in PICTURE_ENDINGS and cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is None:
            return "no picture"
        elif path.suffix in (".csv", ".jsonl") and not path.read_bytes().endswith(b"\n"):
            return "its last line is cut off"
        elif path.suffix == ".json":
            json.loads(path.read_text())
    except (OSError, ValueError, av.FFmpegError) as error:
        return str(error)
    return None


def judge_files(tally: Tally, name: str, folder: Path, *, leftovers: bool = False, but: Sequence[str] = ()) -> None:
    """Count half files below `folder`.

    Args:
        leftovers: part files and chunks may stay: after a KILL, and what `--resume` keeps.
        but: names that are not looked at: inputs.
    """
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if set(below.parts) & set(but):
            continue
        unfinished = [part for part in below.parts if part.endswith((".part", ".pieces"))]
        if unfinished:
            if not leftovers and below.name == unfinished[0]:
                tally.add("half files", f"{name}: {path} stayed")
        elif path.is_file() and (why := unreadable(path)) is not None:
            tally.add("half files", f"{name}: {path}: {why}")
