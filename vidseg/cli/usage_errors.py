"""What the command-line library refuses, as errors of one line: unknown commands and flags, values of a wrong type."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from vidseg.config import SECRETS
from vidseg.errors import ConfigError
from vidseg.names import expand_user, shown_name, url_scheme
from vidseg.option_words import nearest_options

_COMMANDS = {
    "run": ("predict", "segment", "annotate", "infer", "inference", "detect", "track", "process", "play", "show"),
    "eval": ("val", "validate", "evaluate", "test"),
    "bench": ("benchmark", "speed", "profile"),
    "doctor": ("checks", "check", "env", "info", "settings"),
    "export": ("convert",),
    "batch": ("many", "folder"),
    "models": ("model", "list", "zoo"),
    "-h": ("help",),
    "--version": ("version",),
}
"""Common names of commands in other tools."""
_SOURCE_FLAGS = ("-i", "--input", "--source", "--src", "--file", "--video")


def one_line(raised: Exception, ctx: Any, words: Sequence[str]) -> Exception:
    """The library's error as a ConfigError; another exception, and the request for help, as they are.

    Args:
        ctx: of the command.
        words: what followed the command.
    """
    error: Any = raised
    if not hasattr(error, "format_message") or type(error).__name__ == "NoArgsIsHelpError":
        return raised
    lists = "--help-all" if any("--help-all" in param.opts for param in ctx.command.params) else "-h"
    if hasattr(error, "possibilities"):
        text = _unknown_option(ctx, _as_written(error.option_name, words), words)
    elif hasattr(error, "option_name"):
        text = f"{error.option_name} " + ("needs a value" if "requires" in error.message else "takes no value")
    elif type(error).__name__ == "MissingParameter":
        name = error.param.opts[0]
        text = f"{name if name[0] == '-' else error.param.metavar or name.upper()} is missing"
    elif getattr(error, "param", None) is not None:
        text = _wrong_value(error, ctx, words)
    else:
        text = error.format_message()
        text = text[:1].lower() + text[1:].removesuffix(".")
        if "extra argument" in text and (found := _lists_in(ctx, words)):
            text += f"; separate the values of {found[0]} with commas: A,B"
    return ConfigError(text if ";" in text else f"{text}; see `{_path(ctx)} {lists}`")


def unknown_command(word: str, ctx: Any) -> ConfigError:
    """The error for a word that is no command of the group."""
    known = [name for name, command in ctx.command.commands.items() if not command.hidden]
    if "run" in known and ("." in word or url_scheme(word) or os.path.lexists(expand_user(word))):
        return ConfigError(f"{word} is not a command; to segment it: {_path(ctx)} run {word}")
    meant = [name for name, words in _COMMANDS.items() if word in words and (name in known or name[0] == "-")]
    near = (meant or nearest_options(word, known))[:1]
    instead = f"`{_path(ctx)} {near[0]}`" if near else f"`{_path(ctx)} -h` lists all"
    return ConfigError(f"unknown command '{word}'; {'did you mean ' + instead + '?' if near else instead}")


def _path(ctx: Any) -> str:
    """The command as it is written, however Python was started."""
    return " ".join(("vidseg", *ctx.command_path.removeprefix(ctx.find_root().command_path).split()))


def _unknown_option(ctx: Any, word: str, words: Sequence[str]) -> str:
    text = f"unknown option {word}"
    params = ctx.command.params
    if word in _SOURCE_FLAGS and any(param.name == "source" for param in params):
        value = next((value for _, value in _values((word,), words)), "clip.mp4")
        return f"{text}; the source needs no flag: {_path(ctx)} {value}"
    commands = getattr(ctx.command, "commands", {})
    for name, command in commands.items():
        if any(word in param.opts for param in command.params):
            return f"{text}; options of a command follow it: {_path(ctx)} {name} {word}"
    bare = word.lstrip("-").replace("-", "_")
    flags = [(flag, param) for param in params for flag in (*param.opts, *param.secondary_opts)]
    names = {flag[2:].replace("-", "_"): (flag, param.name) for flag, param in flags if flag[:2] == "--"}
    letter = [name for name in names if len(bare) == 1 and name[0] == bare.lower()]
    near: dict[str, str] = {}  # of an option's flags the nearest
    for name in letter if len(letter) == 1 else nearest_options(bare, names):
        flag, option = names[name]
        near.setdefault(option, flag)
    instead = f"{text}; did you mean {' or '.join(near.values())}?" if near else text
    siblings = getattr(ctx.parent.command, "commands", {}) if ctx.parent is not None and word[:2] == "--" else {}
    having = [name for name, each in siblings.items() if any(word in param.opts for param in each.params)]
    return f"{instead}{'' if near else ';'} `{_path(ctx.parent)} {having[0]}` has {word}" if having else instead


def _as_written(option: str, words: Sequence[str]) -> str:
    """The word that a flag was read from: the library reads -ss as -s -s."""
    if option.startswith("--"):
        return option
    return next((word for word in words if word[:1] == "-" != word[1:2] and option[1:] in word), option)


def refuse_repeated(ctx: Any, words: Sequence[str]) -> None:
    """Raises ConfigError if an option that takes one value is given several.

    Args:
        ctx: of the command.
        words: what followed the command.
    """
    found: dict[str, tuple[Any, dict[str, str]]] = {}
    for param, flag, value in _given(ctx, words):
        if not param.multiple:
            found.setdefault(param.name, (param, {}))[1].setdefault(value, flag)
    for name, (param, flags) in found.items():
        if len(flags) > 1:
            shown = (flag if name in SECRETS else f"{flag} {shown_name(value)}" for value, flag in flags.items())
            listed = f"separate them with commas: {param.opts[0]} {','.join(map(shown_name, flags))}"
            instead = listed if "," in (param.metavar or "") else "only one is accepted; leave out the rest"
            raise ConfigError(f"{' and '.join(shown)}: {instead}")


def _wrong_value(error: Any, ctx: Any, words: Sequence[str]) -> str:
    param = error.param
    given = [(flag, value) for each, flag, value in _given(ctx, words) if each is param]
    flag, value = given[-1] if given else (param.opts[-1], None)
    least, most = (getattr(param, end, getattr(getattr(param, "type", None), end, None)) for end in ("min", "max"))
    numbers = {"integer": "a whole number", "number": "a number"}
    accepted = next((text for word, text in numbers.items() if word in error.message), None)
    accepted = accepted if least is None else f"a whole number from {least} to {most}"
    if value is None or accepted is None:
        return f"{flag}: {error.message[:1].lower()}{error.message[1:].removesuffix('.')}"
    return f"{flag} is '{value}'; accepted: {accepted}"


def _given(ctx: Any, words: Sequence[str]) -> Iterator[tuple[Any, str, str]]:
    """(option, flag, value) of each option with a value: --jobs 4, --jobs=4, -j 4, -j4, or behind switches -yj4."""
    params = {
        flag: param
        for param in ctx.command.params
        if param.param_type_name == "option"
        for flag in (*param.opts, *param.secondary_opts)
    }
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        flag, equals, value = word.partition("=")
        if not word.startswith("--"):
            switches = "".join(flag[1] for flag, param in params.items() if flag[1] != "-" and param.is_flag)
            letters = word[1:].lstrip(switches) if word[:1] == "-" else ""
            flag, equals, value = f"-{letters[:1]}", letters[1:], letters[1:]
        if flag in params and not params[flag].is_flag:
            found = value if equals else next(rest, None)
            if found is not None:
                yield params[flag], flag, found


def _values(flags: Sequence[str], words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(flag, value) wherever the words give one of the flags a value."""
    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in flags and (equals or number + 1 < len(words)):
            yield flag, value if equals else words[number + 1]


def _lists_in(ctx: Any, words: Sequence[str]) -> list[str]:
    """The options among the words that take a list with commas."""
    taking = {flag for param in ctx.command.params if getattr(param, "metavar", None) == "A,B" for flag in param.opts}
    return [word for word in words if word in taking]
