"""Attempts at jobs that others may be at as well."""

import json

import av
import pytest
import torch

from tests.batch.test_run import FakeRuntime
from tests.video.clips import make_clip
from vidseg.batch.attempt import attempt
from vidseg.batch.job import Job
from vidseg.config import RunConfig
from vidseg.wiring.engine import Engine
from vidseg.wiring.network_input import NetworkInput

FRAMES = 4


class Place:
    """A clip `in.mp4`, an output folder, and attempts at a job with a video, masks and statistics."""

    def __init__(self, path):
        self.out = path / "out"
        self.staging = self.out / "hidden" / "staging"
        self.staging.mkdir(parents=True)
        self.runtime = FakeRuntime()
        self.source = make_clip(path / "in.mp4", size=(32, 32), frames=FRAMES)

    def job(self, **more):
        names = {"output": "v.mp4", "save_masks": "deep/masks/", "stats": "s.json"}
        paths = {option: str(self.out) + "/" + name for option, name in names.items()}
        return Job(7, "in.mp4", RunConfig(source=str(self.source), **paths | more))

    def attempt(self, **more):
        engine = Engine("fai-m2f-n-ade", self.runtime, NetworkInput(32), torch.device("cpu"))
        return attempt(self.job(**more), engine, out_dir=str(self.out), staging=str(self.staging))

    def files(self):
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file())

    def frames(self):
        with av.open(str(self.out / "v.mp4")) as video:
            return sum(1 for _ in video.decode(video=0))


MASKS = ["deep/masks/frames.csv", *(f"deep/masks/{index:06}.png" for index in range(FRAMES))]
MARK = "hidden/staging/7.named"


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_outputs_get_their_names_at_the_end_and_nothing_else_is_left(place):
    seen = []
    place.runtime.before = lambda calls: seen.extend(name for name in place.files() if "hidden" not in name)
    result = place.attempt()
    assert (result.state, result.reason, result.frames, seen) == ("done", "", FRAMES, [])
    assert place.files() == sorted([*MASKS, "s.json", "v.mp4", MARK])
    assert set(result.outputs) == set(place.job().outputs.values())
    assert result.outputs[str(place.out / "s.json")].size == (place.out / "s.json").stat().st_size
    told = json.loads((place.out / "s.json").read_text())["config"]
    assert {option: told[option] for option in place.job().outputs} == place.job().outputs


def test_a_second_attempt_during_the_first_harms_neither(place):
    inner = []

    def begin_again(calls):
        if not inner:
            inner.append(None)
            inner[0] = place.attempt()

    place.runtime.before = begin_again
    outer = place.attempt()
    assert (outer.state, inner[0].state) == ("done", "done")
    assert place.frames() == FRAMES and place.files() == sorted([*MASKS, "s.json", "v.mp4", MARK])


def test_what_a_killed_attempt_left_is_in_nobodys_way(place):
    dead = place.staging / "7-dead"
    dead.mkdir()
    (dead / "v.mp4.part").write_bytes(b"half")
    assert place.attempt().state == "done" and place.frames() == FRAMES


def test_a_file_that_somebody_made_meanwhile_stays_and_an_earlier_attempts_is_replaced(place):
    video = place.out / "v.mp4"
    place.runtime.before = lambda calls: video.write_bytes(b"mine")
    result = place.attempt()
    assert result.state == "failed" and "v.mp4: was created by another program" in result.reason
    assert result.outputs == {} and video.read_bytes() == b"mine"

    place.runtime.before = lambda calls: None
    (place.out / MARK).touch()
    assert place.attempt().state == "done" and place.frames() == FRAMES


def test_failures_name_what_the_user_knows(place):
    place.source.write_text("no video")
    result = place.attempt()
    assert result.state == "failed" and result.input_fault and str(place.staging) not in result.reason
    assert place.files() == []

    place.staging.rmdir()
    result = place.attempt()
    assert result.state == "failed" and not result.input_fault
    assert "the output folder of the batch does not exist here; every node must have access to it" in result.reason
