"""Labels that a network has chosen itself, made calm over time: the votes of past frames count along the motion.

Where scores come out of a network `temporal` averages them. Here each frame has one vote for a pixel, which fades with
time. A pixel keeps the two labels that have most votes; a third replaces the weaker one where it has more. All is kept
at the size of the labels, so that edges and thin things stay where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vidseg.defaults import MEMORY_SECONDS
from vidseg.frames import Frame
from vidseg.interfaces import MotionTracker
from vidseg.saved_state import State
from vidseg.segmentation.temporal import MARGIN, places, trust

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class _Votes:
    """The label with the most votes of each pixel, the second, (h, w) uint8, and their votes, (h, w) in 0..1."""

    first: Tensor
    second: Tensor
    of_first: Tensor
    of_second: Tensor


class LabelVotes:
    """Calm labels, frame by frame.

    Remembers the votes of the last frames. Starts anew by itself at a scene cut, another size, or a jump back in time;
    `reset()` is due before frames of another video.

    Args:
        tracker: follows the motion; not to be used by anyone else.
        seconds: above 0; after this time a vote counts 1/e.
        margin: 0..1; share of the votes by which another label has to be ahead to replace the one before.
    """

    def __init__(self, tracker: MotionTracker, *, seconds: float = MEMORY_SECONDS, margin: float = MARGIN) -> None:
        self._tracker = tracker
        self._seconds = seconds
        self._margin = margin
        self._votes: _Votes | None = None

    def reset(self) -> None:
        """Forget all frames."""
        self._tracker.reset()
        self._votes = None

    def state(self) -> State:
        """The votes, and what the tracker remembers."""
        votes = self._votes
        kept: State | None = None
        if votes is not None:
            kept = {name: getattr(votes, name).numpy() for name in _Votes.__slots__}
        return {"tracker": self._tracker.state(), "votes": kept}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`."""
        self._tracker.restore(state["tracker"])
        kept = state["votes"]
        self._votes = None if kept is None else _Votes(*(torch.from_numpy(kept[name]) for name in _Votes.__slots__))

    def smooth(self, frame: Frame, labels: Tensor) -> Tensor:
        """(h, w) uint8 labels with the most votes.

        Args:
            frame: the next one in time.
            labels: (h, w) uint8, what the network says of it; `NO_LABEL` votes as any other.
        """
        motion, votes = self._tracker.follow(frame), self._votes
        if motion is None or votes is None or votes.first.shape != labels.shape:
            nothing = torch.zeros(labels.shape)
            self._votes = _Votes(labels.clone(), labels.clone(), nothing + 1, nothing)
            return labels
        height, width = labels.shape
        flow, residual = (torch.from_numpy(part) for part in motion.on_grid((height, width)))
        where = places(flow)
        weight = trust(where, residual) * math.exp(-motion.seconds / self._seconds)
        # whole pixels are looked up; what is rounded up or down changes from frame to frame, so that none lag behind
        x, y = (where + frame.index * _GOLDEN % 1).floor().long().unbind(dim=-1)
        place = y.clamp_(0, height - 1) * width + x.clamp_(0, width - 1)
        first, second, of_first, of_second = (
            part.flatten()[place] for part in (votes.first, votes.second, votes.of_first, votes.of_second)
        )
        new = 1 - weight
        same, other = labels == first, labels == second
        of_first = of_first * weight + new * same
        of_second = of_second * weight + new * (other & ~same)
        third = ~(same | other) & (new > of_second)
        second, of_second = torch.where(third, labels, second), torch.where(third, new, of_second)
        ahead = of_second > of_first * (1 + self._margin * weight)
        self._votes = _Votes(
            torch.where(ahead, second, first),
            torch.where(ahead, first, second),
            torch.where(ahead, of_second, of_first),
            torch.where(ahead, of_first, of_second),
        )
        return self._votes.first
