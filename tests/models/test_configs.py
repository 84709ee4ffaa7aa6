"""Names, aliases and numbers of the models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vidseg.errors import ModelError
from vidseg.models import build_model, config_for, create_model, model_names, resolve_name


def test_newer_names_lead_to_the_same_models() -> None:
    assert resolve_name("fai-mf-m-ade") == "fai-m2f-m-ade"
    assert resolve_name("fai-mf-l-ade") == "fai-m2f-l-ade"
    assert config_for("fai-mf-m-ade") is config_for("fai-m2f-m-ade")


def test_every_canonical_name_stands_for_itself() -> None:
    assert len(model_names()) == 8
    assert [resolve_name(name) for name in model_names()] == list(model_names())


def test_unknown_name_is_answered_with_near_and_known_names() -> None:
    with pytest.raises(ModelError) as caught:
        create_model("fai-m2f-x-ade")
    message = str(caught.value)
    assert message.startswith("unknown model 'fai-m2f-x-ade'; did you mean fai-m2f-")
    assert all(name in message for name in model_names())


def test_name_like_nothing_is_answered_with_known_names_only() -> None:
    with pytest.raises(ModelError, match=r"^unknown model '12'; known: m2f-mobile-ade, "):
        resolve_name("12")


def test_another_number_of_classes_changes_the_classifier_and_its_weights_only() -> None:
    ade = {key: value.shape for key, value in create_model("fai-m2f-n-ade").state_dict().items()}
    city = create_model("fai-m2f-n-ade", num_classes=19)
    shapes = {key: value.shape for key, value in city.state_dict().items()}
    assert city.num_classes == 19
    assert city.num_queries == 100
    assert list(ade) == list(shapes)
    assert {key: tuple(shape) for key, shape in shapes.items() if shape != ade[key]} == {
        "head.criterion.empty_weight": (20,),
        "head.predictor.forward_prediction_heads.classifier.weight": (20, 128),
        "head.predictor.forward_prediction_heads.classifier.bias": (20,),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 0}, "num_classes is 0; accepted: 1 or more"),
        ({"decoder_layers": 0}, "decoder_layers is 0; accepted: 1 or more"),
        ({"backbone": "vgg"}, "backbone is 'vgg'; known: 'stdc', 'resnet', 'mobilenetv2'"),
        ({"pixel_decoder": "unet"}, "pixel_decoder is 'unet'; known: 'fpn', 'bisenet'"),
        ({"backbone": "resnet", "resnet_depth": 18}, "resnet_depth is 18; known: 50, 101"),
        ({"hidden_dim": 100}, "hidden_dim is 100; accepted: a multiple of 4 and of num_heads, which is 8"),
        ({"stdc_base": 12}, "stdc_base is 12; accepted: a multiple of 8"),
    ],
)
def test_a_number_that_makes_no_network_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_model(replace(config_for("fai-m2f-n-ade"), **change))


def test_the_number_of_queries_is_free() -> None:
    assert build_model(replace(config_for("fai-m2f-n-ade"), num_queries=7)).num_queries == 7
