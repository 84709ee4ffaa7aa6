"""COCO's run-length encoding of a mask, the compressed form that pycocotools reads and writes.

Run lengths go down the columns, one column after the other, and begin with the zeros. From the fourth on, each is
replaced by its difference to the one two before. The numbers are written in characters of 5 bits, lowest first, signed
by the highest bit of the last; bit 6 says that more follow, and 48 is added to make them printable.

Source: github.com/cocodataset/cocoapi, common/maskApi.c (`rleEncode`, `rleToString`). Different here: all runs at once,
in NumPy.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def encode_rle(mask: npt.NDArray[np.bool_]) -> dict[str, object]:
    """{"size": [H, W], "counts": "..."} of a mask (H, W): what `pycocotools.mask.decode` takes."""
    height, width = mask.shape
    return {"size": [height, width], "counts": compressed(run_lengths(mask))}


def run_lengths(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Lengths of the runs of a mask (H, W) down its columns, zeros first: the first one is 0 where the mask begins
    with a one. Their sum is H * W."""
    height, width = mask.shape
    # Edges are found in the rows as they lie in memory and sorted afterwards: they are few, pixels are many.
    rows, columns = np.nonzero(mask[1:] != mask[:-1])
    bottoms_before = np.concatenate(([False], mask[-1, :-1]))
    tops = np.flatnonzero(mask[0] != bottoms_before)
    edges = np.sort(np.concatenate((columns * height + rows + 1, tops * height)))
    return np.diff(edges, prepend=0, append=height * width).astype(np.int64)


def compressed(counts: npt.NDArray[np.int64]) -> str:
    """The run lengths (N,) as COCO's string."""
    left = counts.copy()
    left[3:] -= counts[1:-2]
    characters = []
    used = []
    unfinished = np.ones(len(left), dtype=np.bool_)
    while unfinished.any():
        low = left & 0x1F
        left >>= 5  # keeps the sign
        more = left != np.where(low & 0x10, -1, 0)
        characters.append(low + 0x20 * more + 48)
        used.append(unfinished)
        unfinished = unfinished & more
    # (characters, N) -> in the order of the numbers, each with its own characters
    return np.stack(characters, axis=1)[np.stack(used, axis=1)].astype(np.uint8).tobytes().decode("ascii")
