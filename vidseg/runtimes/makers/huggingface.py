"""Exports of Hugging Face: `config.json` and `preprocessor_config.json` beside the network, or one folder up.

Source: transformers, `image_processing_segformer.py`, `image_processing_mask2former.py`,
`image_processing_maskformer.py`, `image_processing_eomt.py`, `image_processing_mobilevit.py`. `do_reduce_labels`
concerns the labels of training, never the channels, and is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidseg.errors import ConfigError
from vidseg.runtimes.makers.description import Description, names_of, read_json, whole

_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_RESAMPLES = {0: "nearest", 1: "bicubic", 2: "bilinear", 3: "bicubic", 4: "bilinear", 5: "bilinear"}
_EXACT = (0, 2, 3)
_QUERIES = ("maskformer", "mask2former", "oneformer")
_BY_SHORT_SIDE = ("mobilevit", "mobilenet")
"""Others for whom a plain number is the short side."""
_LONGEST_OF_QUERY_MODELS = 2048


def described(network: Path) -> Description | None:
    """None where neither file is there, or it is no network with classes. Raises ConfigError for damaged files."""
    folders = [network.parent, *([network.parent.parent] if network.parent.name == "onnx" else [])]
    folder = next((each for each in folders if (each / "config.json").is_file()), None)
    if folder is None:
        return None
    path = folder / "config.json"
    config = read_json(path)
    if "id2label" not in config:
        return None
    labels = names_of(config["id2label"], f"{path}: id2label")
    beside = next((f / "preprocessor_config.json" for f in folders if (f / "preprocessor_config.json").is_file()), None)
    if beside is None:
        return Description("Hugging Face", (path,), labels=labels)
    given = read_json(beside)
    kind = str(config.get("model_type", ""))
    assumed: list[str] = []
    values = _normalisation(given) | _geometry(beside, given, kind, assumed)
    return Description("Hugging Face", (path, beside), input=values, labels=labels, assumed=tuple(assumed))


def _normalisation(given: Mapping[str, Any]) -> dict[str, Any]:
    factor = given.get("rescale_factor", 1 / 255) if given.get("do_rescale", True) else 1
    values: dict[str, Any] = {"channels": "BGR" if given.get("do_flip_channel_order") else "RGB"}
    # 1 / 0.00392156862745098 is 255.00000000000003; what it is meant to be is exact in float32
    values["divide_by"] = round(1 / factor, 6) if isinstance(factor, int | float) and factor else factor
    if given.get("do_normalize", "do_flip_channel_order" not in given):  # MobileViT's, who alone turn RGB, do without
        values |= {"mean": given.get("image_mean", _IMAGENET[0]), "std": given.get("image_std", _IMAGENET[1])}
    return values


def _geometry(path: Path, given: Mapping[str, Any], kind: str, assumed: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    resample = given.get("resample", 2)
    values["resample"] = _RESAMPLES.get(resample, "bilinear")
    if resample not in _EXACT:
        assumed.append(f"resample {resample} is treated as {values['resample']}")
    steps = [given[key] for key in ("size_divisor", "size_divisibility", "ensure_multiple_of") if key in given]
    default = 32 if not steps and _maker(given, kind).startswith(("maskformer", "mask2former")) else None
    step = next(filter(None, map(whole, steps)), default)
    if given.get("do_resize", True):
        values |= _size(path, given, kind)
    if given.get("do_split_image"):
        assumed.append(
            "its makers cut pictures into square windows; here the network sees the whole picture, or --tiles"
        )
    if given.get("do_center_crop"):
        assumed.append("its makers cut out the middle of pictures; here the network sees the whole picture")
    eomt, size = "eomt" in _maker(given, kind), values.get("size")
    if _has_queries(given, kind):
        # both sides are stretched to the next multiple; only pictures of a batch are padded, to the size of the largest
        values |= {"align": "corner", "padding": _mean_colour(values | _normalisation(given)), "rounding": "up"}
    elif given.get("do_pad"):
        # EoMT pads before it normalises, others what is normalised
        padding = [0, 0, 0] if eomt else _mean_colour(values | _normalisation(given))
        values |= {"resize": "letterbox", "align": "corner", "padding": padding}
        if eomt and isinstance(size, dict) and size.get("short") == size.get("longest"):
            values["size"] = [size["short"], size["short"]]
    if step:
        values["multiple_of"] = step
    return values


def _size(path: Path, given: Mapping[str, Any], kind: str) -> dict[str, Any]:
    size = given.get("size")
    if isinstance(size, dict):
        if "height" in size and "width" in size:
            return {"size": [whole(size["height"]) or 0, whole(size["width"]) or 0], "resize": "stretch"}
        short, long = whole(size.get("shortest_edge")), whole(size.get("longest_edge"))
    else:
        short, long = whole(size), whole(given.get("max_size"))
        if short and not any(word in _maker(given, kind) for word in (*_QUERIES, *_BY_SHORT_SIDE)):
            return {"size": [short, short], "resize": "stretch"}
        long = long or (_LONGEST_OF_QUERY_MODELS if short and _has_queries(given, kind) else None)
    if short:
        return {"size": {"short": short, **({"longest": long} if long else {})}}
    if long:
        return {"size": {"long": long}}
    if size is None:
        return {}
    raise ConfigError(
        f"{path}: size is {str(size)[:60]!r}; accepted: a number, height and width, shortest_edge, longest_edge"
    )


def _maker(given: Mapping[str, Any], kind: str) -> str:
    return str(given.get("image_processor_type") or given.get("feature_extractor_type") or kind).casefold()


def _has_queries(given: Mapping[str, Any], kind: str) -> bool:
    return any(word in _maker(given, kind) for word in _QUERIES)


def _mean_colour(values: Mapping[str, Any]) -> list[int]:
    """They pad what is normalised already with 0, which is the mean colour."""
    divide_by, mean = values.get("divide_by", 1), values.get("mean", 0)
    levels = mean if isinstance(mean, list) else [mean] * 3
    try:
        return [min(255, max(0, round(float(level) * float(divide_by)))) for level in levels]
    except (TypeError, ValueError):
        return [0, 0, 0]
