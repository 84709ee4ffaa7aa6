"""What a run offers over the network, as far as no browser is needed."""

from __future__ import annotations

import json
import socket
import urllib.request

import pytest

from tests.app.test_run import SilentReporter
from tests.fakes import filled
from tests.video.clips import make_clip
from vidseg.address import Address, bound_address, listen
from vidseg.app.run import run
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, ServeError
from vidseg.names import page_title
from vidseg.viewers import outputs
from vidseg.viewers.outputs import Viewers, page_url, relay
from vidseg.wiring.pacing import Pacer

pytestmark = pytest.mark.timeout(60)


class FakeClock:
    now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def relayed(buffer, *, stop=lambda: False, clock=None, pacer=None, hold=False) -> list[int]:
    seen: list[int] = []
    clock = clock or FakeClock()
    relay(buffer, lambda r: seen.append(r.frame.index), pacer=pacer, hold=hold, stop=stop, sleep=clock.sleep)
    return seen


def test_every_result_is_published_in_order():
    assert relayed(filled(5)) == [0, 1, 2, 3, 4]


def test_a_file_is_published_at_its_own_speed():
    clock = FakeClock()
    assert len(relayed(filled(31), clock=clock, pacer=Pacer(clock))) == 31  # 30 fps
    assert clock.now == pytest.approx(101.0, abs=0.05)


def test_stop_ends_the_wait_for_a_frame():
    clock = FakeClock()
    assert len(relayed(filled(31), clock=clock, pacer=Pacer(clock), stop=lambda: clock.now > 100.5)) == 16


def test_stills_stay_until_the_stop():
    clock = FakeClock()
    assert relayed(filled(2), clock=clock, hold=True, stop=lambda: clock.now > 105) == [0, 1]
    assert clock.now > 105


def test_an_error_of_the_run_ends_it():
    buffer = filled(3, close=False)
    buffer.cancel()
    assert relayed(buffer, hold=True) == []


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("/home/me/private/clip.mp4", "clip.mp4"),
        ("photos/", "photos"),
        ("file:///home/me/clip.mp4", "clip.mp4"),
        ("test:640x360@25", "test:640x360@25"),
        ("rtsp://me:secret@camera/1", "rtsp://***@camera/1"),
    ],
)
def test_viewers_see_neither_folders_nor_passwords(source, title):
    assert page_title(source) == title


def test_the_address_holds_the_token_where_there_is_one():
    assert page_url(Address("127.0.0.1", 80), None) == "http://127.0.0.1:80/"
    assert page_url(Address("192.168.1.5", 80), "abc") == "http://192.168.1.5:80/?token=abc"


@pytest.mark.parametrize(
    ("options", "needed"),
    [({"serve_token": "open-sesame"}, "--serve or --metrics"), ({"record_dir": "rec"}, "--show or --serve PORT")],
)
def test_options_of_the_page_need_the_page(options, needed):
    with pytest.raises(ConfigError, match=f"needs {needed}"):
        Viewers(RunConfig(**options))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"serve": "0"}, r"--serve needs starlette and uvicorn: not installed; .*pip install 'vidseg\[serve\]'"),
        ({"metrics": "0"}, r"--metrics needs starlette and uvicorn: .*pip install 'vidseg\[serve\]'"),
    ],
)
def test_a_missing_library_is_told_with_how_to_get_it(monkeypatch, options, text):
    monkeypatch.setattr(outputs, "find_spec", lambda name: None)
    with pytest.raises(ServeError, match=text):
        Viewers(RunConfig(**options))


def test_the_first_address_is_given_back_when_the_second_is_taken():
    with listen(Address("127.0.0.1", 0), "x") as taken:
        free = listen(Address("127.0.0.1", 0), "x")
        port = bound_address(free).port
        free.close()
        with pytest.raises(ServeError, match="--metrics"):
            Viewers(RunConfig(serve=str(port), metrics=str(bound_address(taken))))
        listen(Address("127.0.0.1", port), "x").close()


class AskingReporter(SilentReporter):
    """Asks the page for metrics and a picture as soon as there are some; sees where it was told to look."""

    def __init__(self) -> None:
        super().__init__()
        self.told = ""
        self.status: dict = {}
        self.picture = b""
        self.metrics = ""
        self.metrics_at = ""

    def address(self, text: str) -> None:
        if text.startswith("metrics at "):
            self.metrics_at = text.removeprefix("metrics at ")
        else:
            self.told = text

    note = address

    def progress(self, progress, total) -> None:
        if self.picture or progress.delivered < 2:
            return
        base, _, token = self.told.removeprefix("watch at ").partition("/?token=")
        header = {"Authorization": f"Bearer {token}"}

        def fetch(url: str) -> bytes:
            with urllib.request.urlopen(urllib.request.Request(url, headers=header), timeout=10) as answer:
                return answer.read()

        self.status = json.loads(fetch(f"{base}/status.json"))
        if self.status["frame"] is not None:
            self.picture = fetch(f"{base}/frame.jpg")
            self.metrics = fetch(self.metrics_at.partition("?")[0]).decode()


pytest_servers = pytest.mark.usefixtures("servers")


@pytest.fixture
def servers() -> None:
    for name in ("starlette", "uvicorn"):
        pytest.importorskip(name)


@pytest_servers
@pytest.mark.parametrize("metrics", ["0", "localhost:0"])  # the first is the page's own address
def test_a_run_can_be_watched_while_it_goes_on(tmp_path, metrics):
    clip = make_clip(tmp_path / "clip.mp4", size=(96, 64), frames=20)
    reporter = AskingReporter()
    config = RunConfig(
        source=str(clip),
        serve="127.0.0.1:0",
        serve_token="open-sesame",
        metrics=metrics,
        imgsz=64,
        threads=1,
        runtime="torch",
    )
    outcome = run(config, reporter)
    assert outcome.stats.delivered == 20 and outcome.exit_code == 0
    assert reporter.status["source"] == "clip.mp4" and reporter.status["size"] == [96, 64]
    assert reporter.picture.startswith(b"\xff\xd8")
    assert 'vidseg_frames_total{stage="delivered"}' in reporter.metrics
    ports = [int(url.split(":")[2].split("/")[0]) for url in (reporter.told, "metrics at " + reporter.metrics_at)]
    assert (ports[0] == ports[1]) == (metrics == "0")
    assert reporter.metrics_at.endswith("/metrics?token=open-sesame")
    port = ports[0]
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)
