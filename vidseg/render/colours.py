"""Other colours for classes: a built-in palette, a CSV file, or a colour for one class.

`vivid.csv` was made for ADE20K's classes. The 40 commonest differ by more than 20 (CIE 1976 dE in L*a*b*), and by more
than 10 for red-, green- and blue-blind eyes (Machado et al. 2009, doi 10.1109/TVCG.2009.113); every two of the 150
differ by more than 14; and each is 40 away from the mean of photographed pixels of its class, so that a wall
is not painted in the colour of walls.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from vidseg.errors import ConfigError, short_reason
from vidseg.labels import LabelSet, generated_palette
from vidseg.names import expand_user

Rgb = tuple[int, int, int]
VIVID = "vivid"
PALETTES = ("ade20k", VIVID)
"""Those that come with vidseg; the first leaves every class its own colour."""
_ACCEPTED = (
    "accepted: a CSV file with the columns name (or id) and colour (#RRGGBB or a name), or name (or id), r, g, b"
)
COLOUR_NAMES = {
    **{"black": "#000000", "white": "#ffffff", "silver": "#c0c0c0", "gray": "#808080", "grey": "#808080"},
    **{"red": "#ff0000", "maroon": "#800000", "orange": "#ffa500", "brown": "#a52a2a", "gold": "#ffd700"},
    **{"yellow": "#ffff00", "olive": "#808000", "lime": "#00ff00", "green": "#008000", "teal": "#008080"},
    **{"aqua": "#00ffff", "cyan": "#00ffff", "blue": "#0000ff", "navy": "#000080", "purple": "#800080"},
    **{"violet": "#ee82ee", "fuchsia": "#ff00ff", "magenta": "#ff00ff", "pink": "#ffc0cb"},
}
"""The names of CSS that people know."""
_COLOUR_COLUMNS = ("colour", "color", "hex")


def parse_colour(text: str) -> Rgb | None:
    """The colour of "#RRGGBB", "0xRRGGBB" or a word of `COLOUR_NAMES`; None where the text is none of these."""
    text = COLOUR_NAMES.get(text.strip().casefold(), text)
    found = re.fullmatch(r"(?:#|0x)([0-9a-fA-F]{6})", text.strip())
    if found is None:
        return None
    red, green, blue = bytes.fromhex(found[1])
    return red, green, blue


def painted(labels: LabelSet, palette: str | None, colours: Sequence[str] = ()) -> LabelSet:
    """The same classes in other colours.

    Args:
        palette: one of `PALETTES`, or a CSV file; classes that it does not name keep their colour. None: no change.
        colours: "NAME=#RRGGBB" or "NAME=red" for single classes, by name or id; they win over the palette.
    Raises:
        ConfigError: no such palette, file, class or colour.
    """
    table = labels.palette.copy()
    if palette == VIVID:
        vivid = dict(_rows(resources.files("vidseg.render").joinpath("vivid.csv").read_text(encoding="utf-8"), VIVID))
        known = {name: class_id for class_id, name in enumerate(labels.names)}
        if len(vivid.keys() & known.keys()) < len(known):  # other classes than ADE20K's
            table = generated_palette(len(labels))
        for name, colour in vivid.items():
            if name in known:
                table[known[name]] = colour
    elif palette is not None and palette not in PALETTES:
        for name, colour in _rows(_text_of(palette), palette):
            table[_find_all(labels, name, palette)] = colour
    for text in ",".join(colours).split(",") if colours else ():
        name, _, code = text.rpartition("=")
        found = parse_colour(code)
        if found is None or not name.strip():
            names = ", ".join(COLOUR_NAMES)
            raise ConfigError(f"--color is {text!r}; accepted: CLASS=COLOUR, the colour as #RRGGBB or one of {names}")
        table[_find_all(labels, name, "--color")] = found
    table.setflags(write=False)
    return replace(labels, palette=table)


def _find_all(labels: LabelSet, name: str, origin: str) -> list[int]:
    try:
        return labels.find_all([name])
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _text_of(path: str) -> str:
    try:
        return Path(expand_user(path)).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = short_reason(error, "it is not CSV in UTF-8")
        known = ", ".join(PALETTES)
        raise ConfigError(f"--palette {path}: cannot be read ({reason}); known: {known}, or a CSV file") from None


def _rows(text: str, origin: str) -> Iterator[tuple[str, Rgb]]:
    """Name (or id) and colour of each row; the name where there are both, for ids differ between networks."""
    try:
        reader = csv.DictReader(text.splitlines())
        columns = {(name or "").strip().casefold(): name for name in reader.fieldnames or ()}
        who = next((columns[key] for key in ("short_name", "name", "class", "id") if key in columns), None)
        code = next((columns[key] for key in _COLOUR_COLUMNS if key in columns), None)
        if who is None or (code is None and not {"r", "g", "b"} <= columns.keys()):
            raise ConfigError(f"--palette {origin}: has no such columns; {_ACCEPTED}")
        for row in reader:
            written = row[code] if code is not None else [row[columns[channel]] for channel in "rgb"]
            colour = _rgb(written)
            if colour is None:
                raise ConfigError(f"--palette {origin}, line {reader.line_num}: the colour is {written!r}; {_ACCEPTED}")
            yield row[who] or "", colour
    except csv.Error as error:
        raise ConfigError(f"--palette {origin}: cannot be read ({error}); {_ACCEPTED}") from None


def _rgb(written: str | list[str] | None) -> Rgb | None:
    if not isinstance(written, list):
        return parse_colour(written or "")
    values = [int(word) if word and re.fullmatch(r" *\d{1,3} *", word) else -1 for word in written]
    red, green, blue = values
    return (red, green, blue) if all(0 <= value <= 255 for value in values) else None
