"""The effects that a configuration asks for, and their rules."""

from __future__ import annotations

from vidseg.config import RunConfig
from vidseg.defaults import OPACITY
from vidseg.errors import ConfigError
from vidseg.interfaces import Propagator
from vidseg.labels import LabelSet
from vidseg.motion.cautious import CautiousPropagator
from vidseg.motion.propagate import FlowPropagator
from vidseg.render.background import ACCEPTED, parse_background
from vidseg.render.colours import painted
from vidseg.render.options import RenderOptions
from vidseg.sources.image_source import read_image
from vidseg.timing import StageTimers
from vidseg.wiring.frame_policy import skips_frames


def _check_effects(config: RunConfig) -> None:
    """Raises ConfigError for options that do not go together."""
    if config.blur_classes and skips_frames(config) and config.propagate == "hold":
        raise ConfigError(
            "--propagate hold with --blur-classes: masks that lag behind would reveal moving objects; "
            "leave out --propagate, or --stride"
        )
    if not config.blur_classes and (config.blur_style != RunConfig().blur_style or config.blur_margin is not None):
        raise ConfigError(
            "--blur-style and --blur-margin hide nothing on their own; give --blur-classes with what to hide"
        )
    if config.highlight and (config.foreground or config.background):
        raise ConfigError("--highlight A,B is --foreground A,B --background grey; give one or the other")
    if config.background and not config.foreground:
        raise ConfigError(f"--background {config.background}: give --foreground CLASSES with what stays, e.g. person")
    if config.foreground and not config.background:
        raise ConfigError(f"--foreground needs --background: {ACCEPTED}; or give --highlight alone")


def drawn_labels(config: RunConfig, labels: LabelSet) -> LabelSet:
    """The classes in the colours that `palette` and `color` ask for. Raises ConfigError."""
    return painted(labels, config.palette, config.color)


def render_options(config: RunConfig, labels: LabelSet) -> RenderOptions:
    """How to draw, with classes looked up by name or id in `labels`.

    Raises:
        ConfigError: an unknown class or background, or effects that do not go together.
    """
    _check_effects(config)
    background = "grey" if config.highlight else config.background
    return RenderOptions(
        opacity=overlay_opacity(config),
        view=config.view,
        contours=config.contours,
        legend=config.legend,
        labels=config.labels,
        legend_place=config.legend_place,
        text_size=config.text_size,
        classes=tuple(labels.find_all(config.classes)),
        ignore_classes=tuple(labels.find_all(config.ignore_classes)),
        blur_classes=tuple(labels.find_all(config.blur_classes)),
        blur_style=config.blur_style,
        blur_margin=config.blur_margin,
        foreground=tuple(labels.find_all(config.highlight or config.foreground)),
        background=None if background is None else parse_background(background, read_image),
    )


def overlay_opacity(config: RunConfig) -> float:
    """Of the class colours: as said; else none where effects are all that is asked of the picture."""
    if config.opacity is not None:
        return config.opacity
    effects = config.blur_classes or config.background or config.highlight
    overlay = (
        config.classes
        or config.ignore_classes
        or config.contours
        or config.legend
        or config.labels
        or config.palette
        or config.color
    ) or config.view != "overlay"
    return 0.0 if effects and not overlay else OPACITY


def propagator_for(config: RunConfig, hidden: tuple[int, ...], timers: StageTimers) -> Propagator | None:
    """The propagator for frames that the model does not see; cautious if classes are to be hidden."""
    flow = flow_propagator(config, timers)
    return CautiousPropagator(hidden, timers) if hidden and flow is not None else flow


def flow_propagator(config: RunConfig, timers: StageTimers) -> FlowPropagator | None:
    """As `propagator_for`, where nothing is hidden in frames that the model does not see."""
    return FlowPropagator(timers) if config.propagate == "flow" else None
