"""Class scores averaged over time along the motion, so that labels do not flicker.

Exponential moving average on the coarse grid, before any label is chosen: what a cell shows is looked up where it was
one frame ago, and the older the memory the less it counts. How much it counts is decided cell by cell: where the
picture there is not what the motion says (newly seen, motion not found), the memory is not believed.

The motion is found by a `MotionTracker` that is handed in, because it needs OpenCV and this folder does without.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vidseg.defaults import MEMORY_SECONDS
from vidseg.frames import Frame, UInt8Array
from vidseg.interfaces import MotionTracker
from vidseg.saved_state import State
from vidseg.segmentation.class_scores import ClassScores, GivenScores, alive
from vidseg.segmentation.scene_memory import SHARE, SceneMemory, cells

MARGIN = 0.15
"""By this share of its score another class has to be better to replace the one before, where the memory is believed."""
RESIDUAL_SCALE = 15.0
"""Grey levels by which a cell may miss what the motion says before its memory counts 1/e."""


def places(flow: Tensor) -> Tensor:
    """(h, w, 2) where each cell was, as (x, y) in cells, by a backward flow (h, w, 2) in cells."""
    h, w, _ = flow.shape
    return cells(h, w, flow.device) + flow


def neighbours(where: Tensor) -> tuple[Tensor, Tensor]:
    """The 16 cells around the places `where` (h, w, 2), as (x, y) in cells, for `moved_maps`, and how much each counts.

    Cubic: done linearly frame after frame, it would blur thin things away (poles, signs).

    Returns:
        (h * w, 16) their numbers in maps with 2 cells of edge before and 3 after, and their shares, of a sum of 1.
    """
    h, w, _ = where.shape
    inside = torch.minimum(where.clamp(min=-1), where.new_tensor([w, h]))  # farther out there is nothing else to see
    low = inside.floor()
    x, y = low.int().unbind(dim=-1)  # their first neighbour is one before, and two were put before all
    first = (y + 1) * (w + 5) + x + 1
    step = torch.arange(4, dtype=torch.int32, device=where.device)
    around = first.view(-1, 1) + (step[:, None] * (w + 5) + step).flatten()
    across, down = _cubic((inside - low).movedim(-1, 0)).unbind(dim=1)  # (4, h, w) each
    return around, (down[:, None] * across).view(16, -1).T.contiguous()


def moved_maps(maps: Tensor, near: tuple[Tensor, Tensor]) -> Tensor:
    """(N, h, w) maps >= 0 looked up at the places of which these are the `neighbours`; edges repeat.

    With the 16 cells around each place as rows of N scores to be summed, by itself it takes two thirds (N = 11) to a
    third (N = 32) of the time of `grid_sample`, whose cubic (a = -0.75, PyTorch's and OpenCV's) it is.
    """
    # (N, h, w) -> with edges (N, h + 5, w + 5) -> a row for each cell (cells, N)
    rows = F.pad(maps[None], (2, 3, 2, 3), mode="replicate")[0].flatten(1).T.contiguous()
    around, shares = near
    found = F.embedding_bag(around, rows, mode="sum", per_sample_weights=shares).T.contiguous().view(maps.shape)
    # it overshoots beside steps; what did so again and again would grow without end
    return torch.minimum(found.clamp_(min=0), maps.amax(), out=found)


def _cubic(t: Tensor) -> Tensor:
    """(4, ...) weights of the four neighbours of places `t` 0..1 between the inner two."""
    squared = t * t
    cubed = squared * t
    before, after = 0.75 * (2 * squared - cubed - t), 0.75 * (cubed - squared)
    inner = 1.25 * cubed - 2.25 * squared + 1
    return torch.stack([before, inner, 1 - before - inner - after, after])


def trust(where: Tensor, residual: Tensor) -> Tensor:
    """(h, w) 0..1: how far the memory of a cell is to be believed; 0 for what was outside the picture.

    Args:
        where: (h, w, 2) as (x, y) in cells, where each cell was.
        residual: (h, w) grey levels by which the frame before, moved along, misses the new one.
    """
    h, w = residual.shape
    x, y = where.unbind(dim=-1)
    inside = (x > -0.5) & (y > -0.5) & (x < w - 0.5) & (y < h - 0.5)
    return torch.exp(-((residual / RESIDUAL_SCALE) ** 2)) * inside


def favoured(maps: Tensor, index: Tensor, bonus: Tensor) -> Tensor:
    """`maps` (N, h, w) with, around each cell, the one of `index` (h, w) raised by up to the share `bonus` (h, w).

    A cell's choice counts 1/4 for itself and 1/16 to 1/8 for its neighbours: raised in whole cells, two classes that
    are nearly equal would meet in stairs of the size of a cell, and a line one cell wide would never fade.
    """
    _, h, w = maps.shape
    padded = F.pad(index[None, None].to(maps.dtype), (1, 1, 1, 1), mode="replicate")[0].long()
    spread = maps.new_zeros(len(maps), h + 2, w + 2).scatter_(0, padded, 1.0)
    for _ in range(2):  # weights 1 2 1 in both directions; sums of slices take a third of the time of avg_pool2d
        spread = spread[:, 1:] + spread[:, :-1]
        spread = spread[:, :, 1:] + spread[:, :, :-1]
    return maps * (1 + bonus / 16 * spread)


@dataclass(frozen=True, slots=True)
class _Memory:
    """Smoothed scores (N, h, w), the class of each map (N,) rising, and the winning class of each cell (h, w)."""

    scores: Tensor
    classes: Tensor
    winner: Tensor
    count: int
    """Of all classes, K."""
    total: Tensor | None
    """(h, w) smoothed sum over all classes, also those without a map; None where nobody asks for it."""
    scene: SceneMemory
    raised: Tensor | None = None
    """(h, w) by how much the margin multiplied the winner's score; only where the total is asked for."""


