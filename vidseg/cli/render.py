"""`vidseg render`: a clip and its saved masks in; annotated video, pictures or a window out. Needs no model."""

from __future__ import annotations

from typing import Any

import typer

from vidseg.cli.options import argument, flag, flags_of, made_of, run_options, short_names
from vidseg.config import OPTIONS


@made_of(
    argument("source", str, "CLIP", "The file, folder, glob or image that was segmented.", ...),
    argument("masks", str, "MASKS", "What `vidseg run --save-masks` wrote for it: folder or .mkv.", ...),
    flag(
        "confidence",
        str,
        "What --save-confidence wrote with the masks; needed for --min-confidence and --view confidence.",
        "DIR|FILE.mkv",
    ),
    *run_options(name for name, entry in OPTIONS.items() if entry.redraws),
    short=short_names(("confidence",)),
)
def render(given: dict[str, Any]) -> None:
    """Redraw a clip from its saved masks, with other colours or filters. Loads no model.

    If another network or your own weights made the masks, give its -m or --weights, for its classes and colours.

    Examples: `vidseg run clip.mp4 --save-masks masks.mkv`, then
    `vidseg render clip.mp4 masks.mkv -o people.mp4 --classes person --contours`,
    `vidseg render clip.mp4 masks.mkv -o cut.mov --matte person`,
    `vidseg render clip.mp4 masks.mkv -o sure.mp4 --confidence sure.mkv --min-confidence 0.6`.
    """
    from vidseg.presets import resolve

    config = resolve(flags_of(given))

    from vidseg.app.render import render as render_app
    from vidseg.cli.console import RunConsole

    with RunConsole(quiet=config.quiet) as console:
        outcome = render_app(config, given["masks"], console, confidence=given["confidence"])
    console.summary(outcome)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
