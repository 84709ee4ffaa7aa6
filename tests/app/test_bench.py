"""What the measured stages would allow. That they are measured is tested through the command."""

import pytest

from vidseg.app.bench import bound_of
from vidseg.app.bench_stages import StageCost, decode


def stages(**costs):
    return tuple(StageCost(name, *values, 10) for name, values in costs.items())


def test_the_thread_with_the_most_work_bounds_the_run():
    bound = bound_of(
        stages(decode=(5, 5), preprocess=(6, 2), model=(14, 20), postprocess=(8, 8), render=(3, 3), encode=(16, 4)),
        cores=8,
        on_cpu=True,
    )
    assert (bound.slowest_stage, bound.slowest_thread) == ("encode", "network")
    assert bound.by_thread == pytest.approx(50) and bound.by_cores == pytest.approx(8000 / 42)
    assert bound.fps == bound.by_thread


def test_few_cores_bound_it_further():
    bound = bound_of(stages(decode=(10, 10), model=(10, 10), encode=(10, 10)), cores=1, on_cpu=True)
    assert bound.by_thread == pytest.approx(100) and bound.fps == pytest.approx(1000 / 30)


def test_the_cpu_time_of_a_gpu_run_is_no_bound():
    bound = bound_of(stages(decode=(10, 10), model=(1, 50)), cores=1, on_cpu=False)
    assert bound.by_cores is None and bound.fps == pytest.approx(100)


def test_a_short_source_is_read_again_for_timing_but_kept_once():
    info, frames, cost = decode("test:32x32@10,frames=3", seconds=0.001)
    assert [frame.index for frame in frames] == [0, 1, 2] and not info.live
    assert cost.frames >= 5 and cost.wall_ms > 0
