"""COCO's JSON: objects as polygons or run lengths, or panoptic PNGs.

The JSON itself, or a folder with `annotations/*.json` (COCO, CVAT, vidseg export-labels), `annotations.json`, or
`train/_annotations.coco.json` (Roboflow). Pixels of no object are the class "background"; of a panoptic PNG they are
unknown. Where objects overlap, the smaller one wins. An object with a box alone is unknown inside it.

Source: cocodataset.org, "Data format".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.data.formats.coco_masks import segmentation_mask
from vidseg.data.formats.layout import PART_NAMES, Layout, Pair, Part, refuse_absent
from vidseg.data.label_values import read_label_file
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, BoolArray, UInt8Array
from vidseg.labels import LabelSet, generated_palette
from vidseg.picture_size import HEADER_BYTES, picture_size

_BACKGROUND = "background"
_NO_MASKS = ("captions_", "person_keypoints_", "image_info_")
"""Files that lie beside those with masks in COCO's own downloads."""
_NAMES = ("annotations*.json", "*coco*.json", "instances*.json", "panoptic*.json")
_ROBOFLOW = "_annotations.coco.json"
_MOST = NO_LABEL - 1


@dataclass(frozen=True, slots=True)
class _Picture:
    """Its size, and its objects: for each the id, the number of its class and what its annotation says."""

    size_hw: tuple[int, int]
    objects: tuple[tuple[Any, int, dict[str, Any]], ...]


def find(path: Path, part: Part) -> Layout | None:
    """The data set of a JSON file, or in a folder of this layout; None for another.

    Raises:
        ConfigError: there are several JSON files of the wanted part, or one cannot be understood.
    """
    file = path if path.is_file() and path.suffix.casefold() == ".json" else _file_in(path, part)
    return None if file is None else _layout(file, path)


def _file_in(folder: Path, part: Part) -> Path | None:
    if not folder.is_dir():
        return None
    files = [path for path in (folder / "annotations").glob("*.json") if not path.name.startswith(_NO_MASKS)]
    files += [path for pattern in _NAMES for path in folder.glob(pattern)]
    files += list(folder.glob(f"*/{_ROBOFLOW}"))
    files = sorted({path for path in files if path.name[0] != "."})
    by_part = [[file for file in files if _part_of(file) == each] for each in (part, None, *PART_NAMES)]
    found = next((each for each in by_part if each), None)
    if found is None:
        return None
    if len(found) > 1:
        listed = ", ".join(str(file.relative_to(folder)) for file in found[:4]) + (", ..." if len(found) > 4 else "")
        raise ConfigError(f"{folder}: {len(found)} files may hold the labels: {listed}; give one of them as DATA")
    return found[0]


def _part_of(file: Path) -> Part | None:
    name = file.parent.name if file.name == _ROBOFLOW else file.stem
    return "train" if "train" in name else "val" if "val" in name else None


def _layout(file: Path, given: Path) -> Layout:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as JSON ({error}); export it again as COCO") from None
    try:
        categories = {each["id"]: str(each["name"]) for each in content["categories"]}
        images = {each["id"]: each for each in content["images"]}
        annotations = content["annotations"]
        panoptic = bool(annotations) and "segments_info" in annotations[0]
        classes, numbers = _classes(categories, file, background=not panoptic)
        pairs, read = (_panoptic if panoptic else _instances)(file, numbers, images, annotations)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file}: not COCO's JSON ({type(error).__name__}: {error}); expected images, annotations and categories"
        ) from None
    name, part = "COCO panoptic" if panoptic else "COCO", "" if file == given else file.name
    return Layout(name, _root(file), pairs, read, classes=classes, part=part)


def _classes(categories: dict[Any, str], file: Path, *, background: bool) -> tuple[LabelSet, dict[Any, int]]:
    """The classes, and for each category id the number of its class; None stands for pixels of no object."""
    names = list(dict.fromkeys(categories.values()))
    if background and not any(name.casefold() == _BACKGROUND for name in names):
        names.insert(0, _BACKGROUND)
    if not 1 <= len(names) <= _MOST:
        raise ConfigError(f"{file}: {len(names)} classes; accepted: 1 to {_MOST}")
    numbers: dict[Any, int] = {key: names.index(name) for key, name in categories.items()}
    numbers[None] = next((n for n, name in enumerate(names) if name.casefold() == _BACKGROUND), NO_LABEL)
    palette = generated_palette(len(names))
    return LabelSet(tuple(names), tuple(names), palette, "vidseg classes --weights FILE"), numbers


def _instances(
    file: Path, numbers: dict[Any, int], images: dict[Any, dict[str, Any]], annotations: Sequence[dict[str, Any]]
) -> tuple[tuple[Pair, ...], Callable[[Pair], UInt8Array]]:
    objects: dict[Any, list[tuple[Any, int, dict[str, Any]]]] = {key: [] for key in images}
    for each in annotations:
        kept: dict[str, Any] = {key: each[key] for key in ("segmentation", "bbox") if key in each}
        objects[each["image_id"]].append((each.get("id"), numbers[each["category_id"]], kept))
    if annotations and not any(each.get("segmentation") for each in annotations):
        raise ConfigError(f"{file}: contains boxes but no masks; export polygons or masks")
    keys = sorted(images, key=lambda key: str(images[key]["file_name"]))
    pictures = [_Picture((int(images[k]["height"]), int(images[k]["width"])), tuple(objects[k])) for k in keys]
    paths = _image_paths(file, [images[key] for key in keys])
    pairs = tuple(Pair(path.stem, path, file, number) for number, path in enumerate(paths))
    return pairs, partial(_read_objects, pictures=pictures, background=numbers[None])


