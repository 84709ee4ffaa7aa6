"""A file in a window whose keys ask for another place: opened anew there, by the frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.app.test_run import SilentReporter
from tests.fakes import FakeSegmenter
from tests.video.clips import make_clip
from vidseg.app import render as render_app
from vidseg.app import watching
from vidseg.app.watching import Replay, Watching, following
from vidseg.config import RunConfig
from vidseg.labels import ade20k
from vidseg.pipeline.options import PipelineOptions
from vidseg.pipeline.pipeline import Pipeline
from vidseg.render.options import RenderOptions
from vidseg.render.window_state import Action, WindowState
from vidseg.viewers.outputs import Viewers
from vidseg.wiring.pacing import Pacer
from vidseg.wiring.run_source import Announcements, open_run_source

pytestmark = pytest.mark.timeout(60)


class FakeWindow:
    """Shows into a list, and presses keys after the frames of these numbers in its own row."""

    keys: dict[int, list[Action]] = {}  # noqa: RUF012

    def __init__(self, title, options, labels=None):
        self.title = title
        self.state = WindowState(options)
        self.shown = []
        self.labels = []
        self._pressed = set()
        FakeWindow.last = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def paused(self):
        return self.state.paused

    def show(self, image, segmentation, status):
        self.shown.append(status.frame_index)
        self.labels.append(segmentation.label_map[0, 0])

    def poll(self, wait_ms):
        at = len(self.shown)
        if at in self._pressed:
            return []
        self._pressed.add(at)
        return self.keys.get(at, [])


class Hurried(Pacer):
    """Nothing waits."""

    def wait_seconds(self, frame_seconds):
        return 0.0


def watched(monkeypatch, config, keys):
    """The numbers of the frames that were shown, and the last pipeline."""
    monkeypatch.setattr(FakeWindow, "keys", keys)
    monkeypatch.setattr(watching, "Window", FakeWindow)
    monkeypatch.setattr(watching, "Pacer", Hurried)
    source = open_run_source(config, Announcements(), print)
    info = source.info

    def make(source, stats=None):
        options, carried = following(PipelineOptions(limit=config.limit), stats, still=info.still)
        return Pipeline(source, FakeSegmenter(), None, [], options=options, carried=carried)

    replay, viewers, labels = Replay(config, source, make), Viewers(config), ade20k()
    options = RenderOptions()
    with Watching(config, info, options, labels, SilentReporter(), viewers, lambda _: False, replay) as shown:
        pipeline = shown.run(make(source))
    return FakeWindow.last, pipeline, shown


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(make_clip(tmp_path_factory.mktemp("watched") / "clip.mp4", frames=300, rate=25))


def test_arrows_go_to_the_exact_frame_and_the_counts_go_on(monkeypatch, clip):
    config = RunConfig(source=clip, show=True)
    window, pipeline, shown = watched(monkeypatch, config, {3: [Action.ON], 5: [Action.BACK], 8: [Action.QUIT]})
    assert window.shown == [0, 1, 2, 127, 128, 3, 4, 5] and shown.moved
    assert pipeline.stats.shown == 8 and pipeline.stats.decoded >= 8


def test_a_part_stays_the_part(monkeypatch, clip):
    config = RunConfig(source=clip, show=True, start=1, end=3)
    keys = {2: [Action.FAR_BACK], 4: [Action.FAR_ON], 5: [Action.LOOP], 33: [Action.QUIT]}
    window, _, _ = watched(monkeypatch, config, keys)
    # a second before the end is 2 s; the loop begins at the start of the part
    assert window.shown == [25, 26, 25, 26, *range(50, 75), 25, 26, 27, 28]


def test_a_limit_is_counted_from_where_it_begins(monkeypatch, clip):
    window, _, _ = watched(monkeypatch, RunConfig(source=clip, show=True, limit=4), {2: [Action.ON]})
    assert window.shown == [0, 1, 126, 127, 128, 129]


def test_a_folder_is_paged_through(monkeypatch, tmp_path):
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((32, 32, 3), number, np.uint8))
    keys = {1: [Action.ON], 2: [Action.STEP], 3: [Action.BACK], 4: [Action.QUIT]}
    window, _, _ = watched(monkeypatch, RunConfig(source=str(tmp_path), show=True), keys)
    assert window.shown == [0, 1, 2, 1] and window.state.message == "picture 2 of 4"


def test_saved_masks_are_wound_with_their_clip(monkeypatch, tmp_path, clip):
    for number in range(200):
        cv2.imwrite(str(tmp_path / f"{number:06d}.png"), np.full((48, 64), number % 150, np.uint8))
    keys = {2: [Action.ON], 4: [Action.BACK], 6: [Action.ON], 7: [Action.ON]}  # at last behind the masks
    monkeypatch.setattr(FakeWindow, "keys", keys)
    monkeypatch.setattr(watching, "Window", FakeWindow)
    monkeypatch.setattr(watching, "Pacer", Hurried)
    monkeypatch.setattr(render_app, "find_display", lambda: None)
    outcome = render_app.render(RunConfig(source=clip, show=True), str(tmp_path), SilentReporter())
    assert FakeWindow.last.shown == [0, 1, 126, 127, 2, 3, 128]
    assert FakeWindow.last.labels == [number % 150 for number in FakeWindow.last.shown]
    assert outcome.exit_code == 0


def test_the_test_pattern_never_ends_by_itself(monkeypatch):
    keys = {301: [Action.FAR_BACK], 302: [Action.QUIT]}
    window, _, _ = watched(monkeypatch, RunConfig(source="test:32x32", show=True), keys)
    assert window.shown == [*range(301), 0]


def test_r_writes_a_file_of_what_is_seen(monkeypatch, tmp_path, clip):
    monkeypatch.chdir(tmp_path)
    keys = {1: [Action.RECORD], 6: [Action.RECORD], 9: [Action.QUIT]}
    _, _, shown = watched(monkeypatch, RunConfig(source=clip, show=True), keys)
    (path,) = tmp_path.iterdir()
    assert shown.recorded == [path.name] and not shown.failures
    with open_run_source(RunConfig(source=str(path)), Announcements(), print) as recording:
        assert sum(1 for _ in recording) == 5


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({}, ""),
        ({"save_csv": "t.csv"}, "not while something is written or sent"),
        ({"serve": "0"}, "not while something is written or sent"),
        ({"stats": "s.json"}, "not while something is written or sent"),
        ({"source": "test:32x32,realtime"}, "not for live sources"),
    ],
)
def test_what_is_live_written_or_sent_is_not_wound(options, refusal):
    config = replace(RunConfig(source="test:32x32", show=True), **options)
    with open_run_source(config, Announcements(), print) as source:
        replay = Replay(config, source, lambda source, stats=None: pytest.fail("not asked for"))
    assert replay.refusal == refusal and (replay.reach is None) == bool(refusal)


def test_pictures_say_how_to_go_on(monkeypatch, tmp_path):
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((32, 32, 3), np.uint8))
    window, _, _ = watched(monkeypatch, RunConfig(source=str(tmp_path), show=True), {1: [Action.QUIT]})
    assert window.state.message == "Space: the next picture, q: quit"
