"""Describes a network file in words."""

from __future__ import annotations

import hashlib

from vidseg.runtimes.file_runtime import open_model_file, shown_shape
from vidseg.runtimes.model_file import read_model_file
from vidseg.runtimes.model_format import InputFormat


def model_file_facts(name: str, *, trusted: bool = False, label_set: str | None = None) -> dict[str, str]:
    """Topic -> text, in the order to show them. Opens the network, which tells whether it fits its YAML.

    Args:
        trusted: a TorchScript file may be opened.
    Raises:
        ConfigError: the YAML is missing or wrong, or does not fit the network, or it is not trusted.
        ModelError: the network cannot be read.
    """
    file = read_model_file(name, label_set)
    runtime = open_model_file(file, trusted=trusted)
    content = file.path.read_bytes()
    given = runtime.input
    ports = {"input": runtime.input_port, **{f"output {port.name}": port for port in runtime.output_ports}}
    shapes = {
        topic: f"{port.name + ' ' if topic == 'input' else ''}{shown_shape(port.shape)} {port.dtype}".strip()
        for topic, port in ports.items()
        if port.shape is not None
    }
    names = file.labels.names
    return {
        "task": file.task.replace("_", " "),
        "description": file.description,
        **shapes,
        "size": _size(given),
        "pixels": _pixels(given, runtime.input_port.dtype),
        "classes": f"{len(names)}: " + ", ".join(f"{number} {name}" for number, name in enumerate(names)),
        "runs in": runtime.name,
        "found": "; ".join(file.found),
        "assumed": "; ".join(file.assumed),
        "file": f"{len(content) / 1e6:.1f} MB, sha256 {hashlib.sha256(content).hexdigest()}",
    }


def _size(given: InputFormat) -> str:
    """What the network sees of a frame, in words."""
    kept = "stretched to it" if given.resize == "stretch" else "aspect kept"
    if given.fixed_hw is not None:
        how = kept if given.resize == "stretch" else f"frames are letterboxed into it, {_where(given)}"
        return f"{given.fixed_hw[1]}x{given.fixed_hw[0]} only; {how}"
    step = f", sides in steps of {given.multiple_of}" if given.multiple_of > 1 else ""
    if given.resize == "letterbox":
        kept = f"padded, {_where(given)}"
    if given.short_side is not None:
        most = f", long side {given.max_side} at most" if given.max_side else ""
        return f"any; short side {given.short_side} by default{most}, {kept}{step}"
    return f"any; long side {given.default_imgsz()} by default, {kept}{step}"


def _where(given: InputFormat) -> str:
    colour = "#" + "".join(f"{level:02x}" for level in given.padding)
    return f"{'in the middle' if given.centred else 'in the top left corner'} of {colour}"


def _pixels(given: InputFormat, dtype: str) -> str:
    """How pixels become what goes in, in words."""
    if dtype == "uint8":
        return f"{given.channels} 0..255 as they are"
    mean, std = (" ".join(f"{level:g}" for level in levels) for levels in (given.mean, given.std))
    filtered = f"{given.resample}{'' if given.antialias else ', not antialiased'}"
    return f"{given.channels} / {given.divide_by:g}, minus {mean}, over {std}; resized {filtered}"
