import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from vidseg.config import OPTIONS, RunConfig
from vidseg.configure import checked
from vidseg.errors import ConfigError
from vidseg.labels import ade20k
from vidseg.presets import preset_names, presets_folder, read_options, read_preset, resolve, schema


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_promised_presets_are_there():
    assert {"realtime", "quality", "edge-cpu", "privacy", "mask-only", "street", "sure"} <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_is_valid_described_and_names_known_classes(name):
    preset = read_preset(name)
    assert preset.description and preset.options
    config = resolve({"preset": name})
    ade20k().find_all([*config.classes, *config.ignore_classes, *config.blur_classes])
    assert config != RunConfig()


def test_order_is_defaults_preset_config_flags(tmp_path):
    path = write(tmp_path, "imgsz: 400\nstride: 2\n")
    config = resolve({"preset": "edge-cpu", "stride": 7}, config_file=path)
    assert (config.max_fps, config.imgsz, config.stride, config.opacity) == (15.0, 400, 7, None)


def test_a_config_file_may_choose_the_preset_and_a_flag_overrules_it(tmp_path):
    path = write(tmp_path, "preset: mask-only\n")
    assert resolve({}, config_file=path).view == "mask"
    assert resolve({"preset": "street"}, config_file=path).view == "overlay"


def test_a_flag_can_switch_off_what_a_preset_switches_on():
    assert resolve({"preset": "street"}).legend and not resolve({"preset": "street", "legend": False}).legend


def test_what_is_less_than_half_sure_is_left_out_by_the_preset_for_it_and_by_no_other():
    least = {name: resolve({"preset": name}).min_confidence for name in preset_names()}
    assert least.pop("sure") == 0.5 and not any(least.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strid: 2", "unknown option 'strid'; did you mean stride?"),
        ("- a\n- b", "contains a list; write one 'option: value' per line"),
        ("a: [", "not valid YAML"),
        ("trust-model: true", "trust_model can be given on the command line only"),
        ("stride: 0", "--stride is 0; accepted"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_names_it(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_options(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_file_says_nothing(tmp_path):
    assert read_options(write(tmp_path, "")) == {}


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such config file"):
        read_options(tmp_path / "none.yaml")
    path = tmp_path / "bin.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match=r"bin\.yaml"):
        read_options(path)


def test_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown preset .qualty.; did you mean quality"):
        resolve({"preset": "qualty"})


@pytest.fixture(scope="module")
def by_schema():
    made = json.loads(json.dumps(schema()))
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_is_valid_by_the_schema(by_schema, name):
    by_schema.validate(yaml.safe_load((presets_folder() / f"{name}.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", True),
        ("stride:", True),
        ("stride: auto\nreconnect: '3'\noverlap: 2.5", True),
        ("max-fps: 12\nclasses: person, car\nblur_classes: [20, person]\nignore_classes: []", True),
        ("preset: street\ndescription: mine\nserve: 8000\ncamera_size: 640x480", True),
        ("strid: 2", False),
        ("stride: 0", False),
        ("stride: often", False),
        ("reconnect: -1", False),
        ("camera_size: 720p", False),
        ("max-fps: 0", False),
        ("opacity: 1.5", False),
        ("view: both", False),
        ("legend: 'yes'", False),
        ("classes: ' , '", False),
        ("classes: [1.5]", False),
        ("output: ''", False),
        ("serve_token: short", False),
        ("overlap: long", False),
        ("trust_model: true", False),
        ("- a", False),
    ],
)
def test_the_schema_says_of_a_file_what_vidseg_says(by_schema, tmp_path, text, good):
    try:
        read_options(write(tmp_path, text))
        taken = True
    except ConfigError:
        taken = False
    assert (taken, by_schema.is_valid(yaml.safe_load(text))) == (good, good)


@given(
    st.sampled_from([name for name in OPTIONS if name not in ("trust_model", "preset")]),
    st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.lists(st.integers() | st.text())),
)
def test_the_schema_takes_every_value_that_an_option_takes(by_schema, name, value):
    try:
        checked("x", {name: value})
    except ConfigError:
        return
    if name != "serve_token" or isinstance(value, str):
        by_schema.validate({name: value})


def test_the_schema_tells_help_and_defaults_of_the_table():
    properties = schema()["properties"]
    assert properties["opacity"]["description"] == "Opacity of the colours; default 0.5, or 0 with an effect"
    assert "default" not in properties["opacity"] and properties["view"]["default"] == "overlay"
    assert set(properties) >= set(OPTIONS) - {"trust_model"}
