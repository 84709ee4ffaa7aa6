"""What shells complete as the values of options: names of models, presets, classes, codecs and devices.

Loads neither torch nor a model, since a shell waits for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from vidseg.config import OPTIONS
from vidseg.option import CLASS_LIST

CODECS = (
    *("h264", "hevc", "av1", "vp9", "ffv1", "mjpeg", "prores", "libx264", "libx265", "libsvtav1", "libvpx-vp9"),
    *("h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_qsv", "hevc_qsv", "h264_videotoolbox", "hevc_videotoolbox"),
)


def completer(name: str) -> Callable[[str], list[str]] | None:
    """Takes the beginning of a value of the option `name` and gives what it may become; None: files."""
    entry = OPTIONS.get(name)
    if entry is not None and entry.check is CLASS_LIST and name != "color":
        return _class_lists
    if name in _WORDS:
        return one_of(_WORDS[name])
    choices = () if entry is None else entry.check.choices
    return one_of(lambda: choices) if choices else None


def one_of(words: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """Takes the beginning of a value and gives those of the words that it may become."""

    def complete(incomplete: str) -> list[str]:  # typer goes by the name of the parameter
        return [word for word in words() if word.startswith(incomplete)]

    return complete


def _models() -> list[str]:
    from vidseg.zoo.registry import entries

    return [entry.name for entry in entries()]


def _presets() -> list[str]:
    from vidseg.presets import preset_names

    return preset_names()


def _devices() -> list[str]:
    """Those that are worth trying; CUDA devices by their files, since asking torch takes seconds."""
    numbers = sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return ["auto", "cpu", "cuda", *(f"cuda:{number}" for number in numbers), "mps"]


def _mappings() -> list[str]:
    from vidseg.data.mapping import mapping_names

    return list(mapping_names())


def _class_lists(incomplete: str) -> list[str]:
    """The list so far, with each class that its last word may become; classes in the list are left out."""
    from vidseg.labels import GROUPS, ade20k

    before, comma, last = incomplete.rpartition(",")
    taken = {word.strip() for word in before.split(",")}
    found = [name for name in (*ade20k().names, *GROUPS) if name.startswith(last) and name not in taken]
    escaped = os.environ.get("_VIDSEG_COMPLETE", "").endswith("bash")  # the other shells escape by themselves
    return [before + comma + (name.replace(" ", "\\ ") if escaped else name) for name in dict.fromkeys(found)]


_WORDS: dict[str, Callable[[], Iterable[str]]] = {
    "model": _models,
    "init": lambda: ["pretrained", *_models()],
    "preset": _presets,
    "device": _devices,
    "codec": lambda: CODECS,
    "mapping": _mappings,
    "val_mapping": _mappings,
    "label_set": lambda: ("ade20k", "cityscapes", "voc", "coco"),
    "palette": lambda: ("ade20k", "vivid"),
    "background": lambda: ("blur", "grey"),
}
