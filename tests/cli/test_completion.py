"""What a shell completes, and what is suggested for words that vidseg does not know."""

from __future__ import annotations

import pytest

from vidseg.cli.commands import app
from vidseg.cli.completion import completer
from vidseg.config import OPTIONS
from vidseg.option_words import nearest_options


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("vidseg run a.mp4 -m m2f-mo", "m2f-mobile-ade"),
        ("vidseg run a.mp4 --preset str", "street"),
        ("vidseg run a.mp4 --classes person,tr", "person,tree"),
        ("vidseg batch a --codec hev", "hevc"),
        ("vidseg eval data --device cu", "cuda"),
        ("vidseg render a b --view spl", "split"),
        ("vidseg train data --init pre", "pretrained"),
    ],
)
def test_each_shell_completes_values(monkeypatch, capsys, shell, line, word):
    words = line.split(" ")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("_VIDSEG_COMPLETE", f"complete_{shell}")
    with pytest.raises(SystemExit):
        app(prog_name="vidseg")
    assert word in capsys.readouterr().out


def test_class_names_with_spaces_are_escaped_for_bash_alone(monkeypatch):
    complete = completer("blur_classes")
    assert "car,traffic light" in complete("car,traff")
    monkeypatch.setenv("_VIDSEG_COMPLETE", "complete_bash")
    assert "car,traffic\\ light" in complete("car,traff")
    assert "car,car" not in complete("car,ca")


def test_all_words_that_are_completed_are_accepted():
    for name, entry in OPTIONS.items():
        complete = completer(name)
        if complete is not None and not entry.check.choices:
            assert complete(""), name
            for word in complete("")[:200]:
                entry.check(word)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("gpu", "device"),
        ("force", "overwrite"),
        ("transparency", "opacity"),
        ("anonymize", "blur_classes"),
        ("dowscale", "size"),
        ("strid", "stride"),
    ],
)
def test_an_option_is_suggested_by_what_it_means_before_how_it_is_spelled(word, meant):
    assert nearest_options(word, OPTIONS)[0] == meant


def test_an_unknown_flag_names_the_flag_that_the_command_has(cli):
    assert "--device" in cli("run", "a.mp4", "--gpu", "0").err
    assert "--out-dir" in cli("batch", "a.mp4", "--output-dir", "x").err
    assert "--steps" in cli("train", "a", "--epochs", "3").err
    assert "option --devic; did you mean --device or --codec?" in cli("bench", "--devic", "cpu").err
    assert "did you mean --vid-stride" in cli("run", "a.mp4", "--vid-strde", "3").err
    assert "did you mean --no-smooth" in cli("run", "a.mp4", "--no-smoot").err
    assert "did you mean" not in (nothing_near := cli("doctor", "--gpu").err) and "doctor -h" in nothing_near
