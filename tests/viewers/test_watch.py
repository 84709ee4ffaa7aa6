"""The window loop with a window that is only pretended."""

from types import SimpleNamespace

import pytest

from tests.fakes import filled
from vidseg.pipeline.stats import RunStats
from vidseg.render.window_state import Action
from vidseg.viewers.watch import watch
from vidseg.wiring.pacing import Pacer

pytestmark = pytest.mark.timeout(10)


class FakeClock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class FakeWindow:
    """Shows into a list; a script of actions is handed out one poll at a time."""

    def __init__(self, script=(), clock=None):
        self.shown: list[int] = []
        self.polled_ms: list[int] = []
        self.state = SimpleNamespace(paused=False)
        self._script = list(script)
        self._clock = clock

    @property
    def paused(self):
        return self.state.paused

    def show(self, image, segmentation, status):
        self.shown.append(status.frame_index)

    def poll(self, wait_ms):
        self.polled_ms.append(wait_ms)
        if self._clock:
            self._clock.now += wait_ms / 1000
        actions = self._script.pop(0) if self._script else []
        for action in actions:
            if action is Action.TOGGLE_PAUSE:
                self.state.paused = not self.state.paused
            if action is Action.STEP:
                self.state.paused = True
        return actions


def run_watch(window, buffer, **options):
    pipeline = SimpleNamespace(
        stats=RunStats(), output_rate=SimpleNamespace(rate=1.0), dropped=0, stale=lambda result: False
    )
    settings = {"pacer": None, "hold": False, "stop": lambda: False, **options}
    watch(window, buffer, pipeline, **settings)
    return pipeline.stats


def test_every_result_is_shown_and_counted():
    window = FakeWindow()
    assert run_watch(window, filled(4)).shown == 4 and window.shown == [0, 1, 2, 3]


def test_what_is_shown_is_published_too():
    published: list[int] = []
    run_watch(FakeWindow(), filled(3), publish=lambda result: published.append(result.frame.index))
    assert published == [0, 1, 2]


def test_quit_ends_the_loop_at_once():
    window = FakeWindow([[], [Action.QUIT]])
    run_watch(window, filled(9))
    assert window.shown == [0, 1]


def test_stop_ends_the_loop_even_when_paused():
    looks = iter([False, False, False, True])
    window = FakeWindow([[Action.TOGGLE_PAUSE]])
    run_watch(window, filled(9), stop=lambda: next(looks))
    assert window.shown == [0]


@pytest.mark.parametrize("hold", [False, True])
def test_an_error_of_the_run_ends_the_loop_even_when_paused(hold):
    buffer = filled(1, close=False)

    class Window(FakeWindow):
        def poll(self, wait_ms):
            self.state.paused = True
            if len(self.polled_ms) == 5:
                buffer.cancel()
            return super().poll(wait_ms)

    run_watch(Window(), buffer, hold=hold)
    assert buffer.cancelled


def test_pause_holds_the_picture_and_step_takes_one_more():
    script = [[Action.TOGGLE_PAUSE], [], [], [Action.STEP], [], [Action.QUIT]]
    window = FakeWindow(script)
    run_watch(window, filled(9))
    assert window.shown == [0, 1]


def test_stills_wait_for_a_key_after_each_picture_and_after_the_last():
    script = [[], [Action.STEP], [], [], [Action.STEP], [], [Action.QUIT]]
    window = FakeWindow(script)
    run_watch(window, filled(2), hold=True)
    assert window.shown == [0, 1] and not window._script


def test_a_file_plays_at_its_own_speed():
    clock = FakeClock()
    window = FakeWindow(clock=clock)
    start = clock.now
    run_watch(window, filled(31), pacer=Pacer(clock))  # 30 fps: frame 30 is due after one second
    assert clock.now - start == pytest.approx(1.0, abs=0.05) and len(window.shown) == 31


def test_pacer_never_hurries_after_a_late_frame():
    clock = FakeClock()
    pacer = Pacer(clock)
    assert pacer.wait_seconds(0.0) == 0
    clock.now += 5  # the model took five seconds
    assert pacer.wait_seconds(0.1) == 0
    assert pacer.wait_seconds(0.2) == pytest.approx(0.1)


def test_pacer_waits_ten_seconds_at_most_and_starts_anew_after_reset():
    clock = FakeClock()
    pacer = Pacer(clock)
    pacer.wait_seconds(0.0)
    assert pacer.wait_seconds(3600.0) == 10
    pacer.reset()
    assert pacer.wait_seconds(3600.0) == 0
