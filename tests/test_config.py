from dataclasses import fields

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vidseg.config import OPTIONS, RunConfig
from vidseg.configure import checked, merge, option_names
from vidseg.errors import ConfigError
from vidseg.option import Option, choice


def test_later_layers_win_and_none_leaves_what_was_said():
    config = merge(("preset", {"stride": 4, "opacity": 0.2}), ("flags", {"stride": 2, "opacity": None}))
    assert (config.stride, config.opacity, config.model) == (2, 0.2, "m2f-mobile-ade")


def test_zero_is_a_value_and_not_unset():
    assert merge(("flags", {"opacity": 0, "crf": 0})).opacity == 0.0


def test_keys_may_have_dashes():
    assert merge(("file", {"max-fps": 12})).max_fps == 12.0


def test_every_default_passes_its_own_check():
    for item in fields(RunConfig):
        if item.default is not None:
            assert OPTIONS[item.name].check(item.default) == item.default, item.name
        assert OPTIONS[item.name].help and OPTIONS[item.name].default == item.default


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"save_csv": "a", "save-csv": "b"}, "fast.yaml: save_csv is there twice, with _ and with -"),
        ({"strid": 2}, "fast.yaml: unknown option 'strid'; did you mean stride?"),
        ({"zzzzzz": 2}, "fast.yaml: unknown option 'zzzzzz'; did you mean [a-z_]+. `vidseg run --help-all` lists all"),
        ({"stride": 0}, "--stride is 0; accepted: a whole number from 1 to 1000"),
        ({"stride": 1.5}, "--stride is 1.5; accepted: a whole number"),
        ({"stride": "often"}, "--stride is 'often'; accepted: a whole number from 1 to 1000, or auto"),
        ({"reconnect": -1}, "--reconnect is -1; accepted: a whole number from 0 to 1000000, or always"),
        ({"camera_size": "720p"}, "--camera-size is '720p'; accepted: a size such as 1280x720"),
        ({"camera_format": "jpeg"}, r"--camera-format is 'jpeg'; accepted: mjpeg \| yuyv"),
        ({"live": "yes"}, r"--live is 'yes'; accepted: auto \| every-frame \| newest"),
        ({"max_staleness": 0}, "--max-staleness is 0; accepted: a number above 0"),
        ({"stride": True}, "--stride is True; accepted: a whole number"),
        ({"imgsz": 7}, "--imgsz is 7; accepted: a whole number from 32 to 4096"),
        ({"opacity": 1.5}, "--opacity is 1.5; accepted: a number from 0 to 1"),
        ({"opacity": float("nan")}, "--opacity is nan; accepted: a number from 0 to 1"),
        ({"max_fps": 0}, "--max-fps is 0; accepted: a number above 0, at most 1000"),
        ({"view": "both"}, r"--view is 'both'; accepted: overlay \| mask \| side"),
        ({"legend": "yes"}, "--legend is 'yes'; accepted: true or false"),
        ({"classes": [1.5]}, "accepted: class names or ids"),
        ({"output": ""}, "--output is ''; accepted: non-empty text"),
    ],
)
def test_a_bad_value_is_refused_in_one_line_with_what_is_accepted(values, text):
    with pytest.raises(ConfigError, match=text) as caught:
        checked("fast.yaml", values)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("fast.yaml: ")


@pytest.mark.parametrize(("value", "known"), [(3, "3"), ("3", "3"), ("always", "always"), (0, "0")])
def test_tries_are_a_number_or_without_end(value, known):
    assert checked("x", {"reconnect": value}) == {"reconnect": known}


@pytest.mark.parametrize("value", ["person, car,20", ["person", "car", 20], ("person", "car", "20")])
def test_class_lists_are_given_as_text_or_list(value):
    assert checked("x", {"classes": value}) == {"classes": ("person", "car", "20")}


@pytest.mark.parametrize("value", ["", " ", ",", " , "])
def test_a_text_without_a_class_is_refused_and_an_empty_list_says_none(value):
    with pytest.raises(ConfigError, match=r"--blur-classes is .*; accepted: class names or ids"):
        checked("x", {"blur_classes": value})
    assert checked("x", {"blur_classes": []}) == {"blur_classes": ()}


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.text()),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(option_names()), junk)
def test_any_value_is_either_taken_or_refused_with_a_config_error(name, value):
    try:
        checked("x", {name: value})
    except ConfigError as error:
        assert f"--{name.replace('_', '-')} is" in str(error)


def test_a_default_that_is_a_number_or_a_word_is_told_by_the_help_from_the_table():
    for name, entry in OPTIONS.items():
        if isinstance(entry.default, bool) or entry.default in (None, ()):
            continue
        assert "{default}" in entry.help, name
    for name, entry in OPTIONS.items():
        assert ("{default}" in entry.help) or not entry.unset, name


@pytest.mark.parametrize(
    ("default", "unset", "told"),
    [
        (1, "", "1"),
        (10.0, "", "10"),
        (0.15, "", "0.15"),
        (True, "", "yes"),
        (False, "", "no"),
        (None, "by size", "by size"),
    ],
)
def test_defaults_are_told_as_a_user_writes_them(default, unset, told):
    entry = Option(default, choice("a", "b"), "{choices}; default {default}", "{choices}", unset=unset)
    assert entry.texts() == (f"a, b; default {told}", "a|b")


@pytest.mark.parametrize(
    ("values", "device", "precision"),
    [
        ({"device": 0, "precision": "fp16"}, "cuda:0", "float16"),
        ({"device": "1", "half": True}, "cuda:1", "half"),
        ({"precision": "bf16", "half": False}, "auto", "bfloat16"),
        ({"precision": "16"}, "auto", "half"),
    ],
)
def test_everyday_words_for_device_and_precision(values, device, precision):
    config = merge(("preset", {"precision": "int8"}), ("command line", values))
    assert (config.device, config.precision) == (device, precision)


def test_half_is_the_16_bits_that_the_device_is_good_at():
    import torch

    from vidseg.runtimes.torch_runtime import pick_precision

    assert pick_precision("half", torch.device("cpu")) == torch.bfloat16
    assert pick_precision("half", torch.device("cuda")) == torch.float16


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        *((90, 90.0), ("90", 90.0), ("1:30", 90.0), ("01:02:03.5", 3723.5), ("-0:01.25", -1.25), (-2.5, -2.5)),
        *(
            ("1h", 3600.0),
            ("1.5m", 90.0),
            ("20s", 20.0),
            (".5", 0.5),
            ("1:00.1", 60.1),
            (1e-6, 1e-6),
            ("100:00:00", 360_000.0),
        ),
    ],
)
def test_a_time_is_seconds_a_clock_or_has_a_unit(given, seconds):
    assert merge(("flags", {"start": given})).start == seconds


@pytest.mark.parametrize("given", ["", "1:60", "1:2:3:4", "soon", "1d", "--1", True, float("nan"), float("inf"), 1e9])
def test_what_is_no_time_is_refused(given):
    with pytest.raises(ConfigError, match=r"--start is .*accepted: seconds, \[HH:\]MM:SS.mmm"):
        merge(("flags", {"start": given}))


@pytest.mark.parametrize("given", [0, "-1", "0:00"])
def test_a_length_of_time_is_above_nothing(given):
    with pytest.raises(ConfigError, match="above 0"):
        merge(("flags", {"duration": given}))
