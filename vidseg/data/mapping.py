"""Which classes of the model count as which classes of a benchmark: tables in `mappings/`, or a user's own YAML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.data.label_sets import ClassSet
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.labels import ade20k
from vidseg.yaml_file import parse_yaml, read_yaml


@dataclass(frozen=True, eq=False)
class ClassMapping:
    """Coarser classes, each made of some class ids."""

    names: tuple[str, ...]
    table: UInt8Array
    """(256,) class id -> number of the coarser class, or `NO_LABEL`."""

    def counts(
        self, counts: npt.NDArray[np.int64], sets: Sequence[ClassSet]
    ) -> tuple[npt.NDArray[np.int64], tuple[ClassSet, ...]]:
        """Pixels (256, C+1) by coarser label value and coarser prediction, and the coarser sets.

        A set is unknown when one of its classes has no coarser class: finding that one would be right too.

        Args:
            counts: (256, K+1), see `vidseg.metrics.label_counts`.
            sets: label value K + n stands for `sets[n]`.
        """
        num_classes, count = counts.shape[1] - 1, len(self.names)
        rows, coarser = self.table.copy(), list[ClassSet]()
        for number, members in enumerate(sets):
            found = tuple(sorted(set(self.table[list(members)].tolist())))
            if NO_LABEL in found:
                value = NO_LABEL
            elif len(found) == 1:
                value = found[0]
            else:
                coarser += [] if found in coarser else [found]
                value = count + coarser.index(found)
            rows[num_classes + number] = value
        columns = np.minimum(np.append(self.table[:num_classes], NO_LABEL), count)
        mapped = np.zeros((256, count + 1), dtype=np.int64)
        np.add.at(mapped, (rows[:, None], columns[None]), counts)
        return mapped, tuple(coarser)


@cache
def groups() -> dict[str, tuple[int, ...]]:
    """Groups of ADE20K's classes that are told apart more often than the classes are, by name; they may overlap."""
    text = (resources.files("vidseg.data") / "groups.yaml").read_text(encoding="utf-8")
    content = parse_yaml(text, "groups.yaml", accepted="class ids by name")
    return {name: tuple(ids) for name, ids in content.items()}


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
    accepted = "accepted: YAML with 'classes: {NAME: [class id, ...], ...}'"
    if name in mapping_names():
        text = (resources.files("vidseg.data") / "mappings" / f"{name}.yaml").read_text(encoding="utf-8")
        content = parse_yaml(text, name, accepted=accepted)
    elif not Path(name).exists():
        known = ", ".join(mapping_names())
        raise ConfigError(f"--mapping {name}: no such mapping or file; known: {known}, or a YAML file")
    else:
        content = read_yaml(Path(name), missing="no such file", accepted=accepted)
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(classes, dict) or not classes:
        raise ConfigError(f"{name}: not a mapping; {accepted}")
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
                raise ConfigError(f"{origin}: class id {class_id} is listed twice; each belongs to one class only")
            table[class_id] = number
    table.setflags(write=False)
    return ClassMapping(tuple(map(str, classes)), table)
