from __future__ import annotations

from typing import Any

import pytest

from tests.render.scenes import CAR
from vidseg.errors import ConfigError
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"opacity": 1.01}, "opacity is 1.01; give a number from 0"),
        ({"opacity": -0.1}, "opacity is -0.1"),
        ({"opacity": float("nan")}, "opacity is nan"),
        ({"opacity": "0.5"}, "opacity is '0.5'"),
        ({"opacity": True}, "opacity is True"),
        ({"view": "both"}, "view is 'both'; known: overlay, mask, side, stack, split"),
        ({"classes": (3, 255)}, "classes contains 255; give class ids from 0 to 254"),
        ({"ignore_classes": (-1,)}, "ignore_classes contains -1"),
        ({"blur_classes": ("person",)}, "blur_classes contains 'person'"),
        ({"blur_style": "mosaic"}, "blur_style is 'mosaic'; known: pixelate, blur, fill"),
        ({"legend_place": "left"}, "legend_place is 'left'; known: top-right, top-left"),
        ({"text_size": 5.0}, "text_size is 5.0; give a number from 0.5 to 4.0"),
        ({"blur_margin": -1}, "blur_margin is -1; give pixels"),
        ({"foreground": (256,)}, "foreground contains 256"),
    ],
)
def test_bad_options_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        RenderOptions(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("opacity", [0, 0.0, 1, 1.0, 0.37])
def test_opacity_may_be_any_number_from_zero_to_one(opacity: float) -> None:
    assert RenderOptions(opacity=opacity).opacity == opacity


@pytest.mark.parametrize("field", ["classes", "ignore_classes", "blur_classes", "foreground"])
def test_a_class_id_beyond_the_label_set_is_refused(field: str) -> None:
    with pytest.raises(ConfigError, match=f"{field} contains class id 150; known: 0 to 149"):
        OverlayRenderer(RenderOptions(**{field: (CAR, 150)}))
