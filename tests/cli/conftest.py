"""Runs the command line inside the test process, as `main` would see it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main

from tests.video.clips import make_clip
from vidseg.cli import main

get_command = functools.cache(typer.main.get_command)
"""Commands are made of their tables once."""


@dataclass
class Result:
    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path) -> Cli:
    """`cli("run", "clip.mp4", ...)`: exit code, stdout and stderr. The working directory is a fresh folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("VIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("typer.main.get_command", get_command)

    def call(*words: object) -> Result:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["vidseg", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """12 frames of 64x48 at 25 fps with audio."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", size=(64, 48), frames=12, audio_seconds=0.48)
