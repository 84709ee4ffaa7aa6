"""What a network file is, in words."""

from __future__ import annotations

import hashlib

from vidseg.runtimes.file_runtime import open_model_file, shown_shape
from vidseg.runtimes.model_file import read_model_file


def model_file_facts(name: str, *, trusted: bool = False) -> dict[str, str]:
    """Topic -> text, in the order to show them. Opens the network, which tells whether it fits its YAML.

    Args:
        trusted: a TorchScript file may be opened.
    Raises:
        ConfigError: the YAML is missing or wrong, or does not fit the network, or it is not trusted.
        ModelError: the network cannot be read.
    """
    file = read_model_file(name)
    runtime = open_model_file(file, trusted=trusted)
    content = file.path.read_bytes()
    given = runtime.input
    if given.fixed_hw is not None:
        size = f"{given.fixed_hw[1]}x{given.fixed_hw[0]} only; frames are stretched to it"
    else:
        kept = "stretched to the aspect of its size" if given.resize == "stretch" else "aspect kept"
        step = f", sides in steps of {given.multiple_of}" if given.multiple_of > 1 else ""
        size = f"any; long side {given.default_imgsz()} by default, {kept}{step}"
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
        "size": size,
        "classes": f"{len(names)}: " + ", ".join(f"{number} {name}" for number, name in enumerate(names)),
        "runs in": runtime.name,
        "described by": str(file.yaml_path),
        "file": f"{len(content) / 1e6:.1f} MB, sha256 {hashlib.sha256(content).hexdigest()}",
    }
