"""`vidseg render`: a clip and its saved masks in, annotated video, pictures or a window out. No model is needed."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from vidseg.cli.run import run
from vidseg.cli.run_options import flags_of, with_run_options

_OPTIONS = (
    *("output", "show", "matte", "feather", "limit", "overwrite", "codec", "crf", "encoder_preset", "audio"),
    *("pace", "reconnect", "timeout", "strict", "model", "weights"),
    *("min_confidence", "view", "opacity", "contours", "legend", "labels", "classes", "ignore_classes"),
    *("blur_classes", "blur_style", "blur_margin", "background", "foreground", "highlight", "preset", "quiet"),
)
"""Those of `vidseg run` that mean something without a model."""


@with_run_options(without=inspect.signature(run).parameters.keys() - set(_OPTIONS))
def render(
    source: Annotated[str, typer.Argument(metavar="CLIP", help="The file, folder, glob or image that was segmented.")],
    masks: Annotated[
        str, typer.Argument(metavar="MASKS", help="What `vidseg run --save-masks` wrote for it: folder or .mkv.")
    ],
    settings: dict[str, Any],
    confidence: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|FILE.mkv",
            help="What --save-confidence wrote with the masks: for --min-confidence and --view confidence.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw a clip again from its saved masks, with other colours or filters; no model is loaded.

    Masks of another network, or of your weights: give its -m or --weights, for its classes and colours.

    Examples: `vidseg run clip.mp4 --save-masks masks.mkv`, then
    `vidseg render clip.mp4 masks.mkv -o people.mp4 --classes person --contours`,
    `vidseg render clip.mp4 masks.mkv -o cut.mov --matte person`,
    `vidseg render clip.mp4 masks.mkv -o sure.mp4 --confidence sure.mkv --min-confidence 0.6`.
    """
    from vidseg.presets import resolve

    config = resolve({"source": source, **flags_of(settings)})

    from vidseg.app.render import render as render_app
    from vidseg.cli.console import RunConsole

    with RunConsole(quiet=config.quiet) as console:
        outcome = render_app(config, masks, console, confidence=confidence)
    console.summary(outcome)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
