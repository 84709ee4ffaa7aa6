"""What vidseg knows about each model by name: facts from `registry.yaml`, and the cards of bundled weights.

Pure data: neither torch nor the network is touched, so that a listing is quick.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vidseg.errors import ModelError
from vidseg.yaml_file import read_yaml

_FOLDER = Path(__file__).parent
_WEIGHTS = _FOLDER / "weights"


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelEntry:
    """The facts about one model. One object per model and process, so entries compare by identity."""

    name: str
    aliases: tuple[str, ...]
    """Other names the same model goes by."""
    family: str
    """Kind of network: "mask2former" or "bisenetformer"."""
    description: str
    parameters: int
    """Learnable numbers, without batch-norm statistics."""
    miou: float | None
    """Percent on ADE20K validation as published, None where nobody measured it."""
    miou_source: str | None
    url: str | None
    """Where the weights were published, None for bundled weights and for weights never published."""
    bundled: str | None
    """File name of the weights that come with vidseg."""
    int8: str | None
    """File name of the int8 version of the bundled weights."""
    sha256: str | None
    size: int | None
    """Bytes of the weights file, None where unknown."""
    licence: str
    licence_note: str
    imgsz: Mapping[str, int]
    """Default inference size, long side in pixels, for "cpu" and "cuda"."""
    short_side: int | None
    """Short side in pixels that the published mIoU was measured at; then the default size, but for video on a CPU."""
    probe: Mapping[str, tuple[int, ...]]
    """State-dict keys and shapes that together fit this model and no other known one."""

    @property
    def bundled_path(self) -> Path | None:
        """The weights file that comes with vidseg, None where there is none."""
        return None if self.bundled is None else _WEIGHTS / self.bundled

    @property
    def int8_path(self) -> Path | None:
        """The int8 version of the bundled weights, None where there is none."""
        return None if self.int8 is None else _WEIGHTS / self.int8

    def fits(self, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """True when a state dict with these shapes looks like this model, whatever its number of classes."""
        return all(shapes.get(key) == shape for key, shape in self.probe.items())


@cache
def entries() -> tuple[ModelEntry, ...]:
    """All known models, in the order in which they are listed."""
    advice = "install vidseg again"
    content = read_yaml(_FOLDER / "registry.yaml", missing=f"is missing; {advice}", accepted=advice)
    return tuple(_entry_from(row) for row in content["models"])


def entry(name: str) -> ModelEntry:
    """The model of this name or alias, in any case.

    Raises:
        ModelError: no such model; names the nearest known ones.
    """
    by_name = {known: found for found in entries() for known in (found.name, *found.aliases)}
    wanted = name.strip().casefold()
    if wanted in by_name:
        return by_name[wanted]
    near = difflib.get_close_matches(wanted, by_name, n=3, cutoff=0.6)
    hint = f"near: {', '.join(near)}" if near else f"known: {', '.join(found.name for found in entries())}"
    raise ModelError(f"unknown model '{name}'; {hint}; `vidseg models` lists them")


def card(name: str) -> str | None:
    """Markdown on how the bundled weights of a model were made and what they can do; None where none are bundled.

    Raises:
        ModelError: no such model.
    """
    path = _WEIGHTS / f"{entry(name).name}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _entry_from(row: dict[str, Any]) -> ModelEntry:
    return ModelEntry(
        **{
            "int8": None,
            "short_side": None,
            **row,
            "aliases": tuple(row["aliases"]),
            "probe": {key: tuple(shape) for key, shape in row["probe"].items()},
        }
    )
