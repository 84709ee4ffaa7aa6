from __future__ import annotations

import pytest

from tests.render.scenes import CAR
from vidseg.render.options import VIEWS, RenderOptions
from vidseg.render.window_state import KEY_HELP, MESSAGE_SECONDS, Action, WindowState

ESC, TAB = "\x1b", "\t"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def state(**options: object) -> WindowState:
    return WindowState(RenderOptions(**options), clock=Clock())  # type: ignore[arg-type]


def press(window: WindowState, *keys: str) -> list[Action]:
    return [action for key in keys if (action := window.handle_key(ord(key))) is not None]


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("q", Action.QUIT),
        (ESC, Action.QUIT),
        (" ", Action.TOGGLE_PAUSE),
        ("p", Action.TOGGLE_PAUSE),
        (".", Action.STEP),
        ("s", Action.SCREENSHOT),
        ("L", Action.LOOP),
        ("o", Action.LOOP),
        ("[", Action.SLOWER),
        ("]", Action.FASTER),
        ("r", Action.RECORD),
    ],
)
def test_keys_that_are_for_the_caller(key: str, action: Action) -> None:
    assert press(state(), key) == [action]


def test_escape_leaves_full_screen_first_and_quits_then() -> None:
    window = WindowState(RenderOptions(), fullscreen=True)
    assert press(window, ESC) == [] and not window.fullscreen
    assert press(window, ESC) == [Action.QUIT]


def test_q_quits_from_full_screen() -> None:
    assert press(WindowState(RenderOptions(), fullscreen=True), "q") == [Action.QUIT]


def test_pause_toggles_and_a_step_pauses_for_good() -> None:
    window = state()
    press(window, " ")
    assert window.paused and window.message == "paused"
    press(window, "p")
    assert not window.paused and window.message == "playing"
    press(window, ".", ".")
    assert window.paused


def test_tab_cycles_the_views() -> None:
    window = state()
    seen = []
    for _ in VIEWS[:-1]:
        press(window, TAB)
        seen.append((window.options.view, window.message))
    assert seen == [(view, f"view: {view}") for view in ("mask", "side", "stack", "split", "overlay")]


def test_b_goes_to_side_by_side_and_back() -> None:
    window = state(view="mask")
    press(window, "b")
    assert window.options.view == "side"
    press(window, "b")
    assert window.options.view == "overlay"


@pytest.mark.parametrize(("more", "less"), [("+", "-"), ("=", "_"), ("0", "9")])
def test_opacity_goes_in_steps_of_ten_percent_and_stops_at_the_ends(more: str, less: str) -> None:
    window = state(opacity=0.5)
    press(window, more)
    assert window.options.opacity == 0.6 and window.message == "opacity 60 %"
    press(window, *[more] * 9)
    assert window.options.opacity == 1.0
    press(window, *[less] * 3)
    assert window.options.opacity == 0.7
    press(window, *[less] * 20)
    assert window.options.opacity == 0.0 and window.message == "opacity 0 %"


@pytest.mark.parametrize(("key", "field"), [("l", "legend"), ("c", "labels")])
def test_legend_and_class_names_are_switches(key: str, field: str) -> None:
    window = state()
    press(window, key)
    assert getattr(window.options, field) is True
    press(window, key)
    assert getattr(window.options, field) is False
    assert window.message is not None and window.message.endswith(" off")


@pytest.mark.parametrize("view", ["overlay", "mask", "side"])
def test_overlay_off_shows_the_source_alone_but_still_blurred(view: str) -> None:
    window = state(view=view, contours=True, legend=True, labels=True, blur_classes=(CAR,))
    before = window.effective_options
    press(window, "m")
    assert window.effective_options == RenderOptions(opacity=0.0, blur_classes=(CAR,))
    press(window, "m")
    assert window.effective_options == before == window.options


def test_choosing_a_view_turns_the_overlay_on_again() -> None:
    window = state()
    press(window, "m", "+")
    assert window.overlay_on and window.effective_options.opacity == 0.6


def test_full_screen_figures_and_help_are_switches() -> None:
    window = state()
    press(window, "f", "i", "?")
    assert window.fullscreen and window.show_stats and window.show_help
    press(window, "f", "i", "h")
    assert not window.fullscreen and not window.show_stats and not window.show_help


def test_messages_run_out() -> None:
    clock = Clock()
    window = WindowState(RenderOptions(), clock=clock)
    assert window.message is None
    window.say("hello")
    clock.now += MESSAGE_SECONDS - 0.01
    assert window.message == "hello"
    clock.now += 0.02
    assert window.message is None


@pytest.mark.parametrize("codes", [(65361, 65363, 65364, 65362), (2424832, 2555904, 2621440, 2490368)])
def test_arrows_go_back_and_on(codes: tuple[int, ...]) -> None:
    window = state()
    assert [window.handle_key(code) for code in codes] == [Action.BACK, Action.ON, Action.FAR_BACK, Action.FAR_ON]


@pytest.mark.parametrize(
    ("code", "name"), [(ord("x"), "x"), (ord("Q"), "Q"), *((code, "this key") for code in (13, -60, 65474))]
)
def test_other_keys_say_that_they_do_nothing(code: int, name: str) -> None:
    window = state()
    assert window.handle_key(code) is None
    assert window.options == RenderOptions() and window.message == f"{name}: does nothing; h shows the keys"


@pytest.mark.parametrize("code", [-1, 0, 225, 65505, 65507, 65513, 65027, 65407])
def test_keys_that_are_held_with_others_say_nothing(code: int) -> None:
    window = state()
    assert window.handle_key(code) is None and window.message is None


def test_the_key_help_names_keys_that_work() -> None:
    words = {"Esc": ord(ESC), "Space": ord(" "), "Tab": ord(TAB)}
    words |= {"Left": 65361, "Right": 65363, "Down": 65364, "Up": 65362}
    for keys, _ in KEY_HELP:
        for key in keys.split():
            window = state()
            before = (window.options, window.overlay_on, window.fullscreen, window.show_stats, window.show_help)
            action = window.handle_key(words[key] if key in words else ord(key))
            after = (window.options, window.overlay_on, window.fullscreen, window.show_stats, window.show_help)
            assert action is not None or before != after, key
