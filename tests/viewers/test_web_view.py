"""Pictures for viewers: drawn once, only when asked for, only of the newest frame."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.fakes import frame
from vidseg.frames import Segmentation, VideoInfo
from vidseg.labels import ade20k
from vidseg.pipeline.background import BackgroundTask
from vidseg.pipeline.options import Result, nothing_found
from vidseg.render.options import RenderOptions
from vidseg.serve.view import PictureSpec, Ticket
from vidseg.viewers import web_view
from vidseg.viewers.recorder import Recorder
from vidseg.viewers.web_view import WebView

pytestmark = pytest.mark.timeout(60)

SKY, PERSON = 2, 12
SIZE_HW = (16, 32)


def result(index: int, *, image=None) -> Result:
    """Sky on the left, a person on the right."""
    label_map = np.full(SIZE_HW, SKY, np.uint8)
    label_map[:, 16:] = PERSON
    item = frame(index, size_hw=SIZE_HW)
    if image is not None:
        item.image = image
    return Result(item, Segmentation(label_map, index))


class Waiter:
    """A viewer with one ticket."""

    def __init__(self, view: WebView, spec: PictureSpec | None = None, after: int = 0) -> None:
        self._done = threading.Event()
        self.picture = None
        self.ticket = Ticket(spec or PictureSpec(encoding="png"), after, self._take)
        view.ask(self.ticket)

    def _take(self, picture) -> None:
        self.picture = picture
        self._done.set()

    @property
    def answered(self) -> bool:
        return self._done.is_set()

    def wait(self):
        assert self._done.wait(10)
        return self.picture

    def pixels(self):
        data = np.frombuffer(self.wait().data, np.uint8)
        return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


def make_view(options: RenderOptions | None = None, clock=None, say=print, info=None) -> WebView:
    pipeline = SimpleNamespace(
        age_seconds=lambda item: 0.125,
        output_rate=SimpleNamespace(rate=24.5),
        input_rate=SimpleNamespace(rate=30.0),
        dropped=4,
        stats=SimpleNamespace(delivered=9),
    )
    info = info or VideoInfo(32, 16, frame(0).time_base, live=True)
    recorder = Recorder(None, info, say=print)
    facts = {"source": "s"}
    return WebView(
        pipeline,
        options or RenderOptions(),
        ade20k(),
        recorder,
        facts=facts,
        info=info,
        say=say,
        clock=clock or Clock(),
    )


@pytest.fixture
def encoded(monkeypatch) -> list[str]:
    """One entry per encoded picture."""
    calls: list[str] = []
    real = web_view.encode_picture

    def counted(picture, encoding, *, max_width=None):
        calls.append(encoding)
        return real(picture, encoding, max_width=max_width)

    monkeypatch.setattr(web_view, "encode_picture", counted)
    return calls


def drawing(view: WebView) -> BackgroundTask:
    return BackgroundTask("draw", view.draw, view.close)


def test_nothing_is_drawn_while_nobody_asks(encoded):
    view = make_view()
    with drawing(view):
        for index in range(5):
            view.publish(result(index))
    assert encoded == []


def test_a_frame_is_drawn_once_for_all_who_want_it_alike(encoded):
    view = make_view()
    with drawing(view):
        view.publish(result(0))
        pictures = [Waiter(view).wait() for _ in range(5)]
        assert len(encoded) == 1 and all(picture is pictures[0] for picture in pictures)
        Waiter(view, PictureSpec(view="mask")).wait()
        assert len(encoded) == 2
        view.publish(result(1))
        assert Waiter(view).wait().number == 2 and len(encoded) == 3


def test_a_picture_that_fails_blinds_nobody_else_and_does_not_fail_the_run(monkeypatch):
    real, said = web_view.encode_picture, []

    def fails(picture, encoding, *, max_width=None):
        if max_width == 480 and picture[0, 0, 0] == 0:
            raise ValueError("a strange picture\nand more")
        return real(picture, encoding, max_width=max_width)

    monkeypatch.setattr(web_view, "encode_picture", fails)
    view = make_view(say=said.append)
    with drawing(view):
        view.publish(result(0))
        unlucky = [Waiter(view, PictureSpec(max_width=480, opacity=0.0)) for _ in range(2)]
        assert Waiter(view).wait().number == 1
        assert not unlucky[0].answered and not unlucky[1].answered
        view.publish(result(1))
        assert [waiter.wait().number for waiter in unlucky] == [2, 2]
    assert said == ["a picture for a viewer failed (ValueError: a strange picture); the others continue"]


def test_who_is_slow_skips_frames(encoded):
    view = make_view()
    with drawing(view):
        view.publish(result(0))
        first = Waiter(view).wait()
        for index in range(1, 30):
            view.publish(result(index))
        assert (first.number, Waiter(view, after=1).wait().number) == (1, 30) and len(encoded) == 2


def test_who_has_the_newest_frame_waits_and_can_leave(encoded):
    view = make_view()
    with drawing(view):
        view.publish(result(0))
        stays, leaves = Waiter(view, after=1), Waiter(view, after=1)
        Waiter(view).wait()  # tickets are answered in order: those before it had their chance
        assert not stays.answered and not leaves.answered
        view.forget(leaves.ticket)
        view.publish(result(1))
        assert stays.wait().number == 2 and not leaves.answered


def test_the_end_answers_everybody():
    view = make_view()
    with drawing(view):
        waits = Waiter(view)
        view.publish(result(0))
        assert waits.wait().number == 1
        view.end()
        assert Waiter(view).wait().number == 1  # the last picture can still be seen
        waits = Waiter(view, after=1)
    assert waits.wait() is None and view.closed
    assert Waiter(view).wait() is None


def test_pictures_are_drawn_as_each_viewer_likes():
    view = make_view()
    palette = ade20k().palette
    with drawing(view):
        view.publish(result(100))
        mask = Waiter(view, PictureSpec("mask", encoding="png")).pixels()
        assert (mask[:, :16] == palette[SKY]).all() and (mask[:, 16:] == palette[PERSON]).all()
        hidden = Waiter(view, PictureSpec("overlay", 1.0, (SKY,), encoding="png")).pixels()
        assert (hidden[:, :16] == 100).all() and (hidden[:, 16:] == palette[PERSON]).all()
        assert Waiter(view, PictureSpec("side", encoding="png")).pixels().shape == (16, 64, 3)
        assert Waiter(view, PictureSpec("side", max_width=32, encoding="png")).pixels().shape == (8, 32, 3)


def test_what_is_to_be_blurred_is_blurred_whatever_a_viewer_asks_for():
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE_HW, 3), dtype=np.uint8)
    view = make_view(RenderOptions(blur_classes=(PERSON,), blur_margin=0))
    with drawing(view):
        view.publish(result(0, image=noise))
        for spec in (PictureSpec(opacity=0.0), PictureSpec("side", 0.0), PictureSpec(hidden=(PERSON,), opacity=0.0)):
            pixels = Waiter(view, PictureSpec(spec.view, 0.0, spec.hidden, encoding="png")).pixels()[:, :32]
            assert np.array_equal(pixels[:, :16], noise[:, :16])
            assert (pixels[:, 16:] != noise[:, 16:]).any(axis=2).mean() > 0.9


@pytest.mark.parametrize("spec", [PictureSpec("mask", encoding="png"), PictureSpec("side", encoding="png")])
def test_the_words_of_a_card_can_be_read_in_every_view(spec):
    noise = np.random.default_rng(0).integers(0, 255, (*SIZE_HW, 3), dtype=np.uint8)
    view = make_view(RenderOptions(blur_classes=(PERSON,)))
    card = frame(0, size_hw=SIZE_HW)
    card.image, card.placeholder = noise, True
    with drawing(view):
        view.publish(Result(card, nothing_found(card)))
        assert np.array_equal(Waiter(view, spec).pixels(), noise)


def test_a_stream_of_a_grid_is_seen_alone_in_every_view():
    tiles = (("left", (4, 0, 16, 16)), ("right", (4, 16, 16, 32)))
    view = make_view(info=VideoInfo(32, 16, frame(0).time_base, live=True, tiles=tiles))
    assert view.status()["streams"] == ["left", "right"]  # before the first picture, for who comes with an address
    palette = ade20k().palette
    shown = result(100)
    shown.segmentation.as_is = ((0, 0, 6, 32),)  # two rows of it are in the tiles
    with drawing(view):
        view.publish(shown)
        mask = Waiter(view, PictureSpec("mask", encoding="png", stream=1)).pixels()
        assert mask.shape == (12, 16, 3) and (mask[2:] == palette[PERSON]).all() and (mask[:2] == 100).all()
        side = Waiter(view, PictureSpec("side", encoding="png", stream=0)).pixels()
        assert side.shape == (12, 32, 3) and (side[2:, :16] == 100).all()
    assert view.stream_count == 2
    alone = [[(each["name"], each["share"]) for each in view.status(stream)["classes"]] for stream in (None, 0, 1)]
    assert alone == [[("sky", 0.5), ("person", 0.5)], [("sky", 1.0)], [("person", 1.0)]], alone


@pytest.mark.parametrize("kind", [{}, {"live": True, "from_files": True}])
def test_files_are_not_called_live_and_have_no_latency(kind):
    view = make_view(info=VideoInfo(32, 16, frame(0).time_base, **kind))
    view.publish(result(7))
    status = view.status()
    assert (status["state"], status["live"], status["latency_ms"]) == ("playing", False, None)


def test_the_default_is_what_the_options_say():
    spec = make_view(RenderOptions(opacity=0.3, classes=(SKY, PERSON), ignore_classes=(PERSON,))).default
    assert spec.opacity == 0.3 and SKY not in spec.hidden and len(spec.hidden) == 149


def test_status_tells_the_figures_and_all_classes_in_view():
    clock = Clock()
    view = make_view(RenderOptions(ignore_classes=(PERSON,)), clock)
    status = view.status()
    assert (status["state"], status["size"], status["classes"]) == ("waiting", None, [])
    view.publish(result(7))
    status = view.status()
    assert (status["state"], status["size"], status["frame"], status["source"]) == ("live", [32, 16], 7, "s")
    assert (status["fps"], status["source_fps"], status["latency_ms"], status["dropped"]) == (24.5, 30.0, 125, 4)
    assert [(seen["name"], seen["share"]) for seen in status["classes"]] == [("sky", 0.5), ("person", 0.5)]
    assert status["look"]["hidden"] == [PERSON]
    clock.now += 3
    assert view.status()["state"] == "waiting"
    view.end()
    assert view.status()["state"] == "ended"
    with pytest.raises(ValueError, match="ended"):
        view.start_recording(PictureSpec())


def test_a_frame_that_stays_in_view_does_not_fill_the_memory_with_its_pictures():
    view = make_view()
    view.publish(result(0))
    with BackgroundTask("draw", view.draw, view.close):
        for percent in range(100):
            Waiter(view, PictureSpec(opacity=percent / 100)).wait()
    assert len(view._made) <= web_view._KEPT_PICTURES
