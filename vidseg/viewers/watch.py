"""Shows results in the window: the loop between the pipeline and the keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.options import Result
from vidseg.pipeline.pipeline import Pipeline
from vidseg.render.window import Window
from vidseg.render.window_state import Action, WindowStatus
from vidseg.viewers.player import Player
from vidseg.viewers.recorder import Recorder

POLL_MS = 20


class Watch:
    """Shows results until they end, the user quits, or the run says so.

    Args:
        live: whether frames have an age, and some are dropped.
        hold: pause after every picture, and after the last one until the user quits: for folders of images.
        publish: called with every result that is shown.
    """

    def __init__(
        self,
        window: Window,
        player: Player,
        recorder: Recorder,
        *,
        live: bool,
        hold: bool,
        publish: Callable[[Result], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._window = window
        self._player = player
        self._recorder = recorder
        self._live = live
        self._hold = hold
        self._stop: Callable[[], bool] = lambda: False
        self._publish = publish
        self._clock = clock
        self._drawing_ms: float | None = None
        self._goals: list[float] = []

    def watch(self, results: Buffer[Result], pipeline: Pipeline, stop: Callable[[], bool]) -> float | None:
        """Show the results of one pipeline. The time at which another is to go on; None: it is over.

        Args:
            stop: looked at many times a second. An error of the run ends the loop too, paused or not.
        """
        self._stop = stop
        self._goals.clear()
        step, shown = True, False
        while not self._stop() and not results.cancelled:
            if self._window.paused and not step:
                actions = self._keys(POLL_MS)
            else:
                try:
                    result = results.get(timeout=POLL_MS / 1000)
                except TimeoutError:
                    actions = self._keys(1)
                except Closed:
                    return self._ended(results, shown)
                else:
                    if pipeline.stale(result):
                        continue
                    actions = self._show(result, pipeline)
                    shown, step = True, False
                    if self._hold:
                        self._window.state.paused = True
            if Action.QUIT in actions:
                return None
            if self._goals:
                self._recorder.stop()  # what is recorded goes on in time
                return self._goals[-1]
            step = step or self._steps(actions)
        return None

    def _steps(self, actions: list[Action]) -> bool:
        """True where the next picture is asked for."""
        return Action.STEP in actions or (self._hold and Action.TOGGLE_PAUSE in actions)

    def _keys(self, wait_ms: int) -> list[Action]:
        actions = self._window.poll(wait_ms)
        if self._hold:  # the next picture is on its way already
            actions = [Action.STEP if action is Action.ON else action for action in actions]
        if Action.TOGGLE_PAUSE in actions:
            self._player.resume()
        if Action.RECORD in actions:
            self._record()
        goal = self._player.follow(actions, self._window.state.say)
        if goal is not None:
            self._goals.append(goal)
        return actions

    def _show(self, result: Result, pipeline: Pipeline) -> list[Action]:
        """Wait until the frame is due, show it, and return what the keys asked for meanwhile."""
        window, frame = self._window, result.frame
        actions: list[Action] = []
        while not window.paused and not self._stop() and Action.QUIT not in actions and not self._goals:
            wait = self._player.wait_seconds(frame.seconds)
            if wait <= 0:
                break
            actions += self._keys(max(1, min(POLL_MS, round(wait * 1000))))
        if self._goals:
            return actions
        age = pipeline.age_seconds(frame) if self._live else None
        status = WindowStatus(
            fps=pipeline.output_rate.rate,
            latency_ms=None if age is None else 1000 * age,
            dropped=pipeline.dropped if self._live else None,
            frame_index=frame.index,
            seconds=frame.seconds,
            speed=self._player.speed,
            costs_ms=self._costs(pipeline),
            placeholder=frame.placeholder,
        )
        start = self._clock()
        window.show(frame.image, result.segmentation, status)
        spent = 1000 * (self._clock() - start)
        self._drawing_ms = spent if self._drawing_ms is None else self._drawing_ms + (spent - self._drawing_ms) / 16
        pipeline.stats.shown += 1
        self._player.position = frame.seconds
        self._recorder.offer(result)
        self._tell_recording()
        if self._publish is not None:
            self._publish(result)
        return actions + self._keys(1)

    def _costs(self, pipeline: Pipeline) -> Mapping[str, float]:
        costs = {stage: time.ms_per_frame for stage, time in pipeline.timers.totals().items() if stage != "finish"}
        return costs if self._drawing_ms is None else {**costs, "window": self._drawing_ms}

    def _record(self) -> None:
        state = self._window.state
        try:
            if self._recorder.status()["state"] == "on":
                self._recorder.stop()
                self._recorder.end_unwanted()
            else:
                self._recorder.start(state.effective_options)
                state.recorded = 0.0
        except ValueError as error:
            state.say(str(error))
        self._tell_recording()

    def _tell_recording(self) -> None:
        """Have the window say how far the recording is, or what became of it."""
        state, told = self._window.state, self._recorder.status()
        if told["state"] == "on":
            state.recorded = told["seconds"]
        elif state.recorded is not None:
            state.recorded = None
            state.say(told["message"])

    def _ended(self, results: Buffer[Result], shown: bool) -> float | None:
        """Nothing more comes: start again, or wait at the last picture if there is one to look at."""
        if results.cancelled:
            return None
        goal = self._player.again() if shown else None
        if goal is None and self._hold:
            goal = self._hold_last(results)
        if goal is not None:
            self._recorder.stop()
            self._player.resume()
        return goal

    def _hold_last(self, results: Buffer[Result]) -> float | None:
        """Wait at the last picture; as `watch`."""
        say = self._window.state.say
        say("the last picture; q quits")
        while not self._stop() and not results.cancelled and not self._goals:
            actions = self._keys(POLL_MS)
            if Action.QUIT in actions:
                return None
            if self._steps(actions):
                again = self._player.again()
                if again is not None:
                    return again
                say("the last picture; q quits")
        return self._goals[-1] if self._goals else None
