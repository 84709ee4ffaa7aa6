"""What the makers of networks write into their files and beside them, each in the words of vidseg's YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vidseg.runtimes.makers import focoos, huggingface, mmdeploy, paddle, ultralytics
from vidseg.runtimes.makers.description import Description


def description_of(network: Path, notes: Mapping[str, str]) -> Description | None:
    """What the first maker whose files are found says; None where there are none.

    Args:
        notes: metadata of the network file.
    Raises:
        ConfigError: a file is damaged, or the network is of another kind.
    """
    found = ultralytics.described(network, notes)
    for maker in (huggingface, focoos, paddle, mmdeploy):
        if found is None:
            found = maker.described(network)
    return found
