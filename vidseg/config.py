"""The options of a run: one table of defaults, and the checks that every way of setting them shares.

Flags, presets and config files all end here; order: defaults < preset < config file < flags.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from vidseg.address import parse_address
from vidseg.errors import ConfigError
from vidseg.names import url_scheme
from vidseg.picture_size import MAX_PIXELS

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
    """Class names or ids: a list, perhaps empty, or one text with commas, which says one at least."""
    if isinstance(value, str):
        value = value.split(",")
        if not any(word.strip() for word in value):  # an unset shell variable must not hide nothing
            raise ValueError("class names or ids, separated by commas; in a YAML file [] says none")
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple) or any(isinstance(v, bool) or not isinstance(v, str | int) for v in value):
        raise ValueError("class names or ids, separated by commas, e.g. person,car,20")
    return tuple(word for word in (str(v).strip() for v in value) if word)


def _texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them, perhaps empty; commas belong to the texts."""
    try:
        return tuple(map(_text, value if isinstance(value, list | tuple) else [value]))
    except ValueError:
        raise ValueError("a list of texts") from None


PRECISIONS = ("auto", "float32", "float16", "bfloat16", "int8", "fast")
"""Number formats of the network. "fast" is the fastest that keeps the quality: int8 where there is one, or "auto"."""


HWACCELS = ("none", "auto", "cuda", "videotoolbox", "vaapi")
"""What decodes video: software, any device, or the kind of device."""


def _address(value: Any) -> str:
    """An address to listen at, as `parse_address` reads it."""
    return str(parse_address(str(value)))


def _token(value: Any) -> str:
    text = str(value)
    if not re.fullmatch(r"[A-Za-z0-9_.~-]{8,128}", text) or isinstance(value, bool):
        raise ValueError("8 to 128 letters, digits and _ . ~ -")
    return text


def _whole_or(word: str, low: int, high: int, *, keep_text: bool = False) -> Check:
    """A whole number, or the word; numbers come out as text with `keep_text`."""
    number = _integer(low, high)

    def check(value: Any) -> int | str:
        if value == word:
            return word
        try:
            whole = number(int(value) if keep_text and isinstance(value, str) and value.isdecimal() else value)
        except ValueError as error:
            raise ValueError(f"{error}, or {word}") from None
        return str(whole) if keep_text else int(whole)

    return check


def _number_or(word: str, low: float, high: float) -> Check:
    """A number, also as text, or the word."""
    number = _number(low, high)

    def check(value: Any) -> float | str:
        if value == word:
            return word
        try:
            return float(number(float(value) if isinstance(value, str) else value))
        except ValueError:
            raise ValueError(f"a number from {low:g} to {high:g}, or {word}") from None

    return check


