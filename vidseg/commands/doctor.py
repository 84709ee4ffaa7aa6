"""Inspects the machine: what works, what is missing. Never fails; a broken part is a finding."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata

from vidseg.cores import all_cores, usable_cores
from vidseg.errors import first_line
from vidseg.gpu import gpu_problem
from vidseg.memory import memory_problem
from vidseg.opencv import import_problem, installed_packages, too_many
from vidseg.version import __version__


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `good` is None for what is neither right nor wrong."""

    topic: str
    text: str
    good: bool | None = None


ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1", "prores_ks")
EXTRAS = {
    "train": "vidseg train",
    "int8": "vidseg quantize",
    "parquet": "--save-parquet",
    "serve": "--serve, --metrics",
    "ray": "batch --ray",
    "remote": "URLs for batch",
    "pages": "video sites",
}
"""What the optional parts of an installation are for."""
_FOR_DEVELOPERS = ("dev", "docs")
_TRIAL_SIZE = (640, 360)


def examine() -> list[Finding]:
    """All findings, in the order to show them."""
    parts: tuple[tuple[str, Callable[[], list[Finding]]], ...] = (
        ("vidseg", _versions),
        ("torch", _torch),
        ("cuda", _gpus),
        ("runtimes", _runtimes),
        ("extras", _extras),
        ("opencv", _opencv),
        ("video", _video),
        ("encoders", _encoders),
        ("hardware", _hardware),
        ("cameras", _cameras),
        ("display", _display),
        ("models", _models),
        ("presets", _presets),
    )
    findings = []
    for topic, look in parts:
        try:
            findings += look()
        except Exception as error:
            known = import_problem(error) if isinstance(error, ImportError) else None
            findings.append(Finding(topic, known or f"{type(error).__name__}: {error}".splitlines()[0], good=False))
    return findings


def _versions() -> list[Finding]:
    cores = " of ".join(map(str, dict.fromkeys([usable_cores(), all_cores()])))
    return [
        Finding("vidseg", __version__, good=True),
        Finding("python", f"{platform.python_version()} ({sys.executable})", good=sys.version_info >= (3, 11)),
        Finding("machine", f"{platform.platform()}, {cores} cores"),
    ]


