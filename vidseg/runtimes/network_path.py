"""Which files a name means: the network, and the YAML that describes it."""

from __future__ import annotations

from pathlib import Path

from vidseg.errors import ConfigError
from vidseg.runtimes.model_format import FOREIGN_ENDINGS, NETWORK_ENDINGS, yaml_beside
from vidseg.yaml_file import read_yaml

_USUAL = ("model.onnx", "onnx/model.onnx", "end2end.onnx", "openvino_model.xml", "model.xml")
_YAMLS = (".yaml", ".yml")


def find_network(name: str) -> tuple[Path, Path | None]:
    """The network and its YAML, if it has one, of the name of a network, a YAML or a folder.

    Raises:
        ConfigError: there is none, or several, or it is of a kind that no engine here opens.
    """
    given = Path(name)
    ending = given.suffix.casefold()
    if ending in FOREIGN_ENDINGS:
        if not given.exists():
            raise ConfigError(f"{name}: no such file")
        if _is_own_weights(given):
            raise ConfigError(
                f"{name}: contains weights of a vidseg model; give --weights {name}, and with -m its name"
            )
        words = {"name": given.name, "stem": given.stem, "folder": given.parent}
        how = FOREIGN_ENDINGS[ending].format(**words)
        raise ConfigError(f"{name}: cannot be run here; convert it to ONNX first: {how}")
    if given.is_dir():
        given = _in_folder(given)
    elif ending not in NETWORK_ENDINGS:
        if ending not in _YAMLS:
            kinds = ", ".join(NETWORK_ENDINGS)
            raise ConfigError(f"{name}: no such network file or folder; accepted: {kinds}, a YAML, or a folder")
        return _network_of(given), given
    if not given.is_file():
        raise ConfigError(f"{name}: no such network file")
    whole, stem = yaml_beside(given), given.with_suffix(".yaml")  # the whole name tells siblings apart
    places = (whole, whole.with_suffix(".yml"), stem, stem.with_suffix(".yml"))
    return given, next((place for place in places if place.is_file()), None)


def _in_folder(folder: Path) -> Path:
    usual = [folder / name for name in _USUAL if (folder / name).is_file()]
    if usual:
        return usual[0]
    found = sorted(path for path in folder.iterdir() if path.suffix.casefold() in NETWORK_ENDINGS)
    if len(found) == 1:
        return found[0]
    kinds = ", ".join(NETWORK_ENDINGS)
    if found:
        raise ConfigError(
            f"{folder}: contains {len(found)} networks ({', '.join(path.name for path in found)}); name one"
        )
    foreign = sorted(path for path in folder.iterdir() if path.suffix.casefold() in FOREIGN_ENDINGS)
    if foreign:  # the weights of a training run rather than where it was
        find_network(str(next((path for path in foreign if path.suffix == ".safetensors"), foreign[0])))
    raise ConfigError(f"{folder}: contains no network; accepted: {kinds}")


def _is_own_weights(path: Path) -> bool:
    from vidseg.zoo.file_labels import is_own_weights  # with torch, which is needed for this message only

    return is_own_weights(path)


def _network_of(yaml_path: Path) -> Path:
    content = read_yaml(yaml_path, missing="no such model description", accepted="docs/networks.md shows one")
    if isinstance(content, dict) and "file" in content:
        path = yaml_path.parent / str(content["file"])
        if path.suffix.casefold() not in NETWORK_ENDINGS:
            raise ConfigError(f"{yaml_path}: file is {content['file']}; accepted: {', '.join(NETWORK_ENDINGS)}")
        if not path.is_file():
            raise ConfigError(f"{yaml_path}: file {path} does not exist")
        return path
    whole = yaml_path.with_suffix("")  # net.onnx of net.onnx.yaml
    own = [whole] if whole.suffix.casefold() in NETWORK_ENDINGS else []
    for path in (*own, *map(yaml_path.with_suffix, NETWORK_ENDINGS)):
        if path.is_file():
            return path
    endings = ", ".join(NETWORK_ENDINGS)
    raise ConfigError(f"{yaml_path}: no network beside it ({endings}); name it with 'file: NAME'")
