"""One thread that runs the model for several lanes of a grid in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from vidseg.frames import Frame, Segmentation
from vidseg.pipeline.buffer import Closed

Ask = Callable[[Sequence[tuple[int, Frame]]], list[Segmentation]]
"""Segments frames, each given with the number of its slot; one Segmentation per frame, in order."""


class InferenceWorker:
    """Serves slots round robin: whoever waits is served before any other is served twice.

    A context manager: leaving it waits for the model, ends the thread and lets go whoever waits (`Closed`). An error of
    the model ends the worker, and is raised in every slot, or on leaving where no slot has asked since.

    Args:
        ask: called on the worker's thread.
        slots: how many.
        batch: frames given to the model at once at most, each of another slot. None is waited for.
    """

    def __init__(self, ask: Ask, *, slots: int = 1, batch: int = 1) -> None:
        self._ask = ask
        self._batch = batch
        self._changed = threading.Condition()
        self._next = 0
        self._ended = False
        self._error: BaseException | None = None
        self._told = False
        self.slots = [Slot(self) for _ in range(slots)]
        self._thread = threading.Thread(target=self._work, name="vidseg-infer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._error is not None and not self._told and (error is None or isinstance(error, Closed)):
            raise self._error  # of the last frames: nobody has asked for them any more

    def close(self) -> None:
        """As leaving it, but an error that no slot has asked for is forgotten."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    def is_alive(self) -> bool:
        """True while its thread runs."""
        return self._thread.is_alive()

    def _turn(self) -> list[int]:
        """Numbers of the slots that are served next; empty where none waits."""
        count = len(self.slots)
        order = [(self._next + step) % count for step in range(count)]
        chosen = [number for number in order if self.slots[number]._waiting is not None][: self._batch]
        if chosen:
            self._next = (chosen[-1] + 1) % count
        return chosen

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or any(slot._waiting is not None for slot in self.slots))
                if self._ended:
                    return
                asked: list[tuple[int, Frame]] = []
                for number in self._turn():
                    frame = self.slots[number]._begin()
                    asked.append((number, frame))
            found: list[Segmentation] = []
            error = None
            try:
                found = list(self._ask(asked))
                assert len(found) == len(asked)
            except BaseException as raised:
                error = raised
            with self._changed:
                self._error = error
                for place, (number, _) in enumerate(asked):
                    self.slots[number]._end(found[place] if error is None else None)
                self._changed.notify_all()
            if error is not None:
                return


class Slot:
    """A place at the worker: at most one frame waits or is under way, or one result lies ready."""

    def __init__(self, worker: InferenceWorker) -> None:
        self._worker = worker
        self._changed = worker._changed
        self._waiting: Frame | None = None
        self._under_way = False
        self._found: Segmentation | None = None
        self.served = 0
        """Frames that the model was given."""

    @property
    def idle(self) -> bool:
        """True where no frame is at the model or waits for it, and no result lies ready."""
        with self._changed:
            return self._waiting is None and not self._under_way and self._found is None

    def give(self, frame: Frame) -> None:
        """Queue a frame; the slot has to be idle."""
        with self._changed:
            self._waiting = frame
            self._changed.notify_all()

    def replace(self, frame: Frame) -> bool:
        """Put a newer frame in the place of the one that waits; False where none waits."""
        with self._changed:
            if self._waiting is None:
                return False
            self._waiting = frame
            return True

    def take(self, timeout: float | None) -> Segmentation | None:
        """The result that is there, or comes in time; None where there is none.

        Raises:
            Closed: the worker has ended.
            Exception: what the model raised, for this slot or another.
        """
        worker = self._worker
        with self._changed:
            self._changed.wait_for(
                lambda: self._found is not None or worker._error is not None or worker._ended, timeout
            )
            if worker._error is not None:
                worker._told = True
                raise worker._error
            if self._found is None and worker._ended:
                raise Closed
            found, self._found = self._found, None
            return found

    def reset(self) -> None:
        """Forget what waits and what lies ready; waits for what is under way."""
        with self._changed:
            self._waiting = None
            self._changed.wait_for(lambda: not self._under_way)
            self._found = None

    # the worker's side, called with the lock held

    def _begin(self) -> Frame:
        frame, self._waiting = self._waiting, None
        assert frame is not None
        self._under_way = True
        self.served += 1
        return frame

    def _end(self, found: Segmentation | None) -> None:
        self._under_way = False
        self._found = found
