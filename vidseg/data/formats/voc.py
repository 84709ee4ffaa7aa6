"""Pascal VOC's segmentation, and what has its layout: CVAT's "Segmentation mask 1.1", labelme's labelme2voc.

`JPEGImages/` (or `images/`), `SegmentationClass/` with a PNG for each labelled picture: palette or grey values, or
colours; `ImageSets/Segmentation/PART.txt` with their names. `labelmap.txt` (CVAT) or `class_names.txt` (labelme) names
the classes; without one they are VOC's 21. The value 255 and VOC's border colour are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from vidseg.data.formats.colours import ColourTable, find_table, has_colours, read_colours_or_values
from vidseg.data.formats.layout import Layout, Pair, Part, chosen_part, is_image, refuse_above, refuse_absent
from vidseg.errors import ConfigError
from vidseg.frames import UInt8Array
from vidseg.known_labels import known_labels, voc_palette
from vidseg.labels import LabelSet

_LABELS = ("SegmentationClass", "SegmentationClassPNG")
_IMAGES = ("JPEGImages", "images")
_LISTS = Path("ImageSets") / "Segmentation"
_BORDER = (224, 224, 192)
"""Colour of the value 255 in VOC's palette."""


def find(path: Path, part: Part) -> Layout | None:
    """The data set in a folder of this layout, or the list of a part of it (`.../train.txt`); None for another.

    Raises:
        ConfigError: there are no images, labels without images, or the table of classes cannot be read.
    """
    root, chosen = path, None
    if path.suffix == ".txt" and path.is_file() and path.parent.name == _LISTS.name:
        root, chosen = path.parent.parent.parent, path
    labels = next((root / name for name in _LABELS if (root / name).is_dir()), None)
    if labels is None:
        return None
    images = next((root / name for name in _IMAGES if (root / name).is_dir()), None)
    if images is None:
        raise ConfigError(
            f"{root}: has {labels.name}/, but no JPEGImages/ with the images; put them there (CVAT: export with "
            '"Save images")'
        )
    found = find_table(root)
    classes = known_labels("voc") if found is None else found[0]
    coloured = found is None or has_colours(found[1])
    if coloured and classes.palette[-1].tolist() == list(_BORDER):  # CVAT and Datumaro list it, as "ignored"
        classes = LabelSet(classes.names[:-1], classes.full_names[:-1], classes.palette[:-1], classes.listed_by)
    table = ColourTable(classes if coloured else _in_voc_colours(classes), str(root), unknown=(_BORDER,))
    name = f"Pascal VOC ({labels.name}{f', {found[1].name}' if found is not None else ''})"
    if chosen is None:
        chosen = _list_of(root / _LISTS, part)
    pairs = _pairs(root, images, labels, None if chosen is None else _names_in(chosen))
    read = partial(_read, table=table, count=len(classes))
    told = "" if chosen is None else str(chosen.relative_to(root))
    return Layout(name, root, pairs, read, classes=classes, part=told)


def _list_of(folder: Path, part: Part) -> Path | None:
    """The list of the wanted part; None where the folder has none for it, and all is meant."""
    names = {path.stem for path in folder.glob("*.txt") if path.name[0] != "."}
    name = chosen_part(names, part) or (min(names) if len(names) == 1 else None)
    return None if name is None else folder / f"{name}.txt"


def _names_in(path: Path) -> list[str]:
    try:
        return [line.strip().strip('"') for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); expected the name of one image per line") from None


def _pairs(root: Path, images: Path, labels: Path, listed: Iterable[str] | None) -> tuple[Pair, ...]:
    """Of the listed names that have labels, or of all labels."""
    there = _by_name(labels, labels.rglob("*.png"))
    names = sorted(there if listed is None else there.keys() & set(listed))
    if not names:
        raise ConfigError(f"{labels}: no PNG for any listed image; expected one for each name in {_LISTS}/")
    pictures = _by_name(images, (path for path in images.rglob("*") if is_image(path)))
    refuse_absent(root, [name for name in names if name not in pictures], len(names), f"{images.name}/")
    return tuple(Pair(Path(name).name, pictures[name], there[name]) for name in names)


def _by_name(folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    """Files by their path in the folder, without the ending: as the lists name them."""
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files if file.name[0] != "."}


def _in_voc_colours(labels: LabelSet) -> LabelSet:
    return LabelSet(labels.names, labels.full_names, voc_palette(len(labels)), labels.listed_by)


def _read(pair: Pair, *, table: ColourTable, count: int) -> UInt8Array:
    return refuse_above(pair.labels, read_colours_or_values(pair.labels, table), count, "its table of classes")
