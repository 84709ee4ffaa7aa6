"""What options of effects mean for a run."""

import pytest

from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.labels import ade20k
from vidseg.motion.cautious import CautiousPropagator
from vidseg.motion.propagate import FlowPropagator
from vidseg.presets import resolve
from vidseg.timing import StageTimers
from vidseg.wiring.effects import overlay_opacity, propagator_for, render_options


@pytest.mark.parametrize(
    ("options", "opacity"),
    [
        ({}, 0.5),
        ({"legend": True}, 0.5),
        ({"blur_classes": ("person",)}, 0.0),
        ({"highlight": ("person",)}, 0.0),
        ({"background": "blur", "foreground": ("person",)}, 0.0),
        ({"blur_classes": ("person",), "classes": ("car",)}, 0.5),
        ({"blur_classes": ("person",), "labels": True}, 0.5),
        ({"blur_classes": ("person",), "view": "mask"}, 0.5),
        ({"blur_classes": ("person",), "opacity": 0.3}, 0.3),
        ({"opacity": 0.0}, 0.0),
    ],
)
def test_an_effect_alone_shows_no_class_colours(options, opacity):
    assert overlay_opacity(RunConfig(**options)) == opacity
    assert render_options(RunConfig(**options), ade20k()).opacity == opacity


def test_highlight_is_a_grey_background():
    options = render_options(RunConfig(highlight=("person", "20")), ade20k())
    assert options.foreground == (12, 20) and options.background is not None and options.background.name == "grey"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"background": "blur"}, "--background blur: give --foreground"),
        ({"foreground": ("person",)}, "--foreground needs --background"),
        ({"highlight": ("car",), "background": "blur", "foreground": ("car",)}, "--highlight A,B is --foreground"),
        ({"highlight": ("carr",)}, "unknown class 'carr'"),
        ({"blur_style": "fill"}, "hide nothing on their own; give --blur-classes"),
        ({"blur_margin": 0}, "hide nothing on their own; give --blur-classes"),
        ({"background": "none.png", "foreground": ("car",)}, "none.png: cannot be read"),
        ({"blur_classes": ("car",), "stride": 2, "propagate": "hold"}, "--propagate hold with --blur-classes"),
    ],
)
def test_effects_that_do_not_go_together_are_told(options, message):
    with pytest.raises(ConfigError, match=message) as caught:
        render_options(RunConfig(**options), ade20k())
    assert "\n" not in str(caught.value)


def test_masks_are_carried_with_care_only_where_something_is_hidden():
    timers = StageTimers()
    assert isinstance(propagator_for(RunConfig(), (12,), timers), CautiousPropagator)
    assert isinstance(propagator_for(RunConfig(), (), timers), FlowPropagator)
    assert propagator_for(RunConfig(propagate="hold"), (), timers) is None


def test_the_privacy_preset_segments_every_frame_and_keeps_no_audio():
    config = resolve({"preset": "privacy"})
    assert (config.stride, config.audio, config.smooth) == (1, "none", False)
    assert {"person", "car"} <= set(config.blur_classes) and overlay_opacity(config) == 0
