"""Shows results in the window: the loop between the pipeline and the keys."""

from __future__ import annotations

from collections.abc import Callable

from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.options import Result
from vidseg.pipeline.pipeline import Pipeline
from vidseg.render.window import Window
from vidseg.render.window_state import Action, WindowStatus
from vidseg.wiring.pacing import Pacer

POLL_MS = 20


def watch(
    window: Window,
    results: Buffer[Result],
    pipeline: Pipeline,
    *,
    pacer: Pacer | None,
    hold: bool,
    stop: Callable[[], bool],
    publish: Callable[[Result], None] | None = None,
) -> None:
    """Show results until they end, the user quits, or `stop` says so.

    Args:
        pacer: for files; None shows each frame as it comes.
        hold: pause after every picture, and after the last one until the user quits: for folders of images.
        stop: looked at many times a second. An error of the run ends the loop too, paused or not.
        publish: told of every result that is shown.
    """

    def keys(wait_ms: int) -> set[Action]:
        actions = set(window.poll(wait_ms))
        if Action.TOGGLE_PAUSE in actions and pacer is not None:
            pacer.reset()
        return actions

    step = True
    while not stop() and not results.cancelled:
        if window.paused and not step:
            actions = keys(POLL_MS)
        else:
            try:
                result = results.get(timeout=POLL_MS / 1000)
            except TimeoutError:
                actions = keys(1)
            except Closed:
                if hold:
                    _hold_last(keys, lambda: stop() or results.cancelled)
                return
            else:
                if pipeline.stale(result):
                    continue
                actions = _show(window, result, pipeline, pacer, keys, stop)
                if publish is not None:
                    publish(result)
                step = False
                if hold:
                    window.state.paused = True
        if Action.QUIT in actions:
            return
        step = step or Action.STEP in actions or (hold and Action.TOGGLE_PAUSE in actions)


def _show(
    window: Window,
    result: Result,
    pipeline: Pipeline,
    pacer: Pacer | None,
    keys: Callable[[int], set[Action]],
    stop: Callable[[], bool],
) -> set[Action]:
    """Wait until the frame is due, show it, and return what the keys asked for meanwhile."""
    frame = result.frame
    actions: set[Action] = set()
    while pacer is not None and not window.paused and not stop() and Action.QUIT not in actions:
        wait = pacer.wait_seconds(frame.seconds)
        if wait <= 0:
            break
        actions |= keys(max(1, min(POLL_MS, round(wait * 1000))))
    status = WindowStatus(
        fps=pipeline.output_rate.rate,
        dropped=pipeline.dropped,
        frame_index=frame.index,
        seconds=frame.seconds,
        placeholder=frame.placeholder,
    )
    window.show(frame.image, result.segmentation, status)
    pipeline.stats.shown += 1
    return actions | keys(1)


def _hold_last(keys: Callable[[int], set[Action]], stop: Callable[[], bool]) -> None:
    while not stop() and not keys(POLL_MS) & {Action.QUIT, Action.STEP}:
        pass
