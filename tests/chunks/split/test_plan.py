"""Where a video is cut for its workers: even parts, begun where nothing is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vidseg.chunks.split import plan
from vidseg.chunks.split.plan import ChunkJob, Scan, overlap_seconds, plan_chunks, scan_video
from vidseg.config import RunConfig
from vidseg.frames import Frame
from vidseg.pipeline.options import PipelineOptions
from vidseg.sinks.records.label_maps import LabelMapSink
from vidseg.sources.pattern_source import PatternSource

CONFIG = RunConfig(source="test", save_masks="masks", workers=4)


class Scenes(PatternSource):
    """A pattern of 40 frames at 10 fps whose pictures turn into others at these frames."""

    def __init__(self, *cuts: int, frames: int = 40) -> None:
        super().__init__(f"test:64x48@10,frames={frames}")
        self._cuts = cuts

    def _frames(self) -> Iterator[Frame]:
        for frame in super()._frames():
            scene = sum(frame.index >= cut for cut in self._cuts)
            image = np.random.default_rng(scene).integers(0, 256, frame.image.shape, dtype=np.uint8)
            yield replace(frame, image=image) if scene else frame


def scan(
    source: PatternSource, *, smooth: bool = True, scenes: bool = False, flow: bool = False, **options: object
) -> Scan:
    return scan_video(
        source,
        [],
        PipelineOptions(**options),  # type: ignore[arg-type]
        smooth=smooth,
        scenes=scenes,
        flow=flow,
        picture_hw=lambda frame: frame.size_hw,
    )


def jobs(found: Scan, workers: int = 4, **changes: object) -> list[ChunkJob]:
    config = replace(CONFIG, **changes)  # type: ignore[arg-type]
    return plan_chunks(config, found, Path("work"), workers=workers)


def test_parts_are_even_and_each_is_warmed_up_by_the_overlap() -> None:
    found = jobs(scan(Scenes()), overlap=0.5)
    assert [job.start.index for job in found] == [0, 10, 19, 29]
    assert [job.begin.index for job in found] == [0, 5, 14, 24]
    assert [job.stop for job in found] == [10, 19, 29, None]
    assert [job.frames for job in found] == [10, 9, 10, 11]
    assert [job.exact for job in found] == [True, False, False, False]


def test_the_usual_overlap_follows_the_memory() -> None:
    assert overlap_seconds(CONFIG) == pytest.approx(3.75)
    assert overlap_seconds(replace(CONFIG, smooth_seconds=0.4)) == pytest.approx(10.0)
    assert overlap_seconds(replace(CONFIG, overlap=1.5)) == 1.5
    assert overlap_seconds(replace(CONFIG, overlap="scene")) is None
    assert [job.begin.index for job in jobs(scan(Scenes()))] == [0, 0, 0, 0]  # the video begins before: exact
    assert all(job.exact for job in jobs(scan(Scenes())))


def test_without_smoothing_parts_begin_with_a_frame_for_the_model_and_need_no_warm_up() -> None:
    found = jobs(scan(Scenes(), smooth=False, stride=4))
    assert [job.start.index for job in found] == [0, 8, 20, 28]
    assert all(job.begin == replace(job.start, sinks=()) and job.exact for job in found)


def test_a_scene_that_brings_the_model_forward_moves_the_stride_behind_it() -> None:
    held, carried = (scan(Scenes(6), smooth=False, stride=4, flow=flow) for flow in (False, True))
    assert [place.index for place in held.places][:4] == [0, 4, 8, 12]
    assert [place.index for place in carried.places][:4] == [0, 4, 6, 10]


def test_parts_begin_at_scenes_where_these_are_asked_for() -> None:
    found = scan(Scenes(12, 31), scenes=True)
    assert [place.index for place in found.places if place.fresh] == [0, 12, 31]
    by_scene = jobs(found, overlap="scene")
    assert [(job.begin.index, job.start.index, job.exact) for job in by_scene] == [
        (0, 0, True),
        (12, 12, True),
        (31, 31, True),
    ]
    assert len(jobs(scan(Scenes(), scenes=True), overlap="scene")) == 1


def test_limit_and_frame_rate_are_those_of_the_run() -> None:
    found = scan(Scenes(), max_fps=5, limit=9)
    assert (found.decoded, found.kept, found.stop) == (17, 9, 17)
    assert [place.index for place in found.places] == list(range(0, 17, 2))
    assert [job.frames for job in jobs(found, workers=2)] == [4, 5]
    assert jobs(found, workers=2)[-1].stop == 17


def test_short_videos_have_fewer_parts_and_no_part_has_one_frame() -> None:
    for frames, expected in ((1, [1]), (3, [3]), (4, [2, 2]), (9, [2, 2, 2, 3])):
        found = jobs(scan(Scenes(frames=frames)), workers=4)
        assert sum(job.frames for job in found) == frames
        assert [job.frames for job in found] == expected


def test_places_of_a_long_video_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MOST_PLACES", 8)
    found = scan(Scenes())
    indices = [place.index for place in found.places]
    assert len(indices) <= 9 and indices[0] == 0 and len(set(np.diff(indices))) == 1
    assert sum(job.frames for job in jobs(found, workers=2)) == 40


def test_label_maps_get_their_table_of_times_from_the_plan(tmp_path: Path) -> None:
    sink = LabelMapSink(tmp_path / "masks", overwrite=False, times=True)
    scan_video(
        PatternSource("test:64x48@10,frames=3"),
        [sink],
        PipelineOptions(),
        smooth=False,
        scenes=False,
        flow=False,
        picture_hw=lambda frame: None,
    )
    sink.close()
    rows = (tmp_path / "masks" / "frames.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["0", "1", "2"]
    assert rows[3].endswith("000002.png")
