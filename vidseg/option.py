"""The building blocks of the option table: `Option`, one entry, and `Check`, what its value may be.

A check converts the value to its type, or raises ValueError with what is accepted. It also carries the same rule as
a JSON schema, and the type of the command-line flag.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vidseg.address import parse_address
from vidseg.names import expand_user


@dataclass(frozen=True, slots=True)
class Check:
    """What an option accepts."""

    convert: Callable[[Any], Any]
    schema: Mapping[str, Any]
    """The same rule as a JSON schema."""
    kind: type = str
    """Type of the command-line flag: bool, int, float or str."""
    read_flag: Callable[[str], Any] | None = None
    """Converts the text of a flag to a value, where the value may have another type than the flag."""

    def __call__(self, value: Any) -> Any:
        """The converted value; raises ValueError with what is accepted."""
        return self.convert(value)

    @property
    def choices(self) -> tuple[str, ...]:
        """The accepted words, if only certain words are accepted."""
        return tuple(self.schema.get("enum", ()))


@dataclass(frozen=True, slots=True)
class Option:
    """One entry of the option table."""

    default: Any
    """None: the run decides."""
    check: Check
    help: str
    """May contain `{default}` and `{choices}` (the words that `check` accepts)."""
    metavar: str | None = None
    """May contain `{choices}`; None shows the type."""
    panel: str | None = None
    """Heading in the help."""
    also: tuple[str, ...] = ()
    """Flags beyond `--name` (and `--no-name`, for a switch): `-o`, `--alias`, `-y/-n`."""
    flag: bool = True
    """False: only for config files and Python."""
    switch_off: bool = True
    """Whether a switch also gets `--no-name`."""
    unset: str = ""
    """The default in words, where the run decides."""
    short: bool = False
    """Listed in the short help."""
    single: bool = False
    """Makes no sense for many files at once, so `vidseg batch` lacks it."""
    redraws: bool = False
    """Makes sense without a model, so `vidseg render` has it."""
    secret: bool = False
    """The value is never printed or written."""

    def texts(self) -> tuple[str, str | None]:
        """(help, metavar) with placeholders filled in."""
        shown = self.unset if self.default is None else str(self.default)
        if isinstance(self.default, bool):
            shown = "yes" if self.default else "no"
        elif isinstance(self.default, float):
            shown = f"{self.default:g}"
        said = self.help.format(default=shown, choices=", ".join(self.check.choices))
        return said, self.metavar and self.metavar.format(choices="|".join(self.check.choices))

    def flags(self, name: str) -> tuple[str, ...]:
        """All its flags, `--name` first."""
        dashed = name.replace("_", "-")
        long = f"--{dashed}/--no-{dashed}" if self.check.kind is bool and self.switch_off else f"--{dashed}"
        return (long, *self.also)


def option(default: Any, check: Check, help_text: str, metavar: str | None = None, **more: Any) -> Any:
    """Declares a field of an option table (a dataclass); `more` as in `Option`."""
    return field(default=default, metadata={"option": Option(default, check, help_text, metavar, **more)})


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value):
        raise ValueError("non-empty text")
    return str(value)


def choice(*known: str) -> Check:
    """One of these words."""

    def convert(value: Any) -> str:
        if value not in known:
            raise ValueError(" | ".join(known))
        return str(value)

    return Check(convert, {"enum": list(known)})


def integer(low: int, high: int) -> Check:
    """A whole number from low to high."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return Check(convert, {"type": "integer", "minimum": low, "maximum": high}, int)


def number(low: float, high: float, *, above: bool = False) -> Check:
    """A number from low to high, without low itself if `above`."""

    def convert(value: Any) -> float:
        accepted = f"a number above {low:g}, at most {high:g}" if above else f"a number from {low:g} to {high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(accepted)
        if not low <= value <= high or (above and value == low):
            raise ValueError(accepted)
        return float(value)

    return Check(convert, {"type": "number", "exclusiveMinimum" if above else "minimum": low, "maximum": high}, float)


def _class_list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
        if not any(word.strip() for word in value):  # an unset shell variable must not mean "hide nothing"
            raise ValueError("class names or ids, separated by commas; in a YAML file, [] for none")
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple) or any(isinstance(v, bool) or not isinstance(v, str | int) for v in value):
        raise ValueError("class names or ids, separated by commas, e.g. person,car,20")
    return tuple(word for word in (str(v).strip() for v in value) if word)


def _texts(value: Any) -> tuple[str, ...]:
    try:
        return tuple(map(_text, value if isinstance(value, list | tuple) else [value]))
    except ValueError:
        raise ValueError("text, or a list of texts") from None


def _address(value: Any) -> str:
    return str(parse_address(str(value)))


def matching(pattern: str, accepted: str) -> Check:
    """Text that matches the whole pattern."""

    def convert(value: Any) -> str:
        text = "" if isinstance(value, bool) else str(value)
        if not re.fullmatch(pattern, text):
            raise ValueError(accepted)
        return text

    return Check(convert, {"type": "string", "pattern": f"^(?:{pattern})$"})


