"""Networks in 8-bit integers for OpenVINO: made once with calibration pictures, then run without any extra library.

Made by NNCF's post-training quantisation: weights and activations of convolutions and matrix products become int8, with
scales found by looking at real pictures. A file holds the OpenVINO IR, the hashes of its parts, of the weights and of
the code it was made of; one comes with the bundled weights, others lie beside their weights or in the cache.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from vidseg import zoo
from vidseg.atomic import write_whole_file
from vidseg.errors import ConfigError
from vidseg.frames import UInt8Array
from vidseg.runtimes.engine_cache import DAMAGE, Parts, engines_folder, part_hashes
from vidseg.runtimes.network import code_sha256, weights_sha256
from vidseg.runtimes.openvino_import import import_openvino, openvino_core, unreported
from vidseg.runtimes.openvino_runtime import convert

_FACTS = "facts.json"
_IR = ("model.xml", "model.bin")


def quantize(model: nn.Module, pictures: Sequence[UInt8Array]) -> Parts:
    """The network as int8 OpenVINO IR, calibrated on pictures.

    Args:
        model: has `forward_queries`.
        pictures: (3, h, w) uint8 RGB each, as large as the network will see them; 100 to 300 are enough.
    Raises:
        ConfigError: nncf or openvino is not installed.
    """
    try:
        openvino = import_openvino()
        with unreported(), contextlib.redirect_stdout(sys.stderr):
            nncf = import_module("nncf")
    except ImportError as error:
        raise ConfigError(f"quantising needs {error.name}: pip install 'vidseg[int8]'") from None
    parts = convert(model)
    network = openvino_core().read_model(parts["model.xml"], parts["model.bin"])
    with unreported(), contextlib.redirect_stdout(sys.stderr):  # of progress bars
        quantized = nncf.quantize(
            network,
            nncf.Dataset(pictures, lambda picture: picture[None]),
            # activations that may be negative get their own zero: the queries' numbers are on both sides of it
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(pictures),
        )
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in _IR]
        openvino.serialize(quantized, *paths)
        return {path.name: path.read_bytes() for path in paths}


def write_quantized(path: Path, parts: Parts, model: nn.Module) -> None:
    """Write a file of `quantize`'s parts, whole or not at all. Raises WriteError."""
    facts = {"weights_sha256": weights_sha256(model), "code_sha256": code_sha256(), "parts": part_hashes(parts)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ((_FACTS, json.dumps(facts).encode()), *sorted(parts.items())):
            # a fixed date: the same network gives the same file
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)
    write_whole_file(path, content.getvalue())


def find_quantized(
    model_name: str,
    model: nn.Module,
    *,
    weights: Path | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> Parts | None:
    """The int8 version of exactly these weights: beside them, in the cache, or bundled; None where there is none.

    The user's own come first.

    Args:
        weights: the user's file.
        announce: told why a file is passed over that should be one.
    """
    digest = weights_sha256(model)
    bundled = zoo.entry(model_name).int8_path
    beside = None if weights is None else path_beside(weights)
    for path in (beside, cached_path(model_name, digest), bundled):
        if path is None:
            continue
        try:
            facts, parts = _read(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except DAMAGE:
            announce(f"{path}: is damaged or cannot be read")
            continue
        if facts["weights_sha256"] != digest:
            continue
        # the bundled one is looked after by whoever changes the code: a comment there must not slow everybody down
        if path != bundled and facts.get("code_sha256") not in (None, code_sha256()):
            announce(f"{path}: was made by another version of the networks")
            continue
        return parts
    return None


def _read(path: Path) -> tuple[dict[str, Any], Parts]:
    """Facts and network of a file. Raises one of `DAMAGE` if it is not as it was written."""
    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read(_FACTS))
        parts = {name: archive.read(name) for name in _IR}
    if not isinstance(facts, dict) or "weights_sha256" not in facts:
        raise ValueError("the metadata does not name the weights")
    # a file without hashes, as that of the nano, has the checksums of ZIP only
    if "parts" in facts and facts["parts"] != part_hashes(parts):
        raise ValueError("a part has been altered")
    return facts, parts


def path_beside(weights: Path) -> Path:
    """Where the int8 version of a file of weights lies: mine.int8.zip beside mine.safetensors."""
    return weights.with_suffix(".int8.zip")


def cached_path(model_name: str, weights_digest: str) -> Path:
    """Where the int8 version of weights (hash by `weights_sha256`) lies in the user's cache."""
    return engines_folder() / f"{model_name}-int8-{weights_digest[:16]}.zip"
