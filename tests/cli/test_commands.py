import errno
import json
from email.message import Message

import pytest
import torch
import yaml

from tests.cli.test_run import assert_one_line_error
from vidseg.cli.console import lane_line, progress_line
from vidseg.commands import doctor
from vidseg.pipeline.grid_lane import LaneStats
from vidseg.pipeline.stats import Progress
from vidseg.timing import clock_time
from vidseg.version import __version__


def test_models_lists_all_with_parameters_accuracy_and_state_in_80_columns(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = cli("models")
    assert result.code == 0 and max(map(len, result.out.splitlines())) <= 80
    line = {text.split()[0]: text for text in result.out.splitlines() if text.strip()}
    assert "2.2 M" in line["fai-m2f-n-ade"] and "bundled" in line["fai-m2f-n-ade"]
    assert "41.2" in line["fai-m2f-s-ade"] and "not published" in line["fai-m2f-s-ade"]
    assert "also fai-mf-l-ade" in result.out and "download" in line["fai-m2f-l-ade"]
    assert len([name for name in line if name.endswith("-ade")]) == 8


def test_models_info_shows_the_card_and_the_licence_of_the_data(cli):
    result = cli("models", "info", "fai-m2f-n-ade")
    assert result.code == 0 and "CamVid" in result.out and "research" in result.out and "<!--" not in result.out
    assert "fai-m2f-m-ade" in cli("models", "info", "fai-mf-m-ade").out


def test_models_pull_of_bundled_weights_prints_their_path(cli):
    result = cli("models", "pull", "fai-m2f-n-ade")
    assert result.code == 0 and result.out.strip().endswith("fai-m2f-n-ade.safetensors")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["models", "info", "nope"], 2, "unknown model 'nope'"),
        (["models", "pull", "fai-m2f-s-ade"], 1, "never published"),
        (["presets", "relatime"], 2, "did you mean realtime?"),
    ],
)
def test_unknown_names_get_one_line(cli, words, code, text):
    result = cli(*words)
    assert result.code == code and text in result.err and result.err.count("\n") == 1


def test_classes_lists_150_and_finds_by_part_of_a_name(cli):
    assert len(cli("classes").out.splitlines()) == 150
    assert cli("classes", "person").out.split()[0] == "12"
    assert "vehicle means: car, bus, truck, van, minibike, bicycle" in cli("classes", "Vehicle").out


@pytest.mark.parametrize("word", ["20", "Cars"])
def test_classes_finds_what_the_options_take(cli, word):
    assert cli("classes", word).out.startswith(" 20  car, auto")


@pytest.mark.parametrize("words", [("run", "test", "-o", "o.mp4", "--limit", 1), ("classes",)])
def test_other_classes_for_a_model_that_has_its_own_are_refused(cli, words):
    result = cli(*words, "--label-set", "cityscapes")
    assert_one_line_error(result, "--label-set: is for network files, and m2f-mobile-ade knows its classes")


def test_classes_says_where_nothing_is_found(cli):
    assert_one_line_error(cli("classes", "fnce"), "unknown class 'fnce'; near: fence")


def test_presets_are_listed_and_shown_as_yaml(cli):
    assert "street" in cli("presets").out
    assert yaml.safe_load(cli("presets", "street").out)["legend"] is True


def test_the_schema_of_presets_is_printed(cli):
    assert json.loads(cli("presets", "--schema").out)["properties"]["view"]["default"] == "overlay"


def test_doctor_names_what_is_here(cli):
    result = cli("doctor")
    assert result.code == 0
    for word in (
        "python",
        "torch",
        "runtimes",
        "av",
        "opencv",
        "srt",
        "libx264",
        "hwaccel",
        "hw encoders",
        "display",
        "fai-m2f-n-ade",
        "presets",
        "cameras",
        "extras",
    ):
        assert word in result.out
    found = json.loads(cli("doctor", "--json").out)
    assert {"topic": "vidseg", "good": True, "text": __version__} in found


class Installed:
    """An installation with packages that are here, and others that never are."""

    metadata = Message()
    requires = ("typer>=0.1; extra == 'train'", "no-such-package>=1; extra == 'ray'", "no-such; extra == 'dev'")
    for extra in ("train", "ray", "dev"):
        metadata["Provides-Extra"] = extra


