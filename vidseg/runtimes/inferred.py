"""What names and shapes of inputs and outputs tell about a network that neither its maker nor a YAML describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidseg.known_labels import BY_COUNT
from vidseg.runtimes.ports import Port, Shape

PIXEL_MASK = "pixel_mask"
"""A second input of networks that take padded batches; ones say that every pixel counts."""
_QUERY_NAMES = ("class_queries_logits", "masks_queries_logits")
_SCORE_NAMES = ("logits", "out", "output", "output0", "scores", "semantic_logits")
_IMAGENET = ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
_STEP = 32


def picture_input(ports: tuple[Port, ...]) -> Port | None:
    """The input that takes the picture; None where there is none, or more than one that could."""
    rest = [port for port in ports if port.name != PIXEL_MASK]
    return rest[0] if len(rest) == 1 else None


def infer_input(given: dict[str, Any], port: Port | None, *, described: bool, assumed: list[str]) -> None:
    """Complete `given`, an `input` of the YAML, with what the port says.

    Args:
        described: somebody said how the network is fed.
        assumed: gets a sentence for what is only likely.
    """
    shape = port.shape if port is not None else None
    if "layout" not in given and shape is not None and len(shape) == 4 and shape[1] != 3 and shape[3] == 3:
        given["layout"] = "NHWC"
    if described or (port is not None and port.dtype == "uint8"):
        return
    given["mean"], given["std"] = _IMAGENET
    sides = _sides(shape, str(given.get("layout", "NCHW")))
    text = "RGB, mean and std of ImageNet"
    if None in sides:
        given["multiple_of"] = _STEP
        text += f", sides in steps of {_STEP}"
    assumed.append(text)


def infer_output(given: dict[str, Any], task: str | None, inputs: dict[str, Any], ports: tuple[Port, ...]) -> str:
    """Complete `given`, an `output` of the YAML; the task."""
    if task is None:
        pair = None if {"name", "layout"} & set(given) else query_outputs(ports)
        if pair is None:
            task = "semantic_segmentation"
        else:
            task = "query_segmentation"
            given.setdefault("class_logits", pair[0].name)
            given.setdefault("mask_logits", pair[1].name)
            if pair[0].name == pair[1].name:  # no names: in their order
                given.pop("class_logits"), given.pop("mask_logits")
    if task == "query_segmentation":
        return task
    port = score_output(given.get("name"), ports)
    if port is not None and len(ports) > 1:
        given.setdefault("name", port.name)
    if port is not None and port.shape is not None and "layout" not in given:
        given["layout"] = _layout(port, str(inputs.get("layout", "NCHW")))
    return task


def query_outputs(ports: tuple[Port, ...]) -> tuple[Port, Port] | None:
    """Outputs with the classes and the masks of queries; whatever they are called, 3 sides and 4 tell them apart."""
    by_name = {port.name: port for port in ports}
    if set(_QUERY_NAMES) <= set(by_name):
        return by_name[_QUERY_NAMES[0]], by_name[_QUERY_NAMES[1]]
    if len(ports) != 2:
        return None
    first, second = sorted(ports, key=lambda port: len(port.shape or ()))
    fits = first.shape is not None and second.shape is not None and (len(first.shape), len(second.shape)) == (3, 4)
    if not fits or first.dtype.startswith(("int", "uint")):
        return None
    queries = (first.shape or ())[1], (second.shape or ())[1]
    return (first, second) if None in queries or queries[0] == queries[1] else None


def score_output(name: str | None, ports: tuple[Port, ...]) -> Port | None:
    """The output of that name, the only one, or the one with a usual name."""
    by_name = {port.name: port for port in ports}
    if name is not None:
        return by_name.get(name)
    if len(ports) == 1:
        return ports[0]
    return next((by_name[usual] for usual in _SCORE_NAMES if usual in by_name), None)


def channels_of(task: str, output: Mapping[str, Any], ports: tuple[Port, ...]) -> int | None:
    """Columns of the classes of a query network, or channels with scores; None where the file does not say."""
    if task == "query_segmentation":
        name = output.get("class_logits")
        port = next((each for each in ports if each.name == name), None)
        return port.shape[2] if port is not None and port.shape is not None and len(port.shape) == 3 else None
    port = score_output(output.get("name"), ports)
    if port is None or port.shape is None or len(port.shape) != 4 or output.get("layout") == "NHW":
        return None
    return port.shape[3 if output.get("layout") == "NHWC" else 1]


def table_of(count: int | None, *, queries: bool, activated: bool) -> str | None:
    """The known class table of so many channels, or columns; "no object" is no class."""
    if count is None:
        return None
    return BY_COUNT.get(count - 1 if queries and not activated else count)


def is_activated(count: int | None, classes: int | None) -> bool:
    """True where a query network has no column for "no object", which softmax inside of it takes away."""
    return count is not None and (count in BY_COUNT if classes is None else count == classes)


def _layout(port: Port, of_input: str) -> str:
    shape = port.shape or ()
    if len(shape) == 3:
        return "NHW"
    whole = port.dtype.startswith(("int", "uint", "bool"))
    single = len(shape) == 4 and (1 in (shape[1], shape[3]) or None is shape[1] is shape[3])
    return "NHW" if whole and single else of_input


def _sides(shape: Shape | None, layout: str) -> tuple[int | None, int | None]:
    if shape is None or len(shape) != 4:
        return None, None
    return (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])
