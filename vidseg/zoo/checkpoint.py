"""Reads weights from files and checks that they fit a model.

Files are told apart by content, not by name. Pickles are read with `weights_only=True`: a file can bring tensors, never
code.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vidseg.errors import CheckpointError
from vidseg.names import counted
from vidseg.zoo.registry import entries

_WRAPPERS = ("model", "state_dict", "model_state_dict")
_PREFIXES = ("module.", "model.")  # DistributedDataParallel, Lightning
CLASSIFIER_WEIGHT = "head.predictor.forward_prediction_heads.classifier.weight"
"""Of shape (classes + 1, width)."""
_CLASS_KEYS = (
    CLASSIFIER_WEIGHT,
    "head.predictor.forward_prediction_heads.classifier.bias",
)
_ZIP_MAGIC = b"PK\x03\x04"


class _Forgotten:
    """Stands in for a NumPy value of a training checkpoint (a score, a learning rate): read over, not kept."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


# without these a checkpoint whose log holds one NumPy number would be refused, though its weights are plain tensors
_READ_OVER: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Forgotten, f"numpy.{name}")
    for name in (
        *(f"{core}.multiarray.{function}" for core in ("core", "_core") for function in ("scalar", "_reconstruct")),
        *("dtype", "ndarray", "float64", "float32", "int64"),
        *(f"dtypes.{kind}DType" for kind in ("Float64", "Float32", "Int64", "Bool")),
    )
]


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a weights file by state-dict key, on the CPU, in the shapes and types of the file.

    Reads `.safetensors` and what `torch.save` wrote: a state dict, or one under "model" or "state_dict", with or
    without a "module." or "model." before every key. Tensors may be views of the file: do not overwrite it in place
    while they live.

    Raises:
        CheckpointError: there is no such file, it is not a checkpoint, it holds Python objects, or no tensors.
    """
    path = Path(path)
    head = _first_bytes(path)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        raise CheckpointError(f"{path}: a web page, not a checkpoint; download the weights file itself")
    loaded = _read_safetensors(path) if head[8:9] == b"{" else _read_torch(path, zipped=head.startswith(_ZIP_MAGIC))
    tensors = _tensors_in(loaded)
    if not tensors:
        raise CheckpointError(
            f"{path}: contains no tensors; expected a state dict, or one under 'model' or 'state_dict'"
        )
    return tensors


def match(
    state_dict: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], model_name: str, path: str | Path
) -> dict[str, Tensor]:
    """The tensors of a checkpoint that a model loads, in float32.

    Batch counters and the criterion's buffers, which inference does not use, are neither asked for nor returned: load
    with `strict=False`, the strictness is here.

    Args:
        state_dict: as `read_checkpoint` returns it.
        expected: the model's state-dict keys and shapes.
        model_name, path: for the error text.
    Raises:
        CheckpointError: keys missing, too many or of another shape, not floating point, or not finite.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in state_dict.items() if not is_optional(key)}
    wanted = {key: tuple(shape) for key, shape in expected.items() if not is_optional(key)}
    if shapes != wanted:
        raise CheckpointError(f"{path}: {_misfit(shapes, wanted, model_name)}")
    matched = {}
    for key in wanted:
        tensor = state_dict[key]
        if not tensor.is_floating_point():
            raise CheckpointError(f"{path}: '{key}' is {tensor.dtype}, not floating point; give unquantised weights")
        matched[key] = tensor.to(torch.float32)
        if not torch.isfinite(matched[key]).all():
            raise CheckpointError(f"{path}: '{key}' contains NaN or infinity; the training run or the file is broken")
    return matched


def _first_bytes(path: Path) -> bytes:
    """The first 64 bytes. Raises CheckpointError unless it is a file with something in it."""
    try:
        if path.is_dir():
            inside = path / "weights.safetensors"
            which = str(inside) if inside.is_file() else "a weights file (.pth, .pt, .safetensors)"
            raise CheckpointError(f"{path}: a folder; give {which}")
        if path.exists() and not path.is_file():  # a FIFO would block for ever
            raise CheckpointError(f"{path}: not a regular file; give a weights file (.pth, .pt, .safetensors)")
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise CheckpointError(f"{path}: cannot be read ({_one_line(error)})") from error
    if not head:
        raise CheckpointError(f"{path}: the file is empty; download or copy it again")
    return head


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        detail = _one_line(error)
        raise CheckpointError(
            f"{path}: incomplete or damaged safetensors ({detail}); download or copy it again"
        ) from error


