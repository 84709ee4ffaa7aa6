import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from vidseg.signals import SAME_EVENT_SECONDS, SignalCount
from vidseg.wiring import interrupts as module
from vidseg.wiring.interrupts import Interrupts


def test_signals_are_counted_and_the_old_handlers_come_back():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts(abandon=lambda: None) as interrupts:
        interrupts.started()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.count == 2 and interrupts.exit_code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) is before


def test_a_third_signal_leaves_at_once(monkeypatch):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    with Interrupts(abandon=lambda: None) as interrupts:
        interrupts.started()
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
    assert left == [130]


def test_outside_the_main_thread_nothing_is_caught_and_nothing_breaks():
    seen = []

    def work():
        with Interrupts(abandon=lambda: None) as interrupts:
            seen.append(interrupts.count)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert seen == [0]


def test_before_the_start_one_signal_abandons_and_leaves(monkeypatch, capfd):
    done = []
    monkeypatch.setattr(os, "_exit", done.append)
    with Interrupts(abandon=lambda: done.append("abandoned")):
        signal.raise_signal(signal.SIGTERM)
    assert done == ["abandoned", 128 + signal.SIGTERM] and capfd.readouterr().err == "vidseg: interrupted\n"


def test_a_closed_terminal_is_a_signal_like_the_others():
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGHUP)
        assert interrupts.count == 1 and interrupts.exit_code == 128 + signal.SIGHUP


def test_a_closed_terminal_stays_ignored_where_it_was():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Interrupts(abandon=lambda: None) as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert interrupts.count == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_the_shell_tells_again_of_a_closed_terminal_is_no_second_signal():
    signals = SignalCount()
    told = [(signal.SIGHUP, 0.0), (signal.SIGHUP, 0.5), (signal.SIGHUP, 1.4 + SAME_EVENT_SECONDS)]
    assert [signals.note(*one) for one in told] == [True, False, True] and signals.count == 2
    signals = SignalCount()
    told = [(signal.SIGTERM, 0.0), (signal.SIGHUP, 0.01), (signal.SIGTERM, 0.02), (signal.SIGINT, 0.03)]
    assert [signals.note(*one) for one in told] == [True, False, True, True]


def test_a_run_that_was_asked_to_end_says_now_and_then_that_it_is_still_at_it(monkeypatch):
    monkeypatch.setattr(module, "REMIND_SECONDS", 0.1)
    told, twice, again = [], threading.Event(), threading.Event()

    def tell(text):
        told.append(text)
        (twice if len(told) < 3 else again).set()
        raise OSError("the terminal is gone")

    with Interrupts(tell=tell):
        assert not told
        signal.raise_signal(signal.SIGTERM)
        assert (
            again.wait(10) and told[0] == "still finishing the work in progress after 0 s; press Ctrl+C again to abort"
        )
        signal.raise_signal(signal.SIGTERM)
        told.clear()
        again.clear()
        assert again.wait(10) and "still aborting after" in told[-1]
    assert not [thread for thread in threading.enumerate() if thread.name == "vidseg-signals"]


HOLDS_THE_INTERPRETER = """
import ctypes, threading
from vidseg.wiring.interrupts import Interrupts

with Interrupts() as interrupts:
    interrupts.started()
    print("ready", flush=True)
    thread = threading.Thread(target=ctypes.PyDLL(None).sleep, args=(100,))
    thread.start()
    thread.join()
"""


def test_from_the_second_signal_on_it_is_gone_soon_whatever_a_library_does():
    command = [sys.executable, "-c", HOLDS_THE_INTERPRETER]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.5)  # nothing can be seen of a process that is inside such a call
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == -signal.SIGKILL
        assert 3.0 < time.monotonic() - begun < 20, "5 seconds on a machine with nothing else to do"


def children() -> set[int]:
    with open(f"/proc/self/task/{threading.get_native_id()}/children", encoding="ascii") as file:
        return {int(word) for word in file.read().split()}


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="reads Linux's /proc")
def test_nothing_is_left_of_the_program_beside_it_and_forked_children_tell_it_nothing():
    before = children()
    with Interrupts() as interrupts:
        (helper,) = children() - before
        pid = os.fork()
        if pid == 0:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGHUP)
            os._exit(0 if signal.set_wakeup_fd(-1) == -1 else 1)
        assert os.waitpid(pid, 0)[1] == 0 and interrupts.count == 0
    assert children() == before and helper not in before
    assert signal.set_wakeup_fd(-1) == -1
