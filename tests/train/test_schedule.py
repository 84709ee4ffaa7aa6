import math

import pytest
import torch
from torch import nn

from vidseg.errors import ConfigError
from vidseg.models import create_model
from vidseg.train.schedule import WeightAverage, learning_rate, parameter_groups
from vidseg.train.settings import TrainSettings, parse_crop, parse_holdout, parse_mix


def test_learning_rate_rises_in_a_line_and_falls_along_a_cosine():
    rates = [learning_rate(step, steps=30, warmup=10, highest=2.0) for step in range(30)]
    assert rates[:10] == pytest.approx([0.2 * (n + 1) for n in range(10)])
    assert rates[10] == 2.0 and rates[20] == pytest.approx(1.0)
    assert rates[29] == pytest.approx(1 + math.cos(math.pi * 0.95))
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_no_warmup_starts_at_the_highest_rate():
    assert learning_rate(0, steps=1, warmup=0, highest=0.5) == 0.5


@pytest.mark.parametrize(
    ("steps", "warmup", "rising"), [(2000, 200, 200), (201, 200, 200), (200, 200, 40), (100, 200, 20), (3, 200, 0)]
)
def test_a_warmup_as_long_as_the_run_takes_a_fifth_of_it(steps, warmup, rising):
    assert TrainSettings(steps=steps, warmup=warmup).rising_steps == rising


def test_weights_decay_but_norms_biases_and_embeddings_do_not():
    model = create_model("fai-m2f-n-ade")
    decaying, steady = parameter_groups(model, 0.02)
    assert decaying["weight_decay"] == 0.02 and steady["weight_decay"] == 0
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    kept = {names.pop(id(parameter)) for parameter in steady["params"]}
    assert set(names) == {id(parameter) for parameter in decaying["params"]}
    assert all(".norm." not in name and ".bn" not in name and "bias" not in name for name in names.values())
    assert {"head.predictor.query_feat.weight", "head.predictor.query_embed.weight"} <= kept


def test_average_is_the_weighted_mean_of_what_it_saw():
    model = nn.BatchNorm1d(1)
    average = WeightAverage(model, decay=0.5)
    expected = 1.0
    for step, value in enumerate((3.0, 5.0, -1.0), start=1):
        model.weight.data.fill_(value)
        model.num_batches_tracked.fill_(step)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.state_dict()["weight"].item() == pytest.approx(expected)
    assert average.state_dict()["num_batches_tracked"].item() == 3
    other = WeightAverage(nn.BatchNorm1d(1), decay=0.5)
    other.load_state_dict(average.state_dict())
    assert torch.equal(other.state_dict()["weight"], average.state_dict()["weight"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"steps": 0}, "--steps is 0; accepted: a whole number from 1"),
        ({"batch": -1}, "--batch is -1"),
        ({"lr": 0}, "--lr is 0; accepted: a number above 0 to 10"),
        ({"lr": math.nan}, "--lr is nan"),
        ({"ema": 1.0}, "--ema is 1"),
        ({"weight_decay": -1}, "--weight-decay is -1"),
        ({"crop_hw": (100, 64)}, "--crop is 100x64; accepted: HxW, multiples of 32"),
        ({"crop_hw": (32, 64)}, "--crop is 32x64"),
        ({"mix": (1, -2)}, "--mix is 1,-2"),
        ({"mix": (0, 0)}, "--mix is 0,0"),
        ({"holdout": (0, 1)}, "--holdout is 0,1; accepted: 2 or more"),
        ({"classes": 255}, "--classes is 255"),
    ],
)
def test_settings_out_of_range_are_told_in_one_line(given, text):
    with pytest.raises(ConfigError) as caught:
        TrainSettings(**given)
    assert text in str(caught.value) and "\n" not in str(caught.value)


def test_settings_say_what_differs_from_stored_ones():
    settings = TrainSettings(mix=(1, 2), lr=0.5)
    assert settings.difference(settings.as_dict()) is None
    assert settings.difference({**settings.as_dict(), "lr": 0.25}) == "--lr was 0.25 and is now 0.5"
    assert settings.difference({**settings.as_dict(), "crop_hw": [64, 64]}) == "--crop was 64,64 and is now 256,320"


def test_crop_mix_and_holdout_are_read_from_text():
    assert parse_crop("64x96") == (64, 96) and parse_mix("1,0.5") == (1.0, 0.5)
    assert parse_crop("64") == (64, 64)
    for text in ("64.5", "64x", "axb", "-64x64"):
        with pytest.raises(ConfigError, match="HEIGHTxWIDTH"):
            parse_crop(text)
    assert parse_holdout("25") == (25,) and parse_holdout("0,25") == (0, 25)
    with pytest.raises(ConfigError, match="numbers separated by commas"):
        parse_mix("1;2")
    with pytest.raises(ConfigError, match="a whole number, or one per dataset"):
        parse_holdout("0.5")
