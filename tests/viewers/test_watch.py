"""The window loop with a window that is only pretended."""

from types import SimpleNamespace

import pytest

from tests.fakes import filled
from vidseg.pipeline.buffer import Buffer
from vidseg.pipeline.stats import RunStats
from vidseg.render.options import RenderOptions
from vidseg.render.window_state import Action
from vidseg.timing import StageTime
from vidseg.viewers.player import Player, Reach
from vidseg.viewers.watch import Watch
from vidseg.wiring.pacing import Pacer

pytestmark = pytest.mark.timeout(60)


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
        self.said: list[str] = []
        self.statuses = []
        self.state = SimpleNamespace(
            paused=False, recorded=None, effective_options=RenderOptions(), say=self.said.append
        )
        self._script = list(script)
        self._clock = clock

    @property
    def paused(self):
        return self.state.paused

    def show(self, image, segmentation, status):
        self.shown.append(status.frame_index)
        self.statuses.append(status)

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


class FakeRecorder:
    """Says it records while it is told to."""

    def __init__(self, refusal=None):
        self.offered: list[int] = []
        self.on = False
        self._refusal = refusal

    def start(self, options):
        if self._refusal:
            raise ValueError(self._refusal)
        self.on = True

    def stop(self):
        self.on = False

    def end_unwanted(self):
        pass

    def offer(self, result):
        if self.on:
            self.offered.append(result.frame.index)

    def status(self):
        return {"state": "on" if self.on else "off", "seconds": len(self.offered) / 30, "message": "saved it"}


def fake_pipeline():
    return SimpleNamespace(
        stats=RunStats(),
        output_rate=SimpleNamespace(rate=1.0),
        dropped=2,
        stale=lambda result: False,
        age_seconds=lambda frame: 0.05,
        timers=SimpleNamespace(totals=lambda: {"model": StageTime(4, 2, 0.06)}),
    )


def goal_of(window, buffer, *, stop=lambda: False, player=None, recorder=None, pipeline=None, **options):
    settings = {"live": False, "hold": False, **options}
    watch = Watch(window, player or Player(), recorder or FakeRecorder(), **settings)
    return watch.watch(buffer, pipeline or fake_pipeline(), stop)


def run_watch(window, buffer, **options):
    pipeline = fake_pipeline()
    goal_of(window, buffer, pipeline=pipeline, **options)
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
    run_watch(window, filled(31), player=Player(Pacer(clock)))  # 30 fps: frame 30 is due after one second
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


MINUTE = Reach(0.0, 60.0)
ELSEWHERE = [Action.BACK, Action.ON, Action.FAR_BACK, Action.FAR_ON]


@pytest.mark.parametrize(
    ("keys", "goal", "said"),
    [
        ([Action.ON], 25.0, "0:25 of 1:00"),
        ([Action.BACK], 15.0, "0:15 of 1:00"),
        ([Action.ON, Action.ON, Action.ON], 35.0, "0:35 of 1:00"),
        ([Action.FAR_BACK], 0.0, "0:00 of 1:00"),
        ([Action.FAR_ON], 59.0, "0:59 of 1:00"),
    ],
)
def test_arrows_go_to_another_place_in_a_file(keys, goal, said):
    window, player = FakeWindow([keys]), Player(Pacer(FakeClock()), MINUTE)
    player.position = 20.0
    assert goal_of(window, Buffer(1), player=player) == goal and window.said[-1] == said


def test_nobody_goes_past_the_end():
    said = []
    player = Player(Pacer(FakeClock()), MINUTE)
    player.position = 59.5
    assert player.follow([Action.ON], said.append) is None and said == ["1:00 of 1:00"]


def test_the_wait_for_a_frame_ends_when_an_arrow_is_pressed():
    clock = FakeClock()
    window = FakeWindow([[], [], [Action.BACK]], clock)
    assert goal_of(window, filled(9), player=Player(Pacer(clock), MINUTE)) == 0.0
    assert window.shown == [0]


def test_an_arrow_works_while_paused_and_the_frame_there_is_shown():
    window = FakeWindow([[Action.TOGGLE_PAUSE], [], [Action.ON]])
    player = Player(Pacer(FakeClock()), MINUTE)
    assert goal_of(window, filled(9), player=player) == 5.0
    window._script = [[], [Action.QUIT]]
    assert goal_of(window, filled(9), player=player) is None and window.shown == [0, 0]


