"""The state from which another process can continue a run: one file that is complete or absent.

A state is made of plain values and arrays. In the file stands one line with the hash of the rest; the rest is a NumPy
archive of the arrays and of a JSON text with everything else. Nothing in it is ever run.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.atomic import write_whole_file
from vidseg.errors import ResumeError

State = dict[str, Any]
"""Names to None, bool, int, float, str, arrays (numbers only), and lists and dicts of these."""

_MAGIC = b"vidseg state 1 "
_ARRAY = "__array__"


def save_state(path: Path, state: State) -> None:
    """Put `state` under `path` in one step, flushed to the disk: a loss of power leaves the old file or the new one.

    Raises:
        WriteError: disk full, folder gone, no permission. The file that was there stays.
    """
    arrays: dict[str, Any] = {}
    text = json.dumps(_taken_out(state, arrays), allow_nan=False)
    buffer = io.BytesIO()
    np.savez(buffer, json=np.frombuffer(text.encode(), np.uint8), **arrays)
    body = buffer.getvalue()
    write_whole_file(path, _MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body, synced=True)


def load_state(path: Path) -> State:
    """What `save_state` wrote.

    Raises:
        ResumeError: the file cannot be read, is damaged, or is none of these.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ResumeError(f"{path}: cannot be read ({error.strerror}); remove its folder to start over") from error
    head, _, body = data.partition(b"\n")
    if not head.startswith(_MAGIC[:-2]):
        raise ResumeError(f"{path}: is not the state of a run; remove its folder to start over")
    if head != _MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise ResumeError(f"{path}: is damaged or of another version; remove its folder to start over")
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return dict(_put_back(json.loads(arrays.pop("json").tobytes()), arrays))


def _taken_out(value: Any, arrays: dict[str, Any]) -> Any:
    """`value` for JSON, its arrays put into `arrays` and named in their place."""
    if isinstance(value, np.ndarray):
        assert value.dtype.kind in "biuf", value.dtype
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, dict):
        return {key: _taken_out(item, arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_taken_out(item, arrays) for item in value]
    return value


def _put_back(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        return {key: _put_back(item, arrays) for key, item in value.items()}
    return [_put_back(item, arrays) for item in value] if isinstance(value, list) else value
