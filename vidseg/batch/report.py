"""The report of a batch: the outcome of every input, as JSON and as one HTML page."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidseg.atomic import write_whole_file
from vidseg.batch.report_page import STATES, FileReport, page
from vidseg.config import OPTIONS, SECRETS, RunConfig
from vidseg.version import __version__
from vidseg.wiring.effects import drawn_labels
from vidseg.wiring.engine import label_set

JSON_NAME = "batch-report.json"
HTML_NAME = "batch-report.html"


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of all inputs."""

    files: tuple[FileReport, ...]
    config: RunConfig
    started: str
    """Local time with zone, ISO 8601."""
    seconds: float

    def totals(self) -> dict[str, int]:
        """How many inputs ended in each state."""
        counts = Counter(item.state for item in self.files)
        return {state: counts[state] for state in STATES if counts[state]}

    def settings(self) -> dict[str, str]:
        """The options that were given, as on the command line, but for secrets."""
        usual = RunConfig()
        given = {name: getattr(self.config, name) for name in OPTIONS if name not in SECRETS}
        return {
            f"--{name.replace('_', '-')}": ",".join(value) if isinstance(value, tuple) else str(value)
            for name, value in given.items()
            if value != getattr(usual, name)
        }

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "vidseg": __version__,
            "started": self.started,
            "seconds": round(self.seconds, 1),
            "totals": self.totals(),
            "settings": asdict(self.config),
            "files": [item.as_dict(label_set(self.config).names) for item in self.files],
        }


def write_report(report: BatchReport, folder: Path) -> list[Path]:
    """Write both files into the folder, replacing those of the last batch. Raises WriteError."""
    text = json.dumps(report.as_dict(), indent=1) + "\n"
    labels = drawn_labels(report.config, label_set(report.config))
    html = page(
        *(report.files, labels),
        totals=report.totals(),
        started=report.started,
        seconds=report.seconds,
        settings=report.settings(),
    )
    paths = [folder / JSON_NAME, folder / HTML_NAME]
    for path, content in zip(paths, (text, html), strict=True):
        write_whole_file(path, content.encode("utf-8", "backslashreplace"))
    return paths