@pytest.mark.parametrize(("action", "key"), [*((each, "arrows") for each in ELSEWHERE), (Action.LOOP, "o")])
def test_where_time_cannot_be_changed_the_keys_say_why(action, key):
    window = FakeWindow([[action]])
    assert goal_of(window, filled(3), player=Player(refusal="not for live sources")) is None
    assert window.said == [f"{key}: not for live sources"] and window.shown == [0, 1, 2]


@pytest.mark.parametrize("action", [Action.SLOWER, Action.FASTER])
def test_the_speed_of_what_is_written_stays(action):
    clock = FakeClock()
    window = FakeWindow([[action]], clock)
    player = Player(Pacer(clock), None, "not while something is written or sent")
    goal_of(window, filled(3), player=player)
    assert window.said == ["[ ]: not while something is written or sent"] and player.speed == 1


def test_a_file_plays_at_twice_its_speed_and_at_half():
    for keys, seconds in (([Action.FASTER] * 3, 0.5), ([Action.SLOWER] * 2, 2.0)):
        clock = FakeClock()
        window = FakeWindow([keys], clock)
        goal_of(window, filled(31), player=Player(Pacer(clock), MINUTE))
        assert clock.now - 100 == pytest.approx(seconds, abs=0.1)
        assert window.statuses[-1].speed == 1 / seconds and window.said[-1] == f"speed {1 / seconds:g}x"


def test_speed_stops_at_the_ends():
    said = []
    player = Player(Pacer(FakeClock()), MINUTE)
    player.follow([Action.FASTER] * 20, said.append)
    assert said[-1] == "speed 4x"
    player.follow([Action.SLOWER] * 20, said.append)
    assert said[-1] == "speed 0.25x"


def test_a_loop_starts_again_at_the_end_until_it_is_switched_off():
    player = Player(None, MINUTE)
    assert goal_of(FakeWindow([[Action.LOOP]]), filled(3), player=player) == 0.0
    assert goal_of(FakeWindow([[Action.LOOP]]), filled(3), player=player) is None


@pytest.mark.parametrize("error", [False, True])
def test_a_loop_ends_where_nothing_was_shown_or_the_run_failed(error):
    player = Player(Pacer(FakeClock()), MINUTE)
    player.loops = True
    buffer = Buffer(1)
    buffer.cancel() if error else buffer.close()
    assert goal_of(FakeWindow(), buffer, player=player) is None


def test_arrows_turn_the_pages_of_a_folder():
    def pages():
        return Player(None, Reach(0.0, 12 / 30, step=1 / 30, far=10 / 30, picture=1 / 30))

    window = FakeWindow([[], [Action.ON], [], [], [Action.BACK]])
    assert goal_of(window, filled(4), hold=True, player=pages()) == pytest.approx(0)
    assert window.shown == [0, 1] and window.said == ["picture 1 of 12"]
    player, said = pages(), []
    assert player.follow([Action.FAR_ON, Action.FAR_ON], said.append) == pytest.approx(11 / 30)
    assert said == ["picture 11 of 12", "picture 12 of 12"]


def test_the_last_picture_stays_until_q():
    window = FakeWindow([[], [Action.STEP], [], [Action.ON], [Action.QUIT]])
    run_watch(window, filled(1), hold=True)
    assert window.shown == [0] and not window._script and set(window.said) == {"the last picture; q quits"}


def test_r_records_what_is_shown_until_r():
    recorder = FakeRecorder()
    window = FakeWindow([[Action.RECORD], [], [Action.RECORD]])
    goal_of(window, filled(5), recorder=recorder)
    assert recorder.offered == [1, 2] and window.said == ["saved it"] and window.state.recorded is None


def test_a_recording_ends_where_the_file_is_wound():
    recorder = FakeRecorder()
    window = FakeWindow([[Action.RECORD], [], [Action.BACK]])
    assert goal_of(window, filled(5), recorder=recorder, player=Player(None, MINUTE)) == 0.0 and not recorder.on


def test_where_nothing_can_be_recorded_r_says_so():
    window = FakeWindow([[Action.RECORD]])
    goal_of(window, filled(2), recorder=FakeRecorder("recording is off"))
    assert window.said == ["recording is off"] and window.state.recorded is None


def test_figures_tell_what_a_frame_costs_and_the_age_of_live_ones_only():
    window = FakeWindow()
    goal_of(window, filled(2))
    assert window.statuses[-1].costs_ms["model"] == pytest.approx(30) and window.statuses[-1].costs_ms["window"] >= 0
    assert (window.statuses[-1].latency_ms, window.statuses[-1].dropped) == (None, None)
    goal_of(window, filled(2), live=True)
    assert (window.statuses[-1].latency_ms, window.statuses[-1].dropped) == (50, 2)