def _int_or_text(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def whole_or(word: str, low: int, high: int, *, keep_text: bool = False) -> Check:
    """A whole number, or the word. With `keep_text`, numbers may be given as text and are returned as text."""
    whole_number = integer(low, high)

    def convert(value: Any) -> int | str:
        if value == word:
            return word
        try:
            whole = whole_number(int(value) if keep_text and isinstance(value, str) and value.isdecimal() else value)
        except ValueError as error:
            raise ValueError(f"{error}, or {word}") from None
        return str(whole) if keep_text else int(whole)

    digits = [{"type": "string", "pattern": r"^\d+$"}] if keep_text else []
    return Check(convert, {"anyOf": [whole_number.schema, {"const": word}, *digits]}, str, _int_or_text)


def number_or(word: str, low: float, high: float) -> Check:
    """A number, possibly as text, or the word."""
    plain = number(low, high)

    def convert(value: Any) -> float | str:
        if value == word:
            return word
        try:
            return float(plain(float(value) if isinstance(value, str) else value))
        except ValueError:
            raise ValueError(f"a number from {low:g} to {high:g}, or {word}") from None

    digits = {"type": "string", "pattern": r"^\s*[+-]?[\d_.]+([eE][+-]?\d+)?\s*$"}
    return Check(convert, {"anyOf": [plain.schema, {"const": word}, digits]})


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_TIME = r"(-?)(?:(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:\.\d*)?)|(\d+(?:\.\d*)?|\.\d+)([smh]?))"
_LONGEST_SECONDS = 10_000_000


def moment(*, length: bool = False) -> Check:
    """A time in seconds, as a number, [HH:]MM:SS.mmm, or with a unit, such as 90s; comes out as a number.

    Args:
        length: it is a length of time, above 0.
    """
    accepted = "seconds, [HH:]MM:SS.mmm, or a number with s, m or h, such as 90, 1:30 or 1h"
    accepted += ", above 0" if length else ""

    def convert(value: Any) -> float:
        text = f"{value:.6f}" if isinstance(value, float) else "" if isinstance(value, bool) else str(value).strip()
        found = re.fullmatch(_TIME, text, re.ASCII)
        if found is None:
            raise ValueError(accepted)
        sign, hours, minutes, rest, plain, unit = found.groups()
        if plain is None:
            seconds = int(hours or 0) * 3600 + int(minutes) * 60 + float(rest)
        else:
            seconds = float(plain) * _UNITS[unit]
        if seconds > _LONGEST_SECONDS or (length and (sign or not seconds)):
            raise ValueError(accepted)
        return round(-seconds if sign else seconds, 6)  # a microsecond: 1:00.1 stays what it is

    return Check(convert, {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^(?:{_TIME})$"}]})


def _quarter_turns(value: Any) -> int:
    if isinstance(value, bool) or value not in (90, 180, 270):
        raise ValueError("90, 180 or 270")
    return int(value)


_BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def bytes_of(text: str) -> int | None:
    """The bytes that a text such as 2GB or 500 MB says; None for another text."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMGT]B)", text, re.ASCII)
    return None if found is None else int(float(found[1]) * _BYTES[found[2]])


def _time_or_size(value: Any) -> str:
    text = "" if isinstance(value, bool) else str(value)
    try:
        if not bytes_of(text):
            moment(length=True)(text)
    except ValueError:
        raise ValueError("a time such as 1h, 30m or 90 (seconds), or a size such as 2GB or 500MB") from None
    return text


_WORD = {"type": ["string", "integer"], "minLength": 1}
FLAG = Check(_flag, {"type": "boolean"}, bool)
TEXT = Check(_text, _WORD)
PATH = Check(lambda value: expand_user(_text(value)), _WORD)
"""`~` at its start is the home folder: a shell expands it only where a word begins with it."""
TEXTS = Check(_texts, {"anyOf": [_WORD, {"type": "array", "items": _WORD}]})
"""One text or a list, possibly empty; commas are part of a text."""
CLASS_LIST = Check(
    _class_list,
    {"type": ["string", "integer", "array"], "pattern": r"[^,\s]", "items": {"type": ["string", "integer"]}},
)
"""Class names or ids: a list, possibly empty, or text with commas that names at least one."""
QUARTER_TURNS = Check(_quarter_turns, {"type": "integer", "minimum": 90, "maximum": 270, "multipleOf": 90}, int)
ADDRESS = Check(_address, {"type": ["string", "integer"]})
"""An address to listen on, as `parse_address` reads it."""
TOKEN = matching(r"[A-Za-z0-9_.~-]{8,128}", "8 to 128 letters, digits and _ . ~ -")
_SIZE = r"[1-9]\d{0,4}(?:x[1-9]\d{0,4})?|(?=[\d.]*[1-9])\d{1,4}(?:\.\d+)?%"
PICTURE_SIZE = Check(
    matching(_SIZE, "a width such as 640, a size to fit into such as 640x360, or a share such as 50%").convert,
    {"type": ["string", "integer"], "pattern": f"^(?:{_SIZE})$"},
)
CROP = matching(
    r"[1-9]\d{0,4}x[1-9]\d{0,4}\+\d{1,5}\+\d{1,5}", "WIDTHxHEIGHT+LEFT+TOP in pixels, such as 640x360+0+120"
)
TIME_OR_SIZE = Check(_time_or_size, {"type": ["string", "number"]})
FRAME_SIZE = matching(r"[1-9]\d{1,4}x[1-9]\d{1,4}", "a size such as 1280x720")
HWACCEL = choice("none", "auto", "cuda", "videotoolbox", "vaapi")
"""What decodes video: software, any hardware decoder, or one kind of hardware decoder."""


def _device(value: Any) -> str:
    text = str(TEXT(value))
    return f"cuda:{text}" if text.isascii() and text.isdecimal() else text


DEVICE = Check(_device, TEXT.schema)
"""A device; a bare number means that CUDA device."""

_PRECISION = choice("auto", "float32", "float16", "bfloat16", "half", "int8")
_PRECISION_WORDS = {
    "fast": "auto",
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "32": "float32",
    "16": "half",
}
PRECISION = Check(
    lambda value: _PRECISION(_PRECISION_WORDS.get(value, value) if isinstance(value, str) else value),
    {"enum": [*_PRECISION.choices, *_PRECISION_WORDS]},
)
"""A number format of the network, or a common word for one; "auto": the fastest that keeps the labels; "half":
bfloat16 on a CPU, else float16."""
