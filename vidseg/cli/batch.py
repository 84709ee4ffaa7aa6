"""`vidseg batch`: many files in, everything `vidseg run` makes of one out, and a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vidseg.cli.run_options import flags_of, with_run_options
from vidseg.config import SINGLE_RUN_OPTIONS
from vidseg.errors import ConfigError
from vidseg.names import printable

_FILES, _AGAIN = "Files", "What is done, and again"


def _option(*names: str, panel: str, help_text: str, metavar: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help_text, metavar=metavar, **more)


@with_run_options(without=SINGLE_RUN_OPTIONS)
def batch(
    settings: dict[str, Any],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="Video files, folders (searched to the bottom), globs, URLs of such (s3://, https:// ...), or - for a "
            "list on standard input.",
            show_default=False,
        ),
    ] = None,
    out_dir: Annotated[
        str | None,
        _option(
            "--out-dir",
            "-o",
            panel=_FILES,
            metavar="OUT_DIR",
            help_text="Folder or URL for everything; made if need be.",
        ),
    ] = None,
    lists: Annotated[
        list[str] | None,
        _option(
            "--list",
            "-a",
            panel=_FILES,
            metavar="FILE",
            help_text="File with one input a line; # begins a comment. May be repeated.",
        ),
    ] = None,
    null: Annotated[
        bool, _option("--null", "-0", panel=_FILES, help_text="Lists are separated by NUL, as `find -print0` writes.")
    ] = False,
    patterns: Annotated[
        list[str] | None,
        _option(
            "--pattern",
            panel=_FILES,
            metavar="GLOB",
            help_text="Files to take from folders, e.g. 'cam1_*.mp4'; default all videos. May be repeated.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        _option(
            "--name",
            panel=_FILES,
            metavar="TEMPLATE",
            help_text="Names from {stem} {name} {ext} {parent} {index} {date}; default {stem}_annotated{ext}. "
            "--save-masks, --stats and other data outputs take templates too.",
        ),
    ] = None,
    container: Annotated[
        str | None,
        _option(
            "--container", panel=_FILES, help_text="The {ext} of names: mkv, webm ...; default mp4, with --matte mov"
        ),
    ] = None,
    video: Annotated[bool, _option("--video/--no-video", panel=_FILES, help_text="Write annotated videos.")] = True,
    report: Annotated[
        bool,
        _option("--report/--no-report", panel=_FILES, help_text="Write batch-report.html and .json into OUT_DIR."),
    ] = True,
    archive: Annotated[
        str | None,
        _option(
            "--archive",
            panel=_AGAIN,
            metavar="FILE",
            help_text="Remember here what is done, and skip it wherever its outputs are; default: OUT_DIR remembers, "
            "and outputs that are gone are made again. (For a URL the cache folder of this machine remembers.)",
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        _option(
            "--retry-failed",
            panel=_AGAIN,
            help_text="Also try inputs again that could not be read. Other failures are tried again in any case.",
        ),
    ] = False,
    redo: Annotated[bool, _option("--redo", panel=_AGAIN, help_text="Also do again what is done.")] = False,
    dry_run: Annotated[
        bool, _option("--dry-run", panel=_AGAIN, help_text="Print what would be done, and write nothing.")
    ] = False,
    jobs: Annotated[
        int | None,
        _option(
            "--jobs",
            "-j",
            panel=_AGAIN,
            metavar="N",
            min=1,
            max=64,
            help_text="Files at once, sharing one network; default by cores, memory and GPUs.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        _option(
            "--ray",
            panel=_AGAIN,
            metavar="ADDRESS",
            help_text="Work on a Ray cluster: auto (the one this machine belongs to), HOST:PORT, or local (one for "
            "this batch). All nodes have to see the inputs and OUT_DIR, or be let in at their URLs; --jobs is for all "
            "nodes together.",
        ),
    ] = None,
    keep_going: Annotated[
        bool,
        _option("--keep-going/--no-keep-going", panel=_AGAIN, help_text="Go on with the others when one file fails."),
    ] = True,
) -> None:
    """Segment many videos with one command: what is done is skipped, what fails is listed at the end.

    Examples: `vidseg batch recordings/ -o annotated/`, `vidseg batch -a list.txt -o out --name "{date}_{stem}{ext}"`,
    `find . -name "*.mp4" -print0 | vidseg batch - -0 -o out --save-masks "{stem}_masks"`.
    """
    if out_dir is None:
        raise ConfigError("no output folder given; give -o OUT_DIR")

    from vidseg.presets import resolve

    config_file: Path | None = settings["config"]
    config = resolve(flags_of(settings), config_file=config_file)

    from vidseg.batch.plan import DEFAULT_NAME
    from vidseg.batch.prepare import BatchOptions
    from vidseg.batch.run import run_batch
    from vidseg.cli.batch_console import BatchConsole, plan_lines

    options = BatchOptions(
        inputs=tuple(inputs or ()),
        out_dir=out_dir,
        lists=tuple(lists or ()),
        null=null,
        patterns=tuple(patterns or ()),
        name=name if name is not None else DEFAULT_NAME,
        container=container,
        video=video,
        archive=archive,
        retry_failed=retry_failed,
        redo=redo,
        dry_run=dry_run,
        jobs=jobs,
        ray=ray,
        keep_going=keep_going,
        report=report,
    )
    with BatchConsole(quiet=config.quiet, verbose=config.verbose) as console:
        outcome = run_batch(config, options, console, stdin=lambda: sys.stdin.buffer.read())
    if outcome.report is None:
        for line in plan_lines(outcome.plan):
            print(printable(line))
    else:
        console.batch_summary(outcome.report, outcome.written)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
