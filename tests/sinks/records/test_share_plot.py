"""Class shares over time as a picture: counted in bounded memory, drawn where they belong."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from tests.fakes import frame
from vidseg.errors import SinkError
from vidseg.frames import Segmentation
from vidseg.labels import ade20k
from vidseg.render.share_plot import draw_shares
from vidseg.shares_over_time import ClassShares, SharesOverTime, count_ticks, edges_of, time_ticks
from vidseg.sinks.records.share_plot import SharePlotSink

SKY, CAR = 2, 20
PLOT = (slice(45, 503), slice(61, 1019))


def share_of(picture, class_id, columns=slice(None)):
    """The part of the plot that has this class's colour, where no grid line is over it."""
    colour = ade20k().palette[class_id]
    return float((picture[PLOT][:, columns] == colour).all(axis=2).mean())


def test_areas_lie_on_each_other_at_their_times():
    shares = ClassShares((0.0, 1.0), {SKY: (1.0, 0.25), CAR: (0.0, 0.5)})
    picture = draw_shares(shares, ade20k(), title="clip.mp4", end=2.0)
    first, second = slice(0, 479), slice(479, None)
    assert picture.shape == (560, 1280, 3) and share_of(picture, SKY, first) > 0.97
    assert share_of(picture, SKY, second) == pytest.approx(0.25, abs=0.02)
    assert share_of(picture, CAR, second) == pytest.approx(0.5, abs=0.02) and share_of(picture, CAR, first) == 0
    assert (picture[490, 1000] == ade20k().palette[SKY]).all()  # the largest at the bottom


def test_the_legend_names_the_rest():
    plain = draw_shares(ClassShares((0.0,), {SKY: (1.0,)}), ade20k(), title="", end=1.0)
    with_rest = draw_shares(ClassShares((0.0,), {SKY: (0.5,)}), ade20k(), title="", end=1.0)
    rows = [(picture[44:200, 1040:] < 100).any(axis=(1, 2)).sum() for picture in (plain, with_rest)]
    assert rows[1] > rows[0] + 10


def test_nothing_at_all_is_a_plot_too():
    assert draw_shares(ClassShares((), {}), ade20k(), title="x", end=0.0).shape == (560, 1280, 3)


@pytest.mark.parametrize(
    ("first", "end", "words"),
    [
        (0.0, 6.7, ["0:00", "0:01", "0:02", "0:03", "0:04", "0:05", "0:06"]),
        (25.0, 61.0, ["0:25", "0:30", "0:35", "0:40", "0:45", "0:50", "0:55", "1:00"]),
        (0.0, 7200.0, ["0:00", "15:00", "30:00", "45:00", "1:00:00", "1:15:00", "1:30:00", "1:45:00", "2:00:00"]),
        (0.0, 0.35, ["0 s", "0.05 s", "0.1 s", "0.15 s", "0.2 s", "0.25 s", "0.3 s", "0.35 s"]),
        (3.0, 3.0, ["3 s"]),
    ],
)
def test_times_on_the_scale_are_round(first, end, words):
    assert [text for _, text in time_ticks(first, end)] == words


def test_pictures_are_counted_in_whole_numbers():
    assert [words for _, words in count_ticks(1, 4)] == ["1", "2", "3", "4"]
    assert [words for _, words in count_ticks(1, 13)] == ["2", "4", "6", "8", "10", "12"]
    assert [n for n, _ in count_ticks(1, 3000)] == [500, 1000, 1500, 2000, 2500, 3000]


def test_stretches_are_as_wide_as_they_are_long():
    assert edges_of((0.0, 1.0), 4.0) == [0.0, 0.25, 1.0]
    assert edges_of((5.0,), 0.0) == [0.0, 1.0]


def test_what_is_at_the_top_counts_as_much_as_what_is_below():
    errors = []
    for rows in range(1, 40):  # of sky, above cars
        label_map = np.full((40, 4), CAR, np.uint8)
        label_map[:rows] = SKY
        shares = SharesOverTime(8)
        shares.add(0.0, label_map)
        errors.append(shares.shares(5).shares.get(SKY, (0.0,))[0] - rows / 40)
    assert abs(np.mean(errors)) < 0.015
    one = SharesOverTime(8)
    one.add(0.0, np.full((1, 1), SKY, np.uint8))
    assert one.shares(5).shares == {SKY: (1.0,)}


def test_long_videos_take_no_more_memory():
    shares = SharesOverTime(8)
    for index in range(1000):
        shares.add(index / 10, np.full((4, 4), SKY if index < 500 else CAR, np.uint8))
    found = shares.shares(5)
    assert 4 <= len(found.seconds) <= 8 and found.seconds[0] == 0.0
    assert found.shares[SKY][0] == 1.0 and found.shares[CAR][-1] == 1.0


def test_the_plot_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "shares.png"
    sink = SharePlotSink(path, ade20k(), title="clip.mp4", still=False, overwrite=False)
    for index in range(60):
        sink.write(frame(index), Segmentation(np.full((8, 8), SKY if index < 30 else CAR, np.uint8), index), None)
    assert os.listdir(tmp_path) == ["shares.png.part"]
    sink.close()
    picture = cv2.imread(str(path))[:, :, ::-1]
    assert os.listdir(tmp_path) == ["shares.png"]
    assert share_of(picture, SKY) == pytest.approx(0.5, abs=0.02) == share_of(picture, CAR)


def test_what_is_given_up_leaves_nothing_and_another_ending_is_refused(tmp_path):
    SharePlotSink(tmp_path / "a.png", ade20k(), title="", still=True, overwrite=False).abort()
    assert not os.listdir(tmp_path)
    with pytest.raises(SinkError, match=r"--save-plot draws a PNG; give a name ending in \.png"):
        SharePlotSink(tmp_path / "a.svg", ade20k(), title="", still=True, overwrite=False)