class ScoreSmoother:
    """Calm class scores, frame by frame.

    Remembers the smoothed scores and the winners of the last frame. Starts over on its own at a scene cut, another
    size, or a jump back in time; `reset()` is due before frames of another video.

    Args:
        tracker: follows the motion; not to be used by anyone else.
        seconds: above 0; after this time a frame counts 1/e. In seconds, so that it means the same at any frame rate
            and any stride.
        margin: 0..1; share by which another class has to be better to replace the last one.
        scene_share: 0..1; how much of what a place has been for seconds counts, see `SceneMemory`.
    """

    def __init__(
        self,
        tracker: MotionTracker,
        *,
        seconds: float = MEMORY_SECONDS,
        margin: float = MARGIN,
        scene_share: float = SHARE,
    ) -> None:
        self._tracker = tracker
        self._seconds = seconds
        self._margin = margin
        self._scene_share = scene_share
        self._memory: _Memory | None = None

    def reset(self) -> None:
        """Forget all frames."""
        self._tracker.reset()
        self._memory = None

    def state(self) -> State:
        """The scores and winners of the last frame, and what the tracker remembers."""
        memory = self._memory
        kept: State | None = None
        if memory is not None:
            kept = {
                "scores": memory.scores.cpu().numpy(),
                "device": str(memory.scores.device),
                "classes": memory.classes.cpu().numpy(),
                "winner": memory.winner.cpu().numpy(),
                "count": memory.count,
                "total": None if memory.total is None else memory.total.cpu().numpy(),
                "scene": memory.scene.scores.cpu().numpy(),
                "scene_classes": memory.scene.classes.cpu().numpy(),
            }
        return {"tracker": self._tracker.state(), "memory": kept}

    def restore(self, state: State) -> None:
        """Go on after the frame of `state`, on the device of then."""
        self._tracker.restore(state["tracker"])
        kept = state["memory"]
        if kept is None:
            self._memory = None
            return
        device = torch.device(kept["device"])
        names = ("scores", "classes", "winner", "scene", "scene_classes")
        scores, classes, winner, scene, scene_classes = (torch.from_numpy(kept[name]).to(device) for name in names)
        total = None if kept["total"] is None else torch.from_numpy(kept["total"]).to(device)
        self._memory = _Memory(scores, classes, winner, kept["count"], total, SceneMemory(scene, scene_classes))

    @property
    def total(self) -> Tensor:
        """(h, w) what the winner of the last frame's maps is to be divided by for its share of all scores.

        That is the smoothed total, raised as the winner was: the margin decides between classes, and makes none surer.
        """
        memory = self._memory
        assert memory is not None and memory.total is not None, "`smooth` was given no total"
        return memory.total if memory.raised is None else memory.total * memory.raised

    def smooth(
        self, frame: Frame, scores: ClassScores | Tensor, total: Tensor | None = None
    ) -> tuple[Tensor, UInt8Array]:
        """Maps (N, h, w) of which the largest is to win, and the class of each (N,), rising.

        The maps are those of all classes that can still win, each with its last winners raised by the margin.

        Args:
            frame: the next one in time.
            scores: its scores of K classes, K at most 256, or all of them as maps (K, h, w), >= 0.
            total: (h, w) their sum, where `total` is wanted; then in every frame.
        """
        if isinstance(scores, Tensor):
            scores = GivenScores(scores)
        motion = self._tracker.follow(frame)
        memory = self._memory
        fits = memory is not None and (memory.count, *memory.scores.shape[1:]) == (scores.count, *scores.grid_hw)
        classes, smoothed = scores.contenders()  # (N,) ids, rising, and (N, h, w)
        maps = base = smoothed
        if motion is not None and memory is not None and fits:
            # memory (P, h, w) and frame (N, h, w) have maps of other classes: both become (M, h, w), one map for each
            # class that either can win with, in the order of ids; a class that only memory has is asked of the frame
            kept = alive(memory.scores)
            remembered = memory.classes[kept]
            missing = torch.unique(torch.cat([remembered, memory.scene.classes]))
            missing = missing[torch.isin(missing, classes, invert=True)]
            fresh, (classes, order) = torch.cat([smoothed, scores.of(missing)]), torch.cat([classes, missing]).sort()
            h, w = scores.grid_hw
            flow, residual = (torch.from_numpy(part).to(fresh.device) for part in motion.on_grid((h, w)))
            where = places(flow)  # (h, w, 2)
            weight = trust(where, residual) * math.exp(-motion.seconds / self._seconds)
            before = fresh.new_zeros(len(classes), h, w)  # 0 where memory has no map: it has died out there
            near = neighbours(where)
            before[torch.searchsorted(classes, remembered)] = moved_maps(memory.scores[kept], near)
            smoothed = torch.lerp(fresh[order], before, weight)
            if total is not None and memory.total is not None:
                total = torch.lerp(total, moved_maps(memory.total[None], near)[0], weight)
            x, y = where.round().long().unbind(dim=-1)
            last = memory.winner[y.clamp(0, h - 1), x.clamp(0, w - 1)]  # (h, w) ids, as they moved
            scene, which, added = memory.scene.moved_on(smoothed, classes, flow, residual, motion.seconds)
            base = smoothed.clone()
            base[which] = base[which].add_(added, alpha=self._scene_share).clamp_(min=0)
            # ids -> places among the maps; a class that won by what was remembered of it may not be there any more
            found = torch.searchsorted(classes, last).clamp_(max=len(classes) - 1)
            maps = favoured(base, found, self._margin * weight * (classes[found] == last))
        else:
            scene = SceneMemory.of(smoothed, classes)
        best, index = maps.max(dim=0)  # 0.1 ms; argmax over the first axis takes 0.6
        raised = None
        if total is not None and maps is not base:
            raised = best / base.gather(0, index[None])[0].clamp_min(torch.finfo(best.dtype).tiny)
        self._memory = _Memory(smoothed, classes, classes[index], scores.count, total, scene, raised)
        return maps, classes.to(torch.uint8).cpu().numpy()
