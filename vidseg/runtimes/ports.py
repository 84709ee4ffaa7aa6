"""What goes in and out of a network, by its file alone: names, shapes, number formats, and notes of its maker.

ONNX is read here, a few kilobytes of however many: the protobuf around the weights, which are skipped. OpenVINO reads
its own format and TFLite. A TorchScript file says nothing of shapes; the notes that some makers put into its archive
are read without running it.

Source: onnx.proto (ONNX IR), field numbers of ModelProto, GraphProto, ValueInfoProto and TypeProto.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from vidseg.errors import ModelError
from vidseg.runtimes.openvino_import import import_openvino, openvino_core

Shape = tuple[int | None, ...]
"""None where a side is free."""

_FRONT_ENDS = {
    ".onnx": ("onnx", "ONNX"),
    ".xml": ("ir", "the format of OpenVINO"),
    ".tflite": ("tflite", "the format of TensorFlow Lite"),
}
_LARGEST_NOTE = 1 << 20
_ELEMENT_TYPES = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64"},
    **{9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16"},
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output. `shape` is None where even the rank is not known."""

    name: str
    shape: Shape | None
    dtype: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a network file says of itself. Ports are empty where it does not name them."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    """Metadata by key, as the maker wrote it."""


def read_header(path: Path) -> Header:
    """Of a network file; empty where it cannot be understood, which whoever opens the network says better."""
    kind = path.suffix.casefold()
    try:
        if kind == ".onnx":
            return _onnx(path)
        if kind == ".torchscript":
            return Header(notes=_torchscript_notes(path))
        return _openvino(path)
    except (OSError, ValueError, EOFError, IndexError, zipfile.BadZipFile, RuntimeError, ImportError, ModelError):
        return Header()


def openvino_model(path: Path) -> Any:
    """A network in OpenVINO, not compiled yet.

    Raises:
        ModelError: the file is not what its ending says. OpenVINO would show it to TensorFlow's reader, which prints
            lines of its own.
    """
    openvino = import_openvino()
    reader, called = _FRONT_ENDS[path.suffix.casefold()]
    if not openvino.frontend.FrontEndManager().load_by_framework(reader).supported(str(path)):
        raise ModelError(f"contains no network in {called}")
    return openvino_core().read_model(str(path))


def openvino_port(port: Any) -> Port:
    """One of a network in OpenVINO."""
    import numpy as np

    shape = port.get_partial_shape()
    sides = None if shape.rank.is_dynamic else tuple(None if s.is_dynamic else s.get_length() for s in shape)
    names = port.get_names()
    return Port(port.get_any_name() if names else "", sides, np.dtype(port.get_element_type().to_dtype()).name)


def _openvino(path: Path) -> Header:
    model = openvino_model(path)
    return Header(tuple(map(openvino_port, model.inputs)), tuple(map(openvino_port, model.outputs)))


def _torchscript_notes(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if item.filename.endswith("/extra/config.txt") and item.file_size <= _LARGEST_NOTE:
                return {"config.txt": archive.read(item).decode("utf-8", "replace")}
    return {}


def _onnx(path: Path) -> Header:
    notes: dict[str, str] = {}
    inputs: list[Port] = []
    outputs: list[Port] = []
    constants: set[str] = set()
    with path.open("rb") as file:
        end = path.stat().st_size
        for number, start, stop in _fields(file, 0, end):
            if number == 14 and stop - start <= _LARGEST_NOTE:  # metadata_props
                pair = {key: _text(file, *span) for key, *span in _fields(file, start, stop)}
                notes[pair.get(1, "")] = pair.get(2, "")
            elif number == 7:  # graph
                for part, first, last in _fields(file, start, stop):
                    if part in (11, 12):
                        (inputs if part == 11 else outputs).append(_onnx_port(file, first, last))
                    elif part == 5:  # initializer
                        constants |= {_text(file, *span) for key, *span in _fields(file, first, last) if key == 8}
    return Header(tuple(port for port in inputs if port.name not in constants), tuple(outputs), notes)


def _onnx_port(file: BinaryIO, start: int, stop: int) -> Port:
    name, shape, dtype = "", None, ""
    for number, first, last in _fields(file, start, stop):
        if number == 1:
            name = _text(file, first, last)
        elif number == 2:
            for kind, *tensor in _fields(file, first, last):
                if kind != 1:
                    continue
                for key, low, high in _fields(file, *tensor):
                    if key == 1:
                        dtype = _ELEMENT_TYPES.get(low, "")
                    elif key == 2:
                        shape = tuple(_onnx_side(file, *side) for part, *side in _fields(file, low, high) if part == 1)
    return Port(name, shape, dtype)


def _onnx_side(file: BinaryIO, start: int, stop: int) -> int | None:
    for number, value, _ in _fields(file, start, stop):
        if number == 1 and value > 0:
            return value
    return None


def _fields(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Fields of a protobuf message: number, begin and end of what has a length; of a plain number the value twice."""
    place = start
    while place < stop:
        file.seek(place)
        tag = _varint(file)
        kind = tag & 7
        if kind == 0:
            value = _varint(file)
            place = file.tell()
            yield tag >> 3, value, value
        elif kind == 2:
            length = _varint(file)
            first = file.tell()
            place = first + length
            if place > stop:
                raise ValueError("a field exceeds its container")
            yield tag >> 3, first, place
        elif kind in (1, 5):
            place = file.tell() + (8 if kind == 1 else 4)
        else:
            raise ValueError("not a protobuf")


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while shift < 70:
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
        shift += 7
    raise ValueError("not a protobuf")


def _text(file: BinaryIO, start: int, stop: int) -> str:
    if stop - start > _LARGEST_NOTE:
        return ""
    file.seek(start)
    return file.read(stop - start).decode("utf-8", "replace")
