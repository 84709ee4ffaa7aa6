"""What holds for all tests."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compiled_once import compiled_once
from tests.screen import Screen, run_screen

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run in several processes; before anything imports torch
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some tests import onnxruntime themselves

OUTSIDE_PROGRAMS = ("browser", "ray", "server", "window")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of programs that are not ours (an X server, a browser, servers, a cluster) get a second try: on a busy
    machine those fail now and then. A try that failed is counted in the last line of the report."""
    for item in items:
        if any(item.get_closest_marker(name) for name in OUTSIDE_PROGRAMS):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """A virtual X screen; the test carries `needs_screen`."""
    yield from run_screen(tmp_path_factory.mktemp("xvfb"))


@pytest.fixture(scope="session")
def engines_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this test run keeps converted networks: each is converted once, and never in the user's cache."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session", autouse=True)
def _networks_are_compiled_once() -> Iterator[None]:
    from vidseg.runtimes.openvino_import import openvino_core

    core = compiled_once(openvino_core)
    with pytest.MonkeyPatch.context() as patched:
        for module in ("openvino_runtime", "openvino_requests"):
            patched.setattr(f"vidseg.runtimes.{module}.openvino_core", core)
        yield


@pytest.fixture(autouse=True)
def _converted_networks_stay_in_the_test_run(monkeypatch: pytest.MonkeyPatch, engines_folder: Path) -> None:
    monkeypatch.setattr("vidseg.runtimes.engine_cache.engines_folder", lambda: engines_folder)


@pytest.fixture(autouse=True)
def _the_same_number_format_on_every_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidseg.cores.computes_bfloat16", lambda: False)


@pytest.fixture(autouse=True)
def _a_closed_terminal_reaches_what_is_tested() -> Iterator[None]:
    """Under nohup too, where SIGHUP is ignored: a handler that does nothing is the default again in a child."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
