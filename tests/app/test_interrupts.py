import os
import signal
import threading

from vidseg.app.interrupts import Interrupts


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
