"""How busy threads were is drawn from the seconds that their stages had worked when they were looked at."""

import pytest

from vidseg.commands.busy_threads import SLICES, busy_threads


def test_shares_are_of_slices_and_of_the_whole():
    samples = [(10.0, {}), (11.0, {"model": 0.5, "preprocess": 0.25}), (13.0, {"model": 2.5, "preprocess": 0.25})]
    found = {thread.name: thread for thread in busy_threads(samples)}
    assert found["network"].shares == (0.75, 1.0)
    assert found["network"].mean == pytest.approx(2.75 / 3)
    assert found["decode"].shares == (0.0, 0.0) and found["output"].mean == 0


def test_a_long_run_is_drawn_in_few_slices_and_a_look_alone_in_none():
    samples = [(0.1 * number, {"write": 0.05 * number}) for number in range(1000)]
    (output,) = (thread for thread in busy_threads(samples) if thread.name == "output")
    assert SLICES / 2 <= len(output.shares) <= SLICES and output.mean == pytest.approx(0.5)
    assert busy_threads(samples[:1]) == busy_threads([]) == busy_threads([samples[3]] * 2) == ()
