"""The house rules on imports: they only go down, heavy libraries stay in their rooms, nothing goes in circles."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "vidseg"

FLOORS = (
    (
        "errors",
        "confidence",
        "frames",
        "audio",
        "labels",
        "known_labels",
        "label_file",
        "timing",
        "atomic",
        "folder_lock",
        "names",
        "address",
        "saved_masks",
        "saved_state",
        "shares_over_time",
        "signals",
        "wildcards",
        "yaml_file",
        "cgroups",
        "cores",
        "memory",
        "gpu",
        "freed_memory",
        "opencv",
        "picture_size",
        "version",
        "defaults",
        "option",
        "option_words",
    ),
    ("config", "interfaces"),
    ("configure",),
    ("presets", "metrics", "models", "zoo", "video", "render", "motion", "pipeline"),
    ("sources", "sinks", "sending", "runtimes", "data", "serve", "telemetry"),
    ("segmentation",),
    ("train", "wiring"),
    ("viewers", "chunks"),
    ("app",),
    ("api", "batch", "commands"),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {unit: number for number, units in enumerate(FLOORS) for unit in units}
# On the lowest floors a unit may use others of its own floor; from `presets` on, never.
SHARED_FLOORS = (0, 1)

ROOMS = {
    "torch": {"models", "zoo", "runtimes", "segmentation", "train", "wiring", "commands", "batch"},
    "safetensors": {"zoo"},
    "openvino": {"runtimes"},
    "nncf": {"runtimes"},
    "onnxruntime": {"runtimes"},
    "onnx": {"runtimes"},
    "av": {"video", "sources", "sinks", "sending", "batch", "commands"},
    "cv2": {"video", "sources", "sinks", "sending", "render", "motion", "data", "batch", "commands"},
    "pyarrow": {"sinks"},
    "ray": {"batch"},
    "fsspec": {"batch"},
    "aiohttp": {"batch"},
    "scipy": {"train"},
    "yaml": {"yaml_file", "runtimes"},
    "rich": {"cli"},
    "typer": {"cli"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
    "prometheus_client": set(),
    "threading": {
        *("pipeline", "timing", "audio", "render", "video", "sources", "sinks", "sending", "runtimes"),
        *("wiring", "viewers", "chunks", "batch", "commands"),
    },
}
LARGEST_ROOM = 0.2
"""Of all lines."""
LONGEST_FILE = 450
LONGEST_FUNCTION = 80


def unit_of(path: Path) -> str:
    """The unit a file belongs to: a folder of the package, or a module beside them."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def nodes_of(path: Path, *, all_of_them: bool) -> Iterator[ast.AST]:
    """What is in a file; without `all_of_them` not what only a type checker reads."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        yield node
        for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        if for_types and not all_of_them:
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def imports_of(path: Path, *, all_of_them: bool = True) -> set[str]:
    """Dotted names of everything a file imports, at any depth."""
    found: set[str] = set()
    for node in nodes_of(path, all_of_them=all_of_them):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def vidseg_units(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports_of(path, all_of_them=False) if name.startswith("vidseg.")}
    return {name for name in names if name in FLOOR_OF}


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


ALL_FILES = sorted(PACKAGE.rglob("*.py"))
FILES = [path for path in ALL_FILES if path != PACKAGE / "__init__.py"]


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


def circle_among(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, the first such circle; dotted names by what they import."""
    graph = {}
    for module, names in imports.items():
        # `from a.b import c` is of the module a.b.c where there is one, else of a.b
        used = {name if name in imports else name.rpartition(".")[0] for name in names}
        graph[module] = {name for name in used if name in imports and name != module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle():
    assert circle_among({dotted(path): imports_of(path, all_of_them=False) for path in ALL_FILES}) == []


def test_a_circle_of_files_is_found():
    imports = {"a.run": {"a.split.piece", "os"}, "a.split": set(), "a.split.piece": {"a.run.options"}}
    assert set(circle_among(imports)) == {"a.run", "a.split.piece"}
    assert circle_among(imports | {"a.split.piece": {"a.options"}}) == []


def test_what_only_a_type_checker_imports_is_told_apart(tmp_path):
    path = tmp_path / "some.py"
    path.write_text("import os\nif TYPE_CHECKING:\n    import vidseg.api\nelse:\n    import json\n")
    assert imports_of(path) == {"os", "vidseg.api", "json"}
    assert imports_of(path, all_of_them=False) == {"os", "json"}


def test_no_room_and_no_file_is_too_large():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in ALL_FILES}
    rooms: dict[str, int] = {}
    for path, count in lines.items():
        assert count <= LONGEST_FILE, f"{path} has {count} lines"
        rooms[unit_of(path)] = rooms.get(unit_of(path), 0) + count
    room, count = max(rooms.items(), key=lambda item: item[1])
    assert count <= LARGEST_ROOM * sum(lines.values()), f"{room} has {count} of {sum(lines.values())} lines"


def test_no_function_is_too_long():
    found = {}
    for path in ALL_FILES:
        for node in nodes_of(path, all_of_them=True):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = (node.end_lineno or 0) - node.lineno + 1
                name = f"{dotted(path)}.{node.name}"
                if count > LONGEST_FUNCTION:
                    found[name] = count
    assert found == {}


def import_with_blocked(blocked: tuple[str, ...], modules: list[str]) -> subprocess.CompletedProcess[str]:
    code = f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\nimport {', '.join(modules)}\n"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, timeout=110)


def modules_of(*units: str) -> list[str]:
    """Dotted names of all modules of these units."""
    return [dotted(path) for path in FILES if unit_of(path) in units and path.name != "__init__.py"]


@pytest.mark.parametrize(
    ("blocked", "units"),
    [
        (
            ("torch",),
            (
                "video",
                "sources",
                "sinks",
                "sending",
                "render",
                "motion",
                "data",
                "pipeline",
                "cli",
                "presets",
                "config",
                "configure",
            ),
        ),
        (("av", "cv2"), ("models", "runtimes", "segmentation", "pipeline", "cli")),
        (("torch", "av", "cv2"), ("pipeline", "cli", "presets", "labels", "frames", "metrics")),
        (("torch", "av", "cv2"), ("serve", "telemetry")),
        (("starlette", "uvicorn"), ("wiring", "viewers", "chunks", "app", "batch", "commands", "cli", "telemetry")),
        (("scipy", "av"), ("train", "data", "metrics")),
        (("pyarrow",), ("sinks",)),
        (("fsspec", "aiohttp"), ("batch", "app", "cli")),
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


def test_openvino_is_imported_at_the_one_door_that_keeps_its_telemetry_out():
    plainly = re.compile(r"(import|from) openvino($|[. ])|import(orskip|_module)\(.openvino[\"'.]", re.MULTILINE)
    tests, here = PACKAGE.parent / "tests", Path(__file__)
    assert plainly.search("    import openvino\n") and plainly.search('pytest.importorskip("openvino")')
    found = {path for path in (*FILES, *tests.rglob("*.py")) if plainly.search(path.read_text(encoding="utf-8"))}
    assert found == {PACKAGE / "runtimes" / "openvino_import.py", here}
