"""`vidseg presets`: list the named sets of options, or show one."""

from __future__ import annotations

import json
from typing import Any

from vidseg.cli.options import argument, flag, made_of


@made_of(
    argument("name", str, "NAME", "Print this preset as YAML."),
    flag("schema", bool, "Print the JSON schema of preset and config files, for editors.", default=False),
)
def presets(given: dict[str, Any]) -> None:
    """List presets, or print one as YAML to start your own --config file from.

    Examples: `vidseg presets`, `vidseg presets street`.
    """
    from vidseg import presets as shipped

    name = given["name"]
    if given["schema"]:
        print(json.dumps(shipped.schema(), indent=2))
        return
    if name is None:
        width = max(map(len, shipped.preset_names()))
        for known in shipped.preset_names():
            print(f"{known:{width}}  {shipped.read_preset(known).description}")
        return
    preset = shipped.read_preset(name)
    print((shipped.presets_folder() / f"{preset.name}.yaml").read_text(encoding="utf-8"), end="")