def _read_objects(pair: Pair, *, pictures: Sequence[_Picture], background: int) -> UInt8Array:
    picture = pictures[pair.number]
    _refuse_other_size(pair, picture.size_hw)
    masks: list[tuple[BoolArray, int]] = []
    for key, number, annotation in picture.objects:
        try:
            masks.append(_mask(annotation, number, picture.size_hw))
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{pair.labels}: annotation {key} of {pair.image.name}: {error}; repair or remove it"
            ) from None
    masks.sort(key=lambda each: -int(np.count_nonzero(each[0])))
    numbers = np.full(picture.size_hw, background, dtype=np.uint8)
    for mask, number in masks:
        numbers[mask] = number
    return numbers


def _refuse_other_size(pair: Pair, size_hw: tuple[int, int]) -> None:
    """Raises ConfigError where the image says another size: before a mask as large as the JSON says is made."""
    with pair.image.open("rb") as file:
        size = picture_size(file.read(HEADER_BYTES))
    height, width = size_hw
    if size is not None and sorted(size) != sorted(size_hw):
        raise ConfigError(
            f"{pair.labels}: labels of {pair.image.name} are {width}x{height}, the image is {size[0]}x{size[1]}; "
            "make them of one size"
        )


def _mask(annotation: dict[str, Any], number: int, size_hw: tuple[int, int]) -> tuple[BoolArray, int]:
    """Where an object is, and its class; of a box alone it is unknown which of its pixels are the object's."""
    if annotation.get("segmentation"):
        return segmentation_mask(annotation["segmentation"], size_hw), number
    mask = np.zeros(size_hw, dtype=np.bool_)
    x, y, width, height = (float(value) for value in annotation.get("bbox") or (0, 0, 0, 0))
    mask[max(0, int(y)) : int(np.ceil(y + height)), max(0, int(x)) : int(np.ceil(x + width))] = True
    return mask, NO_LABEL


def _panoptic(
    file: Path, numbers: dict[Any, int], images: dict[Any, dict[str, Any]], annotations: Sequence[dict[str, Any]]
) -> tuple[tuple[Pair, ...], Callable[[Pair], UInt8Array]]:
    folder = file.with_suffix("")
    if not folder.is_dir():
        raise ConfigError(f"{file}: no folder {folder.name}/ beside it with the PNGs; unpack them there")
    ordered = sorted(annotations, key=lambda each: str(images[each["image_id"]]["file_name"]))
    paths = _image_paths(file, [images[each["image_id"]] for each in ordered])
    labels = [folder / str(each["file_name"]) for each in ordered]
    refuse_absent(file, [path.name for path in labels if not path.is_file()], len(labels), f"{folder.name}/")
    segments = [{int(s["id"]): numbers[s["category_id"]] for s in each["segments_info"]} for each in ordered]
    pairs = tuple(Pair(image.stem, image, label, n) for n, (image, label) in enumerate(zip(paths, labels, strict=True)))
    return pairs, partial(_read_segments, segments=segments)


def _read_segments(pair: Pair, *, segments: Sequence[dict[int, int]]) -> UInt8Array:
    stored = read_label_file(pair.labels)
    if stored.ndim != 3 or stored.dtype != np.uint8:
        raise ConfigError(f"{pair.labels}: not 8-bit colours, which are a segment's id in a panoptic PNG")
    blue, green, red = (stored[..., channel].astype(np.int64) for channel in range(3))
    ids, places = np.unique(red + 256 * green + 65536 * blue, return_inverse=True)
    known = {0: NO_LABEL, **segments[pair.number]}
    foreign = [key for key in ids.tolist() if key not in known]
    if foreign:
        raise ConfigError(
            f"{pair.labels}: contains segment {foreign[0]}, which the JSON does not list; use those that match"
        )
    return np.array([known[key] for key in ids.tolist()], dtype=np.uint8)[places].reshape(stored.shape[:2])


def _root(file: Path) -> Path:
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def _image_paths(file: Path, images: Sequence[dict[str, Any]]) -> list[Path]:
    """Where the pictures are: beside the JSON, in `images/`, or in a folder named as the JSON's part (`val2017/`)."""
    root, split = _root(file), file.stem.rsplit("_", 1)[-1]
    folders = [
        *(file.parent, file.parent / "images", root, root / "images", root / split, root / "images" / split),
        *(root / "JPEGImages", root / "data"),
    ]
    paths: list[Path] = []
    for image in images:
        name = str(image["file_name"])
        tried = (folder / each for each in dict.fromkeys((name, Path(name).name)) for folder in folders)
        found = next((path for path in tried if path.is_file()), None)
        if found is not None:
            folders.sort(key=lambda folder, found=found: folder not in found.parents)  # type: ignore[misc]
        paths.append(found or root / name)
    absent = [path.name for path in paths if not path.is_file()]
    refuse_absent(file, absent, len(paths), f"{root / split}/ or {root / 'images'}/")
    return paths
