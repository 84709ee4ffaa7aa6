"""Writes golden.json: what this implementation computes, to notice when a change moves it.

Run `python -m tests.models.make_golden` from the repository root, and only after the numbers in reference.json, which
come from the reference implementation, have been found to hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.models.fixture_rule import fill_model, fixture_tensor
from vidseg.models import ModelOutput, create_model, model_names

PATH = Path(__file__).with_name("golden.json")
SIZES = ((64, 96), (65, 97))


def semantic_labels(output: ModelOutput) -> Tensor:
    """(B, H, W) class ids: argmax over classes of the class probability times mask probability, summed over queries."""
    return torch.einsum("bqk,bqhw->bkhw", output.class_probs, output.mask_probs).argmax(dim=1)


def winner_labels(output: ModelOutput) -> Tensor:
    """(B, H, W) class ids: the class of the query with the largest best class probability times mask probability."""
    scores, labels = output.class_probs.max(dim=-1)
    owners = (scores[:, :, None, None] * output.mask_probs).argmax(dim=1)
    return labels.gather(1, owners.flatten(1)).view_as(owners)


def summary(output: ModelOutput) -> dict[str, Any]:
    """Numbers that pin an output of batch 1: means, a few samples, and how many pixels each class takes."""
    class_probs, mask_probs = output.class_probs[0].double(), output.mask_probs[0].double()
    height, width = mask_probs.shape[-2:]
    labels, counts = semantic_labels(output).unique(return_counts=True)
    return {
        "class_square_mean": round(class_probs.square().mean().item(), 8),
        "mask_mean": round(mask_probs.mean().item(), 6),
        "mask_square_mean": round(mask_probs.square().mean().item(), 6),
        "best_class_probs": [round(value, 5) for value in class_probs.amax(dim=1)[::25].tolist()],
        "centre_mask_probs": [round(value, 5) for value in mask_probs[::25, height // 2, width // 2].tolist()],
        "label_pixels": {str(label): count for label, count in zip(labels.tolist(), counts.tolist(), strict=True)},
    }


def main() -> None:
    """Write the file."""
    golden = {}
    for name in model_names():
        model = create_model(name)
        fill_model(model, name)
        with torch.inference_mode():
            golden[name] = {f"{h}x{w}": summary(model(fixture_tensor(h, w))) for h, w in SIZES}
    lines = (f"{json.dumps(name)}: {json.dumps(values)}" for name, values in golden.items())
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
