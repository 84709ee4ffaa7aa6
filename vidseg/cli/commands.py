"""All commands, assembled."""

from __future__ import annotations

from typing import Annotated

import typer

from vidseg.cli import (
    batch,
    bench,
    doctor,
    evaluate,
    export,
    export_labels,
    models,
    presets,
    quantize,
    render,
    run,
    train,
)
from vidseg.cli.help import Command, Group
from vidseg.version import __version__

app = typer.Typer(
    cls=Group,
    name="vidseg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Real-time video segmentation: a class for every pixel of every frame.

    Examples: `vidseg run clip.mp4 -o annotated.mp4`, `vidseg run cam0 --show`,
    `vidseg batch recordings/ -o annotated/`, `vidseg run -h`.
    """,
)
app.command("run", cls=Command, no_args_is_help=True)(run.run)
app.command("batch", cls=Command, no_args_is_help=True)(batch.batch)
app.command("render", cls=Command, no_args_is_help=True)(render.render)
app.add_typer(models.app, name="models")
app.command("classes", cls=Command)(models.classes)
app.command("presets", cls=Command)(presets.presets)
app.command("train", cls=Command, no_args_is_help=True)(train.train)
app.command("eval", cls=Command, no_args_is_help=True)(evaluate.evaluate)
app.command("quantize", cls=Command, no_args_is_help=True)(quantize.quantize)
app.command("export", cls=Command, no_args_is_help=True)(export.export)
app.command("export-labels", cls=Command, no_args_is_help=True)(export_labels.export_labels)
app.command("bench", cls=Command)(bench.bench)
app.command("doctor", cls=Command)(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"vidseg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
