"""The counts and timings of a run as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import vidseg
from vidseg.config import RunConfig
from vidseg.errors import SinkError, WriteError
from vidseg.pipeline.stats import RunStats


class StatsFile:
    """Claims the name when made, so that a wrong one is told at the start; writes in one piece at the end.

    Raises:
        SinkError: the folder is missing, or the file exists and may not be replaced.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        if path.is_dir():
            raise SinkError(f"{path}: is a folder; give a file name for --stats")
        if not path.parent.is_dir():
            raise SinkError(f"{path}: no such folder {path.parent}; make it first")
        if path.exists() and not overwrite:
            raise SinkError(f"{path}: exists already; give -y to replace it, or another name")
        self._path = path

    def write(self, stats: RunStats, config: RunConfig, model: str, runtime: str, imgsz: int) -> None:
        """Write and give the file its name. Raises WriteError."""
        content = {
            "vidseg": vidseg.__version__,
            "model": model,
            "runtime": runtime,
            "imgsz": imgsz,
            "config": asdict(config),
            **stats.as_dict(),
        }
        part = self._path.with_name(self._path.name + ".part")
        try:
            part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            os.replace(part, self._path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise WriteError(f"{self._path}: cannot be written ({error.strerror}); choose another place") from None
