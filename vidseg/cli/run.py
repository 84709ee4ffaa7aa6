"""`vidseg run`: one or several sources in; annotated video, pictures, masks or a window out."""

from __future__ import annotations

import sys
from typing import Any

import typer

from vidseg.cli.batch import do_batch
from vidseg.cli.options import argument, flags_of, made_of, run_options, short_names
from vidseg.cli.stray_words import refuse_stray_classes, refuse_stray_numbers, refuse_stray_outputs
from vidseg.config import OPTIONS

_HELP, _METAVAR = OPTIONS["source"].texts()


@made_of(
    argument("source", list[str], _METAVAR or "", _HELP),
    *run_options((name for name in OPTIONS if name not in ("source", "more_sources")), config_file=True),
    short=short_names(),
)
def run(given: dict[str, Any]) -> None:
    """Segment a video, a stream, a camera or images.

    Examples: `vidseg run street.mp4`, `vidseg run street.mp4 -o annotated.mp4 --classes person,car`,
    `vidseg run cam0 --show`,
    `vidseg run clip.mp4 -o out.mp4 --preset street --stride 2`, `vidseg run photos/ -o annotated/ --save-masks masks/`,
    `vidseg run cam0 rtsp://a rtsp://b --show`.
    """
    flags = flags_of(given)
    refuse_stray_classes(given["source"] or (), flags)
    refuse_stray_numbers(given["source"] or (), sys.argv)
    refuse_stray_outputs(given["source"] or (), flags)
    if given["source"]:
        flags |= {"source": given["source"][0], "more_sources": given["source"][1:]}

    from vidseg.presets import resolve

    settings = resolve(flags, config_file=given["config"])

    from vidseg.batch.several import one_after_the_other

    if (several := one_after_the_other(settings)) is not None:
        do_batch(*several)
        return

    from vidseg.wiring.outputs import with_default_output

    named = with_default_output(settings)

    from vidseg.app.run import run as run_app
    from vidseg.cli.console import RunConsole

    with RunConsole(quiet=settings.quiet, verbose=settings.verbose) as console:
        outcome = run_app(named, console, new_folder=settings.output if named.output != settings.output else None)
    console.summary(outcome)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
