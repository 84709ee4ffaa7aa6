"""Which classes of the model count as which classes of a benchmark: tables in `mappings/`, or a user's own YAML."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.labels import ade20k


@dataclass(frozen=True, eq=False)
class ClassMapping:
    """Coarser classes, each made of some class ids."""

    names: tuple[str, ...]
    table: UInt8Array
    """(256,) class id -> number of the coarser class, or `NO_LABEL`."""

    def apply(self, label_map: UInt8Array) -> UInt8Array:
        """Label map of coarser classes, of the same shape."""
        return self.table[label_map]


@cache
def mapping_names() -> tuple[str, ...]:
    """The mappings that come with vidseg."""
    folder = resources.files("vidseg.data") / "mappings"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def read_mapping(name: str) -> ClassMapping:
    """The mapping of this name, or of this YAML file: `classes: {NAME: [id or ADE20K name, ...], ...}`.

    Raises:
        ConfigError: no such name or file, or it does not hold a mapping of known classes, each used once.
    """
    if name in mapping_names():
        text = (resources.files("vidseg.data") / "mappings" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            known = ", ".join(mapping_names())
            raise ConfigError(f"--mapping {name}: no such mapping or file; known: {known}, or a YAML file") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        content = None
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(classes, dict) or not classes:
        raise ConfigError(f"{name}: not a mapping; accepted: YAML with 'classes: {{NAME: [class id, ...], ...}}'")
    return _mapping(name, classes)


def _mapping(origin: str, classes: dict[Any, Any]) -> ClassMapping:
    labels = ade20k()
    table = np.full(256, NO_LABEL, dtype=np.uint8)
    for number, (name, members) in enumerate(classes.items()):
        if not isinstance(members, list) or not members or not all(isinstance(m, int | str) for m in members):
            raise ConfigError(f"{origin}: class '{name}' is {members!r}; accepted: a list of class ids or names")
        for member in members:
            try:
                class_id = labels.find(member)
            except ConfigError as error:
                raise ConfigError(f"{origin}: class '{name}': {error}") from None
            if table[class_id] != NO_LABEL:
                raise ConfigError(f"{origin}: class id {class_id} is listed twice; each counts as one class")
            table[class_id] = number
    table.setflags(write=False)
    return ClassMapping(tuple(map(str, classes)), table)