def _frame_size(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[1-9]\d{1,4}x[1-9]\d{1,4}", value):
        raise ValueError("a size such as 1280x720")
    return value


def _option(default: Any, check: Check, help_text: str) -> Any:
    return field(default=default, metadata={"check": check, "help": help_text})


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Every option of `vidseg run`. None means "not said": the run decides, and says what it decided."""

    source: str | None = _option(None, _text, "file, URL, cam0, folder, glob, image, or test")
    more_sources: tuple[str, ...] = _option((), _texts, "further sources, seen beside the first in a grid")
    preset: str | None = _option(None, _text, "named set of options; see `vidseg presets`")
    # model
    model: str = _option("fai-m2f-n-ade", _text, "model name, see `vidseg models`; or a network file such as net.onnx")
    weights: str | None = _option(None, _text, "your own weights for the model (.pth, .pt, .safetensors)")
    trust_model: bool = _option(False, _flag, "run a TorchScript file, which may write any file")
    device: str = _option("auto", _text, "auto, cpu, cuda, cuda:N, mps")
    runtime: str = _option(
        "auto", _choice("auto", "torch", "openvino", "onnxruntime", "torch-compile"), "what runs the network"
    )
    precision: str = _option("auto", _choice(*PRECISIONS), "number format of the network")
    imgsz: int | None = _option(None, _integer(32, 4096), "long side in pixels of what the model sees")
    short_side: int | None = _option(None, _integer(32, 4096), "short side in pixels of what a network file sees")
    label_set: str | None = _option(None, _text, "classes of a network file: ade20k, cityscapes, voc, coco, a file")
    rule: str = _option("semantic", _choice("semantic", "winner-query"), "how a pixel gets its label")
    min_confidence: float | None = _option(None, _number(0, 1), "what is said with less stays without a label")
    batch: int | None = _option(None, _integer(1, 64), "frames segmented at once (files)")
    threads: int | None = _option(None, _integer(1, 256), "CPU threads of the network")
    # frames
    stride: int | str | None = _option(
        None, _whole_or("auto", 1, 1000), "segment every Nth frame; the others get the last masks; auto: as they come"
    )
    infer_fps: float | None = _option(None, _number(0, 1000, above=True), "segment at most so many frames a second")
    propagate: str = _option(
        "flow", _choice("flow", "hold"), "last masks follow the motion, or stay, on frames between"
    )
    smooth: bool | None = _option(None, _flag, "average scores over time against flicker; unset: video yes, images no")
    smooth_seconds: float = _option(0.15, _number(0, 10, above=True), "memory of --smooth: then a frame counts 1/e")
    max_fps: float | None = _option(None, _number(0, 1000, above=True), "take at most so many frames per second")
    limit: int | None = _option(None, _integer(1, 10**9), "stop after so many frames")
    max_pixels: int = _option(MAX_PIXELS, _integer(1, 2**40), "a picture file of more pixels than this is refused")
    rtsp_transport: str = _option("tcp", _choice("tcp", "udp"), "how RTSP streams are carried")
    hwaccel: str = _option("none", _choice(*HWACCELS), "decode files and streams on a device, if there is one")
    strict: bool = _option(False, _flag, "exit 1 where a file is damaged; its outputs are kept")
    timeout: float = _option(10.0, _number(0, 3600, above=True), "seconds a stream may take to open or to send")
    # live sources
    live: str = _option("auto", _choice("auto", "every-frame", "newest"), "whether frames may be dropped")
    max_staleness: float = _option(0.5, _number(0, 3600, above=True), "seconds; what is shown live is never older")
    reconnect: str | None = _option(
        None, _whole_or("always", 0, 10**6, keep_text=True), "tries in a row, the first connection included"
    )
    camera_size: str | None = _option(None, _frame_size, "picture size to ask a camera for")
    camera_fps: float | None = _option(None, _number(0, 1000, above=True), "pictures per second to ask a camera for")
    camera_format: str | None = _option(None, _choice("mjpeg", "yuyv", "nv12", "h264"), "what a camera is to send")
    # output
    output: str | None = _option(
        None, _text, "video file, image, frames_%05d.png, folder for pictures, live.m3u8, or an address"
    )
    pace: bool | None = _option(None, _flag, "files play at their own speed; unset: those sent to an address do")
    overwrite: bool = _option(False, _flag, "replace outputs that exist")
    codec: str | None = _option(None, _text, "h264, hevc, av1, vp9, ffv1, mjpeg, prores, or an FFmpeg encoder")
    crf: int | None = _option(None, _integer(0, 63), "quality: lower is better and larger")
    encoder_preset: str | None = _option(None, _text, "the encoder's speed, e.g. ultrafast ... veryslow")
    audio: str = _option("copy", _choice("copy", "none"), "the source's sound")
    save_masks: str | None = _option(None, _text, "folder for PNGs of class ids, or one lossless .mkv of them")
    save_confidence: str | None = _option(None, _text, "folder for PNGs of the confidence, or one lossless .mkv of it")
    matte: tuple[str, ...] = _option((), _class_list, "the output is these classes, cut out")
    feather: float = _option(1.5, _number(0, 100), "softness of a matte's edges in pixels; 0 is hard")
    save_json: str | None = _option(None, _text, "file for the detections of every frame, as JSON Lines")
    json_masks: str = _option("png", _choice("png", "rle", "none"), "masks in --save-json: PNG, COCO RLE, none")
    conf: float = _option(0.5, _number(0, 1), "detections in --save-json have a confidence above this")
    save_csv: str | None = _option(None, _text, "file for the share of pixels of every class and frame, as CSV")
    save_parquet: str | None = _option(None, _text, "the same as --save-csv, as Parquet")
    stats: str | None = _option(None, _text, "file for counts and timings as JSON")
    resume: bool = _option(False, _flag, "keep what is finished in OUT.resume, and go on from there")
    segment_seconds: float = _option(
        10.0, _number(0, 3600, above=True), "with --resume: a finished piece is kept so often"
    )
    workers: int | None = _option(None, _integer(1, 256), "processes that share one video; unset: 1")
    overlap: float | str | None = _option(
        None,
        _number_or("scene", 0, 3600),
        "with --workers: seconds of smoothing before each piece; unset: 25 times --smooth-seconds; "
        "scene: pieces begin at scene cuts",
    )
    # picture
    view: str = _option("overlay", _choice("overlay", "mask", "side", "confidence"), "what the picture shows")
    opacity: float | None = _option(
        None, _number(0, 1), "of the class colours; unset: 0.5, and 0 where only an effect is asked for"
    )
    contours: bool = _option(False, _flag, "draw the edges of regions")
    legend: bool = _option(False, _flag, "list the classes in the picture")
    labels: bool = _option(False, _flag, "write class names on regions")
    classes: tuple[str, ...] = _option((), _class_list, "colour only these classes (names or ids)")
    ignore_classes: tuple[str, ...] = _option((), _class_list, "do not colour these classes")
    blur_classes: tuple[str, ...] = _option((), _class_list, "make regions of these classes unrecognisable")
    blur_style: str = _option("pixelate", _choice("pixelate", "blur", "fill"), "how; of fill (black) nothing is left")
    blur_margin: int | None = _option(None, _integer(0, 1000), "pixels by which those regions grow; unset: by the size")
    foreground: tuple[str, ...] = _option((), _class_list, "classes that stay when --background replaces the rest")
    background: str | None = _option(None, _text, "blur, grey, a colour (#RRGGBB, 0xRRGGBB) or a picture file")
    highlight: tuple[str, ...] = _option((), _class_list, "these classes in colour, everything else grey")
    # window and messages
    show: bool = _option(False, _flag, "show a window while running")
    serve: str | None = _option(None, _address, "PORT or HOST:PORT of a web page with the live video")
    serve_token: str | None = _option(None, _token, "what the page's viewers have to know")
    record_dir: str | None = _option(None, _text, "folder for what the page's record button records")
    metrics: str | None = _option(None, _address, "PORT or HOST:PORT of figures for Prometheus")
    quiet: bool = _option(False, _flag, "print errors only")
    verbose: bool = _option(False, _flag, "print what was decided, and every note")

    @property
    def keeps_confidence(self) -> bool:
        """True where something is made of how sure the network is, besides leaving labels out."""
        # the page has a button for it then
        watched = self.min_confidence is not None and self.serve is not None and not self.more_sources
        return self.view == "confidence" or self.save_confidence is not None or watched

    @property
    def sent(self) -> bool:
        """True where the output is an address, and no file."""
        return url_scheme(self.output or "") is not None


SECRETS = frozenset({"serve_token"})
"""Options whose value is neither printed nor written."""


SINGLE_RUN_OPTIONS = frozenset(
    {
        "source",
        "more_sources",
        "output",
        "show",
        "serve",
        "serve_token",
        "record_dir",
        "metrics",
        "resume",
        "segment_seconds",
    }
    | {"workers", "overlap", "pace"}
)
"""Those that have no meaning for many files at once."""


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
            shown = "***" if name in SECRETS else shown
            raise ConfigError(f"{origin}: {flag} is {shown!r}; accepted: {error}") from None
    return good
