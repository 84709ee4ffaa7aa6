"""The options of a run: one table of defaults, and the checks that every way of setting them shares.

Flags, presets and config files all end here; order: defaults < preset < config file < flags.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vidseg.errors import ConfigError

Check = Callable[[Any], Any]
"""Gives the value in its proper type, or raises ValueError with what is accepted."""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value):
        raise ValueError("a text")
    return str(value)


def _choice(*known: str) -> Check:
    def check(value: Any) -> str:
        if value not in known:
            raise ValueError(" | ".join(known))
        return str(value)

    return check


def _integer(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def _number(low: float, high: float, *, above: bool = False) -> Check:
    def check(value: Any) -> float:
        accepted = f"a number above {low:g}, at most {high:g}" if above else f"a number from {low:g} to {high:g}"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(accepted)
        if not low <= value <= high or (above and value == low):
            raise ValueError(accepted)
        return float(value)

    return check


def _class_list(value: Any) -> tuple[str, ...]:
    """Class names or ids: a list, or one text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple) or any(isinstance(v, bool) or not isinstance(v, str | int) for v in value):
        raise ValueError("class names or ids, separated by commas, e.g. person,car,20")
    return tuple(word for word in (str(v).strip() for v in value) if word)


def _option(default: Any, check: Check, help_text: str) -> Any:
    return field(default=default, metadata={"check": check, "help": help_text})


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Every option of `vidseg run`. None means "not said": the run decides, and says what it decided."""

    source: str | None = _option(None, _text, "file, URL, cam0, folder, glob, image, or test")
    preset: str | None = _option(None, _text, "named set of options; see `vidseg presets`")
    # model
    model: str = _option("fai-m2f-n-ade", _text, "model name; see `vidseg models`")
    weights: str | None = _option(None, _text, "your own weights for the model (.pth, .pt, .safetensors)")
    device: str = _option("auto", _text, "auto, cpu, cuda, cuda:N, mps")
    runtime: str = _option("auto", _choice("auto", "torch", "openvino", "onnxruntime"), "what runs the network")
    precision: str = _option("auto", _choice("auto", "float32", "float16", "bfloat16"), "number format of the network")
    imgsz: int | None = _option(None, _integer(32, 4096), "long side in pixels of what the model sees")
    rule: str = _option("semantic", _choice("semantic", "winner-query"), "how a pixel gets its label")
    batch: int | None = _option(None, _integer(1, 64), "frames segmented at once (files)")
    threads: int | None = _option(None, _integer(1, 256), "CPU threads of the network")
    # frames
    stride: int = _option(1, _integer(1, 1000), "segment every Nth frame; the others get the last masks")
    propagate: str = _option(
        "flow", _choice("flow", "hold"), "last masks follow the motion, or stay, on frames between"
    )
    smooth: bool | None = _option(None, _flag, "average scores over time against flicker; unset: video yes, images no")
    smooth_seconds: float = _option(0.2, _number(0, 10, above=True), "memory of --smooth: then a frame counts 1/e")
    max_fps: float | None = _option(None, _number(0, 1000, above=True), "take at most so many frames per second")
    limit: int | None = _option(None, _integer(1, 10**9), "stop after so many frames")
    rtsp_transport: str = _option("tcp", _choice("tcp", "udp"), "how RTSP streams are carried")
    timeout: float = _option(10.0, _number(0, 3600, above=True), "seconds a stream may take to open or to send")
    # output
    output: str | None = _option(None, _text, "video file, image, frames_%05d.png, or folder for pictures")
    overwrite: bool = _option(False, _flag, "replace outputs that exist")
    codec: str | None = _option(None, _text, "h264, hevc, av1, vp9, ffv1, mjpeg, prores, or an FFmpeg encoder")
    crf: int | None = _option(None, _integer(0, 63), "quality: lower is better and larger")
    encoder_preset: str | None = _option(None, _text, "the encoder's speed, e.g. ultrafast ... veryslow")
    audio: str = _option("copy", _choice("copy", "none"), "the source's sound")
    save_masks: str | None = _option(None, _text, "folder for one PNG of class ids per frame")
    stats: str | None = _option(None, _text, "file for counts and timings as JSON")
    # picture
    view: str = _option("overlay", _choice("overlay", "mask", "side"), "what the picture shows")
    opacity: float = _option(0.5, _number(0, 1), "of the class colours")
    contours: bool = _option(False, _flag, "draw the edges of regions")
    legend: bool = _option(False, _flag, "list the classes in the picture")
    labels: bool = _option(False, _flag, "write class names on regions")
    classes: tuple[str, ...] = _option((), _class_list, "colour only these classes (names or ids)")
    ignore_classes: tuple[str, ...] = _option((), _class_list, "do not colour these classes")
    blur_classes: tuple[str, ...] = _option((), _class_list, "make regions of these classes unrecognisable")
    # window and messages
    show: bool = _option(False, _flag, "show a window while running")
    quiet: bool = _option(False, _flag, "print errors only")
    verbose: bool = _option(False, _flag, "print what was decided, and every note")


def option_names() -> list[str]:
    """Names of all options, in the order of the table."""
    return [item.name for item in fields(RunConfig)]


def merge(*layers: tuple[str, Mapping[str, Any]]) -> RunConfig:
    """The configuration of several layers, later ones first in rank.

    Args:
        layers: (origin, values); origin is named in errors, e.g. "presets/street.yaml" or "command line". Keys may
            be written with - or _; a value of None leaves what earlier layers say.
    Raises:
        ConfigError: an unknown key (names the nearest known one) or a value out of range.
    """
    merged: dict[str, Any] = {}
    for origin, values in layers:
        merged.update(checked(origin, values))
    return RunConfig(**merged)


def checked(origin: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values in their proper types, None left out. Raises ConfigError as `merge` does."""
    checks = {item.name: item.metadata["check"] for item in fields(RunConfig)}
    good: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in checks:
            near = difflib.get_close_matches(name, checks, n=1, cutoff=0)[0]
            raise ConfigError(f"{origin}: unknown option '{key}'; did you mean {near}? `vidseg run --help` lists all")
        if value is None:
            continue
        try:
            good[name] = checks[name](value)
        except ValueError as error:
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            flag = "--" + name.replace("_", "-")
            raise ConfigError(f"{origin}: {flag} is {shown!r}; accepted: {error}") from None
    return good
