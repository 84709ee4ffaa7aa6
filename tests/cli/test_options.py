"""How commands are made from the table of options."""

import typer
from typer.testing import CliRunner

from vidseg.cli.options import argument, flag, flags_of, made_of, run_options
from vidseg.config import OPTIONS


def made(*parameters):
    got = {}

    @made_of(*parameters)
    def command(given):
        """What it does."""
        got.update(given)

    app = typer.Typer()
    app.command()(command)
    return app, got


def test_a_command_gets_what_was_given_by_name_and_none_for_the_rest():
    app, got = made(
        argument("source", str, "CLIP", "A clip.", ...),
        *run_options(("imgsz", "smooth", "overwrite", "quiet", "stride")),
        flag("jobs", int, "At once.", also=("-j",), default=2, min=1),
    )
    result = CliRunner().invoke(app, ["a.mp4", "--im-size", "64", "--no-smooth", "-n", "--stride", "3"])
    assert result.exit_code == 0, result.output
    assert got == {
        "source": "a.mp4",
        "imgsz": "64",
        "smooth": False,
        "overwrite": False,
        "quiet": None,
        "stride": "3",
        "jobs": 2,
    }
    assert flags_of(got, ("imgsz", "stride", "smooth")) == {"imgsz": 64, "stride": 3, "smooth": False}
    assert CliRunner().invoke(app, []).exit_code == 2
    assert CliRunner().invoke(app, ["a.mp4", "--no-quiet"]).exit_code == 2
    assert "--jobs" in CliRunner().invoke(app, ["a.mp4", "--jobs", "0"]).output


def test_help_comes_from_the_table_below_its_headings_but_for_texts_of_the_command():
    shown = CliRunner().invoke(made(*run_options(("imgsz", "stride")))[0], ["--help"], env={"COLUMNS": "200"}).output
    assert "Model" in shown and "Frames" in shown and "default depends on model and device" in shown
    app, _ = made(*run_options(("imgsz", "stride"), panels=False, imgsz="My own words."))
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "Model" not in shown and "My own words." in shown and "by model" not in shown


def test_the_config_file_stands_after_the_preset():
    assert [item.name for item in run_options(("preset", "quiet"), config_file=True)] == ["preset", "config", "quiet"]


def test_a_word_of_an_option_that_takes_numbers_too_stays_a_word():
    assert flags_of({"stride": "auto", "reconnect": "-1", "codec": "3"}) == {
        "stride": "auto",
        "reconnect": -1,
        "codec": "3",
    }


def test_the_short_help_is_short():
    assert 10 <= sum(entry.short for entry in OPTIONS.values()) <= 18