def _torch() -> list[Finding]:
    import torch

    return [Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads", good=True)]


def _gpus() -> list[Finding]:
    import torch

    findings = [_gpu(index) for index in range(torch.cuda.device_count())]
    if not findings:
        built = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
        why = "" if built else " (this PyTorch is built without CUDA)"
        findings.append(Finding("cuda", f"no CUDA device{why}; runs on the CPU"))
    if torch.backends.mps.is_available():
        findings.append(Finding("mps", "available", good=True))
    return findings


def _gpu(index: int) -> Finding:
    """Counted are those of the driver, whether this PyTorch can use them or not."""
    import torch

    try:
        properties = torch.cuda.get_device_properties(index)
        torch.ones(1, device=f"cuda:{index}").add(1).item()  # runs a kernel
    except Exception as error:
        problem = memory_problem(error) or gpu_problem(error) or first_line(error)
        return Finding("cuda", f"cuda:{index} {problem}", good=False)
    memory = f"{properties.total_memory / 2**30:.0f} GiB"
    return Finding("cuda", f"cuda:{index} {properties.name}, {memory}", good=True)


def _runtimes() -> list[Finding]:
    from vidseg.runtimes.registry import ENGINES, import_problem, installed_engines, reinstall_advice

    # the others need more than a package, and are tried out when they are asked for
    automatic = [name for name, engine in ENGINES.items() if engine.automatic]
    installed = {name: number for name, number in installed_engines().items() if name in automatic}
    problems = {name: import_problem(name) for name in installed}
    working = [f"{name} {number}" for name, number in installed.items() if problems[name] is None]
    findings = [Finding("runtimes", ", ".join(working), good=True)]
    for name, problem in problems.items():
        if problem is not None:
            findings.append(Finding("", f"{name} cannot be imported ({problem}); {reinstall_advice(name)}", good=False))
    return [*findings, *_accelerators()]


def _accelerators() -> list[Finding]:
    """Devices for network files besides the CPU."""
    from vidseg.runtimes.accelerators import ACCELERATORS

    found = [name for name, each in ACCELERATORS.items() if each.problem is None]
    text = ", ".join(found) or f"none besides the CPU (known: {', '.join(ACCELERATORS)})"
    return [Finding("for files", text, good=bool(found) or None)]


def _extras() -> list[Finding]:
    try:
        distribution = metadata.distribution("vidseg")
    except metadata.PackageNotFoundError:
        return [Finding("extras", "unknown: vidseg runs from a folder and is not installed")]
    extras = [name for name in distribution.metadata.get_all("Provides-Extra") or () if name not in _FOR_DEVELOPERS]
    lacking = {name: _missing(distribution.requires or (), name) for name in extras}
    here = [name for name in extras if not lacking[name]]
    findings = [Finding("extras", ", ".join(here) or "none", good=bool(here) or None)]
    for name in extras:
        if lacking[name]:
            use = f" ({EXTRAS[name]})" if name in EXTRAS else ""
            findings.append(Finding("", f"no {name}{use}: pip install 'vidseg[{name}]'"))
    return findings


def _missing(requirements: Iterable[str], extra: str) -> list[str]:
    """The packages of an extra that are not installed, of requirements such as "scipy>=1.11; extra == 'train'"."""
    found = []
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        if name and re.search(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]", requirement):
            try:
                metadata.version(name[0])
            except metadata.PackageNotFoundError:
                found.append(name[0])
    return found


def _video() -> list[Finding]:
    import av

    ffmpeg = ".".join(map(str, av.library_versions["libavcodec"]))
    return [Finding("av", f"{av.__version__} (libavcodec {ffmpeg})", good=True), _srt()]


def _opencv() -> list[Finding]:
    import cv2

    from vidseg.render.display import opens_windows

    packages = installed_packages()
    several = too_many(packages)
    windows = "opens windows" if opens_windows() else "opens no windows"
    told = f"{cv2.__version__} ({' and '.join(packages) or 'of no package'}, {windows})"
    return [Finding("opencv", told if several is None else f"{told}; {several}", good=several is None)]


def _srt() -> Finding:
    from vidseg.video.protocols import has_protocol
    from vidseg.video.srt_tool import HOW_TO_GET_TOOL, find_tool

    if has_protocol("srt"):
        return Finding("srt", "by FFmpeg", good=True)
    tool = find_tool()
    return Finding("srt", f"none; {HOW_TO_GET_TOOL}") if tool is None else Finding("srt", f"by {tool}", good=True)


def _encoders() -> list[Finding]:
    import av

    have = [name for name in ENCODERS if name in av.codecs_available]
    return [Finding("encoders", ", ".join(have), good="libx264" in have)]


def _hardware() -> list[Finding]:
    from vidseg.sinks.hardware_encoders import hardware_encoders, hardware_problem
    from vidseg.sources.hwaccel import known_kinds, open_device

    decoding = [kind for kind in known_kinds() if open_device(kind)[0] is not None]
    encoding = [name for name in hardware_encoders() if hardware_problem(name, _TRIAL_SIZE) is None]
    return [_tried("hwaccel", decoding, known_kinds()), _tried("hw encoders", encoding, hardware_encoders())]


def _tried(topic: str, working: list[str], built_in: list[str]) -> Finding:
    """Of what FFmpeg was built with, what could be opened."""
    if working:
        return Finding(topic, ", ".join(working), good=True)
    return Finding(topic, f"none works here (built in: {', '.join(built_in) or 'none'})")


def _cameras() -> list[Finding]:
    from vidseg.sources.camera_source import list_cameras

    return [Finding("cameras", ", ".join(list_cameras()) or "none found")]


def _display() -> list[Finding]:
    from vidseg.errors import DisplayError
    from vidseg.render.display import find_display

    try:
        size = find_display()
    except DisplayError as error:
        return [Finding("display", str(error))]
    return [Finding("display", f"{size[0]}x{size[1]}" if size else "works", good=True)]


def _models() -> list[Finding]:
    from vidseg import zoo

    cached = [f"{found.entry.name} ({found.path.stat().st_size / 1e6:.1f} MB)" for found in zoo.cached_entries()]
    return [
        Finding("models", ", ".join(cached) or "none", good=bool(cached)),
        Finding("cache", str(zoo.cache_folder())),
    ]


def _presets() -> list[Finding]:
    from vidseg.presets import preset_names

    return [Finding("presets", ", ".join(preset_names()), good=True)]
