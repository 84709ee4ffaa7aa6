"""The window's place in a file and its speed, as the keys change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidseg.render.window_state import Action
from vidseg.timing import clock_time
from vidseg.wiring.pacing import Pacer

SPEEDS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)


@dataclass(frozen=True, slots=True)
class Reach:
    """Times that can be gone to, in presentation seconds of the frames."""

    first: float
    end: float | None
    """None where unknown."""
    step: float = 5.0
    far: float = 60.0
    picture: float | None = None
    """Time from one picture to the next, where the pictures are separate ones."""

    def place(self, seconds: float) -> str:
        """What to call a time: "0:05 of 1:30", "picture 3 of 12"."""
        behind, whole = seconds - self.first, None if self.end is None else self.end - self.first
        if self.picture is not None:
            of = "" if whole is None else f" of {round(whole / self.picture)}"
            return f"picture {round(behind / self.picture) + 1}{of}"
        return clock_time(behind) + ("" if whole is None else f" of {clock_time(whole)}")


class Player:
    """What a window does with time: the pace of a file, the place in it, and whether it starts again.

    Args:
        pacer: for files; None shows each frame as it comes.
        reach: where arrows may go; None: nowhere.
        refusal: what is told where keys of time do nothing.
    """

    def __init__(
        self, pacer: Pacer | None = None, reach: Reach | None = None, refusal: str = "only for files that are watched"
    ) -> None:
        self._pacer = pacer
        self._reach = reach
        self._refusal = refusal
        self.loops = False
        self.position = 0.0 if reach is None else reach.first
        """Time of the frame that was shown last, or is gone to."""

    @property
    def speed(self) -> float:
        """Seconds of the file in a second."""
        return 1.0 if self._pacer is None else self._pacer.speed

    def wait_seconds(self, frame_seconds: float) -> float:
        """Until the frame is due; 0 without a pacer."""
        return 0.0 if self._pacer is None else self._pacer.wait_seconds(frame_seconds)

    def again(self) -> float | None:
        """Where to go on after the last frame; None: that was all."""
        return self._reach.first if self.loops and self._reach is not None else None

    def resume(self) -> None:
        """Start the schedule at the next frame: after a pause, or from another place."""
        if self._pacer is not None:
            self._pacer.reset()

    def follow(self, actions: Sequence[Action], say: Callable[[str], None]) -> float | None:
        """Do what keys ask for, and say it; the time to go on at, if that is another than before."""
        goal = None
        for action in actions:
            if action in (Action.BACK, Action.ON, Action.FAR_BACK, Action.FAR_ON):
                target = self._target(action, say)
                if target is not None:
                    goal = self.position = target
            elif action is Action.LOOP:
                self._loop(say)
            elif action in (Action.SLOWER, Action.FASTER):
                self._change_speed(1 if action is Action.FASTER else -1, say)
        if goal is not None:
            self.resume()
        return goal

    def _target(self, action: Action, say: Callable[[str], None]) -> float | None:
        reach = self._reach
        if reach is None:
            say(f"arrows: {self._refusal}")
            return None
        step = reach.far if action in (Action.FAR_BACK, Action.FAR_ON) else reach.step
        back = action in (Action.BACK, Action.FAR_BACK)
        target = max(reach.first, self.position - step if back else self.position + step)
        if reach.end is not None and target >= reach.end - 1e-6:
            target = max(self.position, reach.end - (reach.picture or min(step, 1.0)))
        say(reach.place(target))
        return None if target == self.position and not back else target

    def _loop(self, say: Callable[[str], None]) -> None:
        if self._reach is None:
            say(f"o: {self._refusal}")
            return
        self.loops = not self.loops
        say("loop on" if self.loops else "loop off")

    def _change_speed(self, by: int, say: Callable[[str], None]) -> None:
        if self._pacer is None or self._reach is None:
            say(f"[ ]: {self._refusal}")
            return
        number = min(max(0, SPEEDS.index(self._pacer.speed) + by), len(SPEEDS) - 1)
        self._pacer.speed = SPEEDS[number]
        self._pacer.reset()
        say(f"speed {self._pacer.speed:g}x")
