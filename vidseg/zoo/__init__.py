"""The known models: facts, cards, weights on this machine, and how to get and read weights.

Facts and the cache need neither torch nor the network code; `pull`, `ensure`, `read_checkpoint`, `match`,
`in_half_precision` and `export_weights` bring them in on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vidseg.zoo.cache import CachedEntry, FileRecord, cache_folder, cached_entries, cached_path
from vidseg.zoo.registry import ModelEntry, card, entries, entry

if TYPE_CHECKING:
    from vidseg.zoo.checkpoint import match, read_checkpoint
    from vidseg.zoo.download import ensure, pull
    from vidseg.zoo.export import export_weights, in_half_precision
    from vidseg.zoo.file_labels import weights_calibration, weights_labels

__all__ = [
    "CachedEntry",
    "FileRecord",
    "ModelEntry",
    "cache_folder",
    "cached_entries",
    "cached_path",
    "card",
    "ensure",
    "entries",
    "entry",
    "export_weights",
    "in_half_precision",
    "match",
    "pull",
    "read_checkpoint",
    "weights_calibration",
    "weights_labels",
]

_LAZY = {
    "ensure": "download",
    "export_weights": "export",
    "in_half_precision": "export",
    "match": "checkpoint",
    "pull": "download",
    "read_checkpoint": "checkpoint",
    "weights_calibration": "file_labels",
    "weights_labels": "file_labels",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
