"""`vidseg presets`: list the named sets of options, or show one."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vidseg.cli.options import option


def presets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Print this preset as YAML.")] = None,
    schema: Annotated[
        bool, option("--schema", help_text="Print the JSON schema of preset and config files, for editors.")
    ] = False,
) -> None:
    """List presets, or print one as YAML to start your own --config file from.

    Examples: `vidseg presets`, `vidseg presets street`.
    """
    from vidseg import presets as shipped

    if schema:
        print(json.dumps(shipped.schema(), indent=2))
        return
    if name is None:
        width = max(map(len, shipped.preset_names()))
        for known in shipped.preset_names():
            print(f"{known:{width}}  {shipped.read_preset(known).description}")
        return
    preset = shipped.read_preset(name)
    print((shipped.presets_folder() / f"{preset.name}.yaml").read_text(encoding="utf-8"), end="")