def test_doctor_fits_80_columns_and_says_how_to_get_what_is_not_installed(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    real = doctor.metadata.distribution
    monkeypatch.setattr(doctor.metadata, "distribution", lambda name: Installed() if name == "vidseg" else real(name))
    findings = [*doctor._extras(), doctor.Finding("display", "a word " * 30, good=False)]
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    shown = cli("doctor").out
    assert max(map(len, shown.splitlines())) <= 80 and "extras        ok      train" in shown
    assert "  no ray (batch --ray): pip install 'vidseg[ray]'\n" in shown and "no-such" not in shown
    for name, use in doctor.EXTRAS.items():  # the line can be copied
        assert len(f"no {name} ({use}): pip install 'vidseg[{name}]'") <= 58


def test_version_and_unknown_command(cli):
    import vidseg

    assert cli("--version").out.strip() == f"vidseg {vidseg.__version__}"
    assert cli("rum").code == 2


def fails(error):
    def app():
        raise error

    return app


@pytest.mark.parametrize(("name", "told"), [(None, "cannot be opened"), ("long", "long: cannot be opened")])
def test_a_name_that_is_impossible_is_told_where_it_is_known(cli, monkeypatch, name, told):
    monkeypatch.setattr("vidseg.cli.commands.app", fails(OSError(errno.ENAMETOOLONG, "File name too long", name)))
    result = cli("run")
    assert (result.code, result.err) == (2, f"vidseg: error: {told} (File name too long); give another name\n")


def test_what_a_gpu_lacks_is_told_in_one_line_and_other_errors_are_not_hidden(cli, monkeypatch):
    text = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB\nsee the documentation"
    monkeypatch.setattr("vidseg.cli.commands.app", fails(torch.OutOfMemoryError(text)))
    result = cli("doctor")
    advice = "give a smaller --imgsz or --batch, or -d cpu"
    assert result.code == 1 and result.err == f"vidseg: error: out of memory: CUDA out of memory; {advice}\n"
    error = RuntimeError("CUDA error: no kernel image is available\nmore")
    monkeypatch.setattr("vidseg.cli.commands.app", fails(error))
    result = cli("doctor")
    assert result.code == 1 and result.err.startswith("vidseg: error: this PyTorch has no kernels for this GPU; ")
    assert result.err.count("\n") == 1
    monkeypatch.setattr("vidseg.cli.commands.app", fails(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        cli("doctor")


def test_a_library_that_does_not_load_is_told_in_one_line_and_other_import_errors_are_not_hidden(cli, monkeypatch):
    def missing(text, **facts):
        def app():
            raise ImportError(text, **facts)

        return app

    broken = missing("libxcb.so.1: cannot open shared object file", name="av._core", path="/x/av/_core.so")
    monkeypatch.setattr("vidseg.cli.commands.app", broken)
    result = cli("doctor")
    assert result.code == 1 and "av._core cannot be loaded: libxcb" in result.err and result.err.count("\n") == 1
    monkeypatch.setattr("vidseg.cli.commands.app", missing("No module named 'nope'"))
    with pytest.raises(ImportError, match="nope"):
        cli("doctor")


def test_progress_line_leaves_out_what_is_unknown_or_zero():
    assert progress_line(Progress(0, 0.0), 40) == "0/40 frames"
    assert progress_line(Progress(10, 5.0), None) == "10 frames, 5.0 fps"
    assert progress_line(Progress(10, 5.0, dropped=3), 40) == "10/40 frames, 5.0 fps, 0:06 left, 3 dropped"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3723, "1:02:03")])
def test_clock_time(seconds, text):
    assert clock_time(seconds) == text


def test_a_lane_counts_one_and_several_in_words_and_has_a_rate_where_time_passed():
    one = LaneStats("a.mp4", decoded=1, shown=1, inferred=1, placeholders=1, reconnects=1)
    assert lane_line(one) == "a.mp4: 1 frame in, 1 shown, 1 segmented, 1 offline card, 1 reconnect"
    several = LaneStats("b", decoded=9, shown=5, inferred=3, dropped=4, placeholders=2, reconnects=2, seconds=2.0)
    assert lane_line(several) == (
        "b: 9 frames in, 5 shown (2.0 fps), 3 segmented, 4 dropped, 2 offline cards, 2 reconnects"
    )
