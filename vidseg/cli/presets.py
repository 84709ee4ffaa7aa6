"""`vidseg presets`: list the named sets of options, or show one."""

from __future__ import annotations

from typing import Annotated

import typer


def presets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this one as YAML.")] = None,
) -> None:
    """List presets, or show one as a YAML file to start your own --config from."""
    from vidseg.presets import preset_names, presets_folder, read_preset

    if name is None:
        width = max(map(len, preset_names()))
        for known in preset_names():
            print(f"{known:{width}}  {read_preset(known).description}")
        return
    preset = read_preset(name)
    print((presets_folder() / f"{preset.name}.yaml").read_text(encoding="utf-8"), end="")
