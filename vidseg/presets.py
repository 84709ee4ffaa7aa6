"""Named sets of run options: YAML files that hold data only.

In a checkout they lie in `presets/` beside the package, in an installed wheel in `vidseg/_presets`; only this module
knows where.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidseg.config import OPTIONS, RunConfig
from vidseg.configure import checked, merge
from vidseg.errors import ConfigError
from vidseg.yaml_file import read_yaml

_PACKAGE = Path(__file__).resolve().parent
_NOT_IN_FILES = frozenset({"trust_model"})
"""A file must not declare a model trusted: its author may have made the model too."""
_FOLDERS = (_PACKAGE / "_presets", _PACKAGE.parent / "presets")


@dataclass(frozen=True, slots=True)
class Preset:
    """One named set of options."""

    name: str
    description: str
    options: Mapping[str, Any]


def presets_folder() -> Path:
    """The folder with the shipped presets.

    Raises:
        ConfigError: the installation is damaged.
    """
    for folder in _FOLDERS:
        if any(folder.glob("*.yaml")):
            return folder
    raise ConfigError("the presets are missing from this installation; install vidseg again")


def preset_names() -> list[str]:
    """Names of the shipped presets, sorted."""
    return sorted(path.stem for path in presets_folder().glob("*.yaml"))


def read_preset(name: str) -> Preset:
    """A shipped preset by name.

    Raises:
        ConfigError: unknown name (names the nearest known one), or the file is damaged.
    """
    known = preset_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ConfigError(f"unknown preset '{name}'; {hint}known: {', '.join(known)}")
    path = presets_folder() / f"{name}.yaml"
    values = read_options(path)
    if "preset" in values:
        raise ConfigError(f"{path}: a preset cannot name another preset; write its options out")
    return Preset(name, str(_read_yaml(path).get("description", "")), values)


def read_options(path: Path) -> dict[str, Any]:
    """The checked options of a YAML file: keys of `RunConfig`, plus an optional `description`.

    Raises:
        ConfigError: no such file, not YAML, not a mapping, an unknown key, a bad value.
    """
    values = _read_yaml(path)
    values.pop("description", None)
    options = checked(str(path), values)
    if not _NOT_IN_FILES.isdisjoint(options):
        raise ConfigError(f"{path}: trust_model can be given on the command line only (--trust-model); remove it here")
    return options


def resolve(flags: Mapping[str, Any], *, config_file: Path | None = None) -> RunConfig:
    """The configuration of a run: defaults < preset < config file < flags.

    The preset is the one named by the flags, else by the config file. Raises ConfigError as `read_options` does.
    """
    given = checked("command line", flags)
    from_file = read_options(config_file) if config_file is not None else {}
    layers: list[tuple[str, Mapping[str, Any]]] = []
    name = given.get("preset", from_file.get("preset"))
    if name is not None:
        layers.append((f"preset {name}", read_preset(name).options))
    return merge(*layers, (str(config_file), from_file), ("command line", given))


def schema() -> dict[str, Any]:
    """The JSON schema of config files, made from the table of options; a preset is one that names no preset.

    Editors that know YAML schemas complete and check with it.
    """
    options: dict[str, Any] = {"description": {"description": "What the file is for, in one line."}}
    for name, entry in OPTIONS.items():
        if name in _NOT_IN_FILES:
            continue
        options[name] = {"description": entry.texts()[0], "anyOf": [dict(entry.check.schema), {"type": "null"}]}
        if entry.default is not None:
            options[name]["default"] = entry.default
        if "_" in name:
            options[name.replace("_", "-")] = {"$ref": f"#/properties/{name}"}
    options["preset"]["anyOf"] = [{"enum": preset_names()}, {"type": "null"}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Options of a vidseg run",
        "type": ["object", "null"],
        "properties": options,
        "additionalProperties": False,
    }


def _read_yaml(path: Path) -> dict[str, Any]:
    accepted = "write one 'option: value' per line"
    values = read_yaml(path, missing="no such config file", accepted=accepted)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: contains a {type(values).__name__}; {accepted}")
    return values
