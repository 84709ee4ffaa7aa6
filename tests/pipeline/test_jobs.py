import threading

import pytest

from vidseg.pipeline.jobs import run_jobs


def go_on():
    return True


def test_all_jobs_are_done_and_told_on_the_callers_thread():
    told = []
    run_jobs(
        range(20),
        lambda job: job * job,
        workers=3,
        on_done=lambda job, result: told.append((job, result, threading.current_thread())),
        on_tick=go_on,
    )
    assert sorted((job, result) for job, result, _ in told) == [(n, n * n) for n in range(20)]
    assert {thread for *_, thread in told} == {threading.main_thread()}


def test_never_more_at_once_than_workers_and_as_many_as_there_are():
    together = threading.Barrier(3, timeout=20)
    lock = threading.Lock()
    inside, most = 0, 0

    def work(job):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        together.wait()  # goes on only when three are inside
        with lock:
            inside -= 1

    run_jobs(range(6), work, workers=3, on_done=lambda job, result: None, on_tick=go_on)
    assert most == 3


def test_jobs_are_taken_only_when_a_worker_is_free():
    taken, done = [], []

    def jobs():
        for number in range(5):
            assert len(taken) - len(done) < 2
            taken.append(number)
            yield number

    run_jobs(jobs(), lambda job: job, workers=2, on_done=lambda job, _: done.append(job), on_tick=go_on)
    assert sorted(done) == taken == list(range(5))


def test_after_a_false_tick_nothing_starts_and_what_runs_is_finished():
    release = threading.Event()
    done, ticks = [], []

    def tick():
        ticks.append(1)
        if len(ticks) == 2:
            release.set()
        return len(ticks) < 2

    run_jobs(range(10), lambda job: release.wait(20), workers=2, on_done=lambda job, ok: done.append(ok), on_tick=tick)
    assert done == [True, True]


def test_a_mistake_in_the_work_is_raised():
    def work(job):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_jobs(range(3), work, workers=2, on_done=lambda job, result: None, on_tick=go_on)
