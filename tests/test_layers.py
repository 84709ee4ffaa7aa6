"""The house rules on imports: they only go down, heavy libraries stay in their rooms, nothing goes in circles."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vidseg"

FLOORS = (
    (
        "errors",
        "frames",
        "sound",
        "labels",
        "timing",
        "atomic",
        "names",
        "address",
        "saved_masks",
        "saved_state",
        "signals",
        "wildcards",
        "yaml_file",
        "cgroups",
        "cores",
        "memory",
        "opencv",
        "picture_size",
    ),
    ("config", "interfaces"),
    ("presets", "metrics", "models", "zoo", "video", "render", "records", "motion", "pipeline"),
    ("runtimes", "data", "serve", "telemetry"),
    ("segmentation",),
    ("train",),
    ("app",),
    ("api",),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {unit: number for number, units in enumerate(FLOORS) for unit in units}
# On the lowest floors a unit may use others of its own floor; from `presets` on, never.
SHARED_FLOORS = (0, 1)

ROOMS = {
    "torch": {"models", "zoo", "runtimes", "segmentation", "train", "app"},
    "safetensors": {"zoo"},
    "openvino": {"runtimes"},
    "nncf": {"runtimes"},
    "onnxruntime": {"runtimes"},
    "onnx": {"runtimes"},
    "av": {"video", "app"},
    "cv2": {"video", "render", "records", "motion", "data", "app"},
    "pyarrow": {"records"},
    "ray": {"app"},
    "fsspec": {"app"},
    "aiohttp": {"app"},
    "scipy": {"train"},
    "yaml": {"yaml_file", "runtimes"},
    "rich": {"cli"},
    "typer": {"cli"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "prometheus_client": set(),
    "threading": {"pipeline", "timing", "sound", "app", "render", "video", "runtimes"},
}


def unit_of(path: Path) -> str:
    """The unit a file belongs to: a folder of the package, or a module beside them."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Dotted names of everything a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def vidseg_units(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports_of(path) if name.startswith("vidseg.")}
    return {name for name in names if name in FLOOR_OF}


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_go_down_and_heavy_libraries_stay_in_their_rooms(path):
    unit = unit_of(path)
    assert unit in FLOOR_OF, f"{unit} has no floor yet; give it one"
    for other in vidseg_units(path) - {unit}:
        below = FLOOR_OF[other] < FLOOR_OF[unit]
        beside = FLOOR_OF[other] == FLOOR_OF[unit] and FLOOR_OF[unit] in SHARED_FLOORS
        assert below or beside, f"{path}: {unit} must not import {other}"
    for name in imports_of(path):
        room = ROOMS.get(name.split(".")[0])
        assert room is None or unit in room, f"{path}: {name} belongs to {room}"


def test_no_unit_imports_itself_in_a_circle():
    graph: dict[str, set[str]] = {}
    for path in FILES:
        graph.setdefault(unit_of(path), set()).update(vidseg_units(path) - {unit_of(path)})
    done: set[str] = set()
    while ready := {unit for unit in graph if unit not in done and graph[unit] <= done | (set(FLOOR_OF) - set(graph))}:
        done |= ready
    assert done == set(graph), f"circle among {set(graph) - done}"


def import_with_blocked(blocked: tuple[str, ...], modules: list[str]) -> subprocess.CompletedProcess[str]:
    code = f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\nimport {', '.join(modules)}\n"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=60)


def modules_of(*units: str) -> list[str]:
    """Dotted names of all modules of these units."""
    paths = [path for path in FILES if unit_of(path) in units and path.name != "__init__.py"]
    return [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in paths]


@pytest.mark.parametrize(
    ("blocked", "units"),
    [
        (("torch",), ("video", "render", "records", "motion", "data", "pipeline", "cli", "presets", "config")),
        (("av", "cv2"), ("models", "runtimes", "segmentation", "pipeline", "cli")),
        (("torch", "av", "cv2"), ("pipeline", "cli", "presets", "labels", "frames", "metrics")),
        (("torch", "av", "cv2"), ("serve", "telemetry")),
        (("starlette", "uvicorn"), ("app", "cli", "telemetry")),
        (("scipy", "av"), ("train", "data", "metrics")),
        (("pyarrow",), ("records",)),
        (("fsspec", "aiohttp"), ("app", "cli")),
    ],
)
def test_units_import_without_the_libraries_they_must_not_need(blocked, units):
    result = import_with_blocked(blocked, modules_of(*units))
    assert result.returncode == 0, result.stderr


def test_only_the_pipeline_starts_threads():
    for path in FILES:
        if unit_of(path) != "pipeline":
            text = path.read_text(encoding="utf-8")
            assert "Thread(" not in text and "ThreadPool" not in text, path
