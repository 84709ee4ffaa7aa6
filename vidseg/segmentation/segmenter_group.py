"""Frames of several streams in one call of the network; what each stream remembers stays its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from vidseg.frames import Frame, Segmentation
from vidseg.segmentation.network_segmenter import NetworkSegmenter


class SegmenterGroup:
    """One segmenter per stream around one network. Called by one thread, with the frames of each stream in order."""

    def __init__(self, members: Sequence[NetworkSegmenter[Any]]) -> None:
        self._members = members

    @torch.inference_mode()
    def segment(self, asked: Sequence[tuple[int, Frame]]) -> list[Segmentation]:
        """One Segmentation per frame, in order.

        Frames that look alike to the network, whatever their own size, go through it together.

        Args:
            asked: number of the stream and its frame.
        """
        images = [self._members[number].prepare([frame]) for number, frame in asked]
        alike: dict[tuple[int, ...], list[int]] = {}
        for place, each in enumerate(images):
            alike.setdefault(tuple(each.shape), []).append(place)
        outputs: dict[int, Any] = {}
        for places in alike.values():
            member = self._members[asked[places[0]][0]]
            found = member.infer(torch.cat([images[place] for place in places]))
            outputs.update(zip(places, found, strict=True))
        return [self._members[number].finish(frame, outputs[place]) for place, (number, frame) in enumerate(asked)]
