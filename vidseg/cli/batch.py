"""`vidseg batch`: many files in; for each, everything `vidseg run` can write; and a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from vidseg.cli.options import argument, flag, flags_of, made_of, run_options, short_names
from vidseg.cli.stray_words import refuse_stray_classes
from vidseg.config import OPTIONS, RunConfig
from vidseg.errors import ConfigError
from vidseg.names import annotated_folder, expand_user, printable, without_file_scheme

if TYPE_CHECKING:
    from vidseg.batch.prepare import BatchOptions

_files, _again = partial(flag, panel="Files"), partial(flag, panel="What to process, and how")

_OWN = (
    argument(
        "inputs",
        list[str],
        "INPUT",
        "Video files, folders (searched recursively), globs, URLs of these (s3://, https:// ...), or - for a"
        " list on standard input.",
    ),
    _files("out_dir", str, "Output folder or URL; default FOLDER_annotated", "OUT_DIR", also=("-o",)),
    _files(
        "lists",
        list[str],
        "File with one input per line; # begins a comment. Repeatable.",
        "FILE",
        flags=(
            "--list",
            "-a",
        ),
    ),
    _files("null", bool, "Lists are separated by NUL, as written by `find -print0`.", also=("-0",), default=False),
    _files(
        "patterns",
        list[str],
        "Files to take from folders, e.g. 'cam1_*.mp4'; default all videos. Repeatable.",
        "GLOB",
        flags=("--pattern",),
    ),
    _files(
        "name",
        str,
        "Template for output names, from {stem} {name} {ext} {parent} {index} {date}; default "
        "{stem}_annotated{ext}. --save-masks, --stats and other data outputs take templates too.",
        "TEMPLATE",
    ),
    _files("container", str, "{ext} in names: mkv, webm ...; default mp4, or mov with --matte"),
    _files("video", bool, "Write annotated videos.", default=True),
    _files("report", bool, "Write batch-report.html and .json into OUT_DIR.", default=True),
    _again(
        "archive",
        str,
        "Record finished inputs here, and skip them even if their outputs have moved. By default the record "
        "is kept in OUT_DIR (for a URL: in this machine's cache folder), and missing outputs are made again.",
        "FILE",
    ),
    _again(
        "retry_failed",
        bool,
        "Also retry inputs that could not be read. Other failures are always retried.",
        default=False,
    ),
    _again("redo", bool, "Also process finished inputs again.", default=False),
    _again("dry_run", bool, "Print what would be done and write nothing.", default=False),
    _again(
        "jobs",
        int,
        "Files to process at once, sharing one network; the default depends on cores, memory and GPUs.",
        "N",
        also=("-j",),
        min=1,
        max=64,
    ),
    _again(
        "ray",
        str,
        "Run on a Ray cluster: auto (the one of this machine), HOST:PORT, or local (one for this batch). "
        "All nodes must be able to read the inputs and write to OUT_DIR, as paths or as URLs; --jobs counts all "
        "nodes together.",
        "ADDRESS",
    ),
    _again("keep_going", bool, "When a file fails, continue with the others.", default=True),
)


@made_of(
    *_OWN,
    *run_options((name for name, entry in OPTIONS.items() if not entry.single), config_file=True),
    short=short_names(("out_dir", "lists", "patterns", "name", "redo", "dry_run", "jobs")),
)
def batch(given: dict[str, Any]) -> None:
    """Segment many videos with one command. Finished files are skipped, and each failure is printed at once.

    Examples: `vidseg batch recordings/ -o annotated/`, `vidseg batch -a list.txt -o out --name "{date}_{stem}{ext}"`,
    `find . -name "*.mp4" -print0 | vidseg batch - -0 -o out --save-masks "{stem}_masks"`.
    """
    given["out_dir"] = given["out_dir"] or _default_folder(given)

    from vidseg.presets import resolve

    flags = flags_of(given)
    refuse_stray_classes(given["inputs"] or (), flags)
    config = resolve(flags, config_file=given["config"])

    from vidseg.batch.prepare import BatchOptions

    own = {item.name: given[item.name] for item in _OWN if given[item.name] is not None}
    lists = {name: tuple(given[name] or ()) for name in ("inputs", "lists", "patterns")}
    options = BatchOptions(**own | lists)
    do_batch(config, options)


def _default_folder(given: Mapping[str, Any]) -> str:
    """Where `vidseg run` puts what it makes of one folder. Raises ConfigError where the inputs are something else."""
    inputs: Sequence[str] = given["inputs"] or ()
    path = expand_user(without_file_scheme(inputs[0])) if len(inputs) == 1 and not given["lists"] else ""
    if given["out_dir"] is not None or not os.path.isdir(path):
        raise ConfigError("no output folder given; give -o OUT_DIR, such as -o annotated/")
    return annotated_folder(path)


def do_batch(config: RunConfig, options: BatchOptions) -> None:
    """Run a batch, print what becomes of it, and exit unless all is done."""
    from vidseg.batch.run import run_batch
    from vidseg.cli.batch_console import BatchConsole, plan_lines

    with BatchConsole(quiet=config.quiet, verbose=config.verbose) as console:
        outcome = run_batch(config, options, console, stdin=lambda: sys.stdin.buffer.read())
    if outcome.report is None:
        for line in plan_lines(outcome.plan):
            print(printable(line))
    else:
        console.batch_summary(outcome.report, outcome.written, options.out_dir)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
