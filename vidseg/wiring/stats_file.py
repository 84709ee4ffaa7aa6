"""The counts and timings of a run as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from vidseg.atomic import PartFile, write_failure
from vidseg.config import SECRETS, RunConfig
from vidseg.errors import WriteError
from vidseg.names import shown_name
from vidseg.pipeline.grid_lane import LaneStats
from vidseg.pipeline.stats import RunStats
from vidseg.version import __version__


class StatsFile:
    """Claims the name when made, so that a wrong one is refused at the start; writes in one piece at the end.

    Raises:
        SinkError: as `PartFile`.
    """

    def __init__(self, path: Path, *, overwrite: bool, source_paths: Iterable[str] = ()) -> None:
        self._file = PartFile(path, overwrite=overwrite, sources=source_paths)

    def write(
        self,
        stats: RunStats,
        config: RunConfig,
        model: str,
        runtime: str,
        sides: Mapping[str, int | None],
        lanes: Sequence[LaneStats] = (),
    ) -> None:
        """Write and give the file its name. Sources and output are named without passwords. Raises WriteError.

        Args:
            sides: of what the network sees, by option, see `NetworkInput.sides`.
            lanes: of several sources seen together, each its own counts.
        """
        content = {
            "vidseg": __version__,
            "model": model,
            "runtime": runtime,
            **sides,
            "config": {name: value for name, value in asdict(config).items() if name not in SECRETS}
            | {
                "source": shown_name(config.source or ""),
                "output": config.output and shown_name(config.output),
                "more_sources": [shown_name(source) for source in config.more_sources],
            },
            **stats.as_dict(),
            **({"streams": [asdict(lane) for lane in lanes]} if lanes else {}),
        }
        try:
            self._file.part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            self._file.commit()
        except OSError as error:
            raise WriteError(write_failure(self._file.path, error)) from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Give the name up. Never raises; does nothing after `write`."""
        self._file.discard()