def _read_torch(path: Path, *, zipped: bool) -> Any:
    """What `torch.save` put into a file. `zipped` is False for the format before torch 1.6, which cannot be mapped."""
    try:
        with torch.serialization.safe_globals(_READ_OVER), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol of files that are refused anyway
            if zipped and path.suffix != ".safetensors":  # of a path with that ending torch believes the name
                return torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
            with path.open("rb") as file:
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL " in str(error):  # "Unsupported global: GLOBAL x", "unsupported GLOBAL x whose module is blocked"
            raise CheckpointError(
                f"{path}: contains Python objects, which are not loaded because they can run code; "
                "save only the weights: torch.save(model.state_dict(), FILE)"
            ) from error
        raise _not_a_checkpoint(path, zipped) from error
    except Exception as error:  # a damaged archive or pickle can raise nearly anything
        raise _not_a_checkpoint(path, zipped) from error


def _not_a_checkpoint(path: Path, zipped: bool) -> CheckpointError:
    if zipped:
        return CheckpointError(f"{path}: cut short, damaged, or not written by torch.save; download or copy it again")
    return CheckpointError(f"{path}: not a checkpoint; accepted: .pth or .pt of torch.save, .safetensors")


def _tensors_in(loaded: Any) -> dict[str, Tensor]:
    """The plain tensors of a state dict, out of its wrapper and without a common prefix."""
    for _ in range(2):  # {"model": {"state_dict": ...}} is as deep as they come
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded, dict) and key in loaded), None)
        if isinstance(inner, dict):
            loaded = inner
    if not isinstance(loaded, dict):
        return {}
    tensors = {str(key): value.detach() for key, value in loaded.items() if _is_plain_tensor(value)}
    for prefix in _PREFIXES:
        if tensors and all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    return tensors


def _is_plain_tensor(value: Any) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def is_optional(key: str) -> bool:
    """True for what inference does not use: batch counters and the criterion's buffers."""
    return ".criterion." in f".{key}" or key.endswith("num_batches_tracked")


def _misfit(file: Mapping[str, tuple[int, ...]], model: Mapping[str, tuple[int, ...]], model_name: str) -> str:
    """How a file differs from a model, and what it fits instead; one line without the path."""
    others = [known.name for known in entries() if model_name not in (known.name, *known.aliases) and known.fits(file)]
    missing = [key for key in model if key not in file]
    extra = [key for key in file if key not in model]
    reshaped = [key for key in model if key in file and file[key] != model[key]]
    if not missing and not extra and _only_classes_differ(file, model, reshaped):
        return (
            f"file has {_class_count(file)} classes, {model_name} has {_class_count(model)}; "
            "give weights for the same classes"
        )
    parts = []
    if missing:
        parts.append(f"{counted(len(missing), 'key')} missing (first '{_one_line(missing[0])}')")
    if reshaped:
        key = reshaped[0]
        parts.append(f"{len(reshaped)} of another shape (first '{key}': file {file[key]}, model {model[key]})")
    if extra and not (others and parts):
        parts.append(f"{len(extra)} that the model does not have (first '{_one_line(extra[0])}')")
    text = f"does not fit {model_name}: {', '.join(parts)}"
    if others:
        text += f"; it fits {others[0]}: use -m {others[0]}"
        count = _class_count(file)
        if count is not None and count != _class_count(model):
            text += f" (but the file has {count} classes)"
        return text
    return f"{text}; give weights of {model_name}"


def _only_classes_differ(
    file: Mapping[str, tuple[int, ...]], model: Mapping[str, tuple[int, ...]], reshaped: list[str]
) -> bool:
    return set(reshaped) <= set(_CLASS_KEYS) and all(
        len(file[key]) > 0 and file[key][1:] == model[key][1:] for key in reshaped
    )


def _class_count(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Number of classes; the classifier has one more row, "no object"."""
    shape = shapes.get(_CLASS_KEYS[0], ())
    return shape[0] - 1 if shape else None


def _one_line(error: object) -> str:
    lines = str(error).splitlines()
    return lines[0].strip()[:160] if lines else type(error).__name__
