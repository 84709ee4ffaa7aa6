"""`vidseg run --serve` and `--metrics`: what is refused, and the page in a real browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from tests.browser import Browser, needs_browser, run_browser, wait_for


def test_an_address_that_is_none_is_refused_in_one_line(cli, clip):
    for option in ("--serve", "--metrics"):
        result = cli("run", clip, option, "here")
        assert result.code == 2 and result.err.count("\n") == 1
        assert f"{option} is 'here'; accepted: PORT or HOST:PORT" in result.err


def test_a_taken_port_is_told_before_the_network_is_loaded(cli, clip, tmp_path):
    pytest.importorskip("uvicorn")
    torch.save({"fits": torch.ones(1)}, tmp_path / "nothing.pth")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli("run", clip, "--serve", port, "--weights", tmp_path / "nothing.pth")
    assert result.code == 2 and result.err.count("\n") == 1
    assert f"--serve 127.0.0.1:{port}: address already in use; give another port or host" in result.err


def test_a_token_that_is_too_short_is_refused_without_being_repeated(cli, clip):
    result = cli("run", clip, "--serve", 0, "--serve-token", "hush")
    assert result.code == 2 and "hush" not in result.err and "8 to 128 letters" in result.err


def test_the_token_stays_out_of_the_stats(cli, clip):
    pytest.importorskip("uvicorn")
    words = ("--serve", 0, "--serve-token", "open-sesame", "--stats", "s.json", "--imgsz", 64, "--limit", 2)
    result = cli("run", clip, *words, "--runtime", "torch", "--quiet")
    assert result.code == 0 and "token=open-sesame" in result.err  # told even when quiet
    assert "sesame" not in Path("s.json").read_text()


@pytest.fixture
def browser(tmp_path_factory) -> Iterator[Browser]:
    yield from run_browser(tmp_path_factory.mktemp("browser"))


LIVE = "test:320x240@15,frames=inf,realtime"


class Served:
    """A running `vidseg run --serve` of a moving pattern, and where its page is."""

    def __init__(self, folder: Path, *words: str, sources: tuple[str, ...] = (LIVE,)) -> None:
        command = [sys.executable, "-m", "vidseg", "run", *sources, *words, "--imgsz", "64", "--runtime", "torch"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.url = next((m[1] for line in self.process.stderr if (m := re.search(r"watch at (\S+)", line))), "")

    def stop(self) -> tuple[int, str]:
        """Exit code and the rest of stderr after Ctrl+C."""
        self.process.send_signal(signal.SIGINT)
        err = self.process.communicate(timeout=30)[1]
        return self.process.returncode, err


@pytest.fixture
def serve(tmp_path) -> Iterator:
    started: list[Served] = []

    def start(*words: str, **options) -> Served:
        started.append(Served(tmp_path, *words, **options))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
            served.process.communicate(timeout=20)


BRIGHTNESS = """
const c = document.querySelector("canvas");
const pixel = c.getContext("2d").getImageData(c.width / 2, c.height / 2, 1, 1).data;
const brightness = Math.max(...pixel.slice(0, 3));
"""


@needs_browser
def test_the_page_shows_the_live_video_and_its_controls_work(serve, browser, tmp_path):
    served = serve("--serve", "0", "--serve-token", "open-sesame", "--record-dir", "rec")
    browser.open(served.url)
    assert "token" in served.url and "token" not in browser.url  # it moved into a cookie

    browser.wait_for("return Number(document.body.dataset.pictures) > 5", "the video")
    browser.wait_for("return document.getElementById('badge').textContent === 'live'", "that it is live")
    browser.wait_for("return Number(document.getElementById('fps').textContent) > 0", "the rate")

    # the live video fills the stage, and is no flat picture
    shot = cv2.imdecode(np.frombuffer(browser.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    stage = shot[100:500, 50:700]
    assert stage.std() > 10

    # the legend toggles classes
    browser.wait_for("return document.querySelectorAll('#legend li').length > 0", "the legend")
    browser.click("#legend .toggle")
    assert browser.run("return document.querySelector('#legend .toggle').getAttribute('aria-pressed')") == "false"
    assert browser.run("return look.hidden.size") == 1
    browser.click("#none")
    browser.click('[data-view="mask"]')
    browser.wait_for(BRIGHTNESS + "return brightness < 8", "a black mask, since every class is hidden")
    browser.click("#all")
    browser.wait_for(BRIGHTNESS + "return brightness > 40", "a coloured mask")

    browser.click('[data-view="side"]')
    shape = "const c = document.querySelector('canvas'); return c.width / c.height > 2.5"
    browser.wait_for(shape, "two pictures side by side")

    browser.click("#snapshot")
    saved = wait_for(lambda: list(browser.downloads.glob("*.png")), "the snapshot")
    assert cv2.imread(str(saved[0])).shape == (240, 640, 3)

    # what was chosen stands in the address, and is there again with it
    assert browser.url.endswith("#view=side")
    browser.run("opacity.value = 25; opacity.dispatchEvent(new Event('input')); location.reload()")
    browser.wait_for(
        "return document.body.dataset.pictures && look.view === 'side' && look.opacity === 0.25", "it again"
    )
    browser.run("location.hash = '#view=fish&opacity=7&hide=2,999'")
    browser.wait_for("return look.view === 'overlay' && look.opacity === 0.5", "nonsense left aside")
    assert browser.run("return [...look.hidden].join()") == "2"
    browser.click('[data-view="side"]')

    # a recording can be played from the page once it is finished
    browser.click("#record")
    browser.wait_for("return recording.state === 'on' && recording.seconds > 0.3", "the first recording")
    browser.click("#record")
    href = browser.wait_for("return document.querySelector('#files a')?.href", "its link")
    kind = f"return fetch('{href}', {{headers: {{Range: 'bytes=4-7'}}}}).then(answer => answer.text())"
    assert browser.run(kind) == "ftyp"
    # in a low window the column scrolls, and the buttons stay in reach
    browser.resize(1100, 640)
    browser.run("for (let n = 0; n < 9; n++) files.append(files.firstElementChild.cloneNode(true))")
    assert browser.run("return $('record').getBoundingClientRect().bottom <= innerHeight")
    assert browser.run(
        "return $('classes').offsetHeight >= 150 && document.querySelector('aside').scrollHeight > innerHeight"
    )
    for path in (tmp_path / "rec").iterdir():
        path.unlink()

    browser.click("#record")
    browser.wait_for("return recording.state === 'on' && recording.seconds > 0.3", "the recording")
    code, err = served.stop()  # finishes the recording, too
    assert code == 130 and "Traceback" not in err and "recorded rec/vidseg-" in err
    (recorded,) = (tmp_path / "rec").iterdir()
    with av.open(str(recorded)) as container:
        pictures = list(container.decode(video=0))
    assert (pictures[0].width, pictures[0].height) == (640, 240) and len(pictures) >= 2
    browser.wait_for(
        "return ['ended', 'no connection'].includes(document.getElementById('badge').textContent)", "the end"
    )
    # the server is gone, and the browser says so; it has nothing else to say
    assert [line for line in browser.complaints() if "net::ERR_" not in line] == []


@needs_browser
def test_without_the_token_the_page_asks_for_it_and_a_file_is_not_called_live(serve, browser):
    served = serve("--serve", "0", "--serve-token", "open-sesame", sources=("test:320x240@15,frames=inf",))
    base = served.url.partition("?")[0]
    browser.open(base)
    assert browser.run("return document.querySelector('canvas')") is None
    browser.run("document.querySelector('input').value = 'open-sesame'")
    browser.click("button")
    browser.wait_for("return Number(document.body.dataset.pictures) > 1", "the video")
    assert browser.run("return document.getElementById('badge').textContent") == "playing"
    assert browser.run("return document.getElementById('latency').parentElement.hidden") is True
    code, err = served.stop()
    assert code == 130 and "Traceback" not in err


@needs_browser
def test_one_stream_of_a_grid_fills_the_page_light_or_dark(serve, browser):
    served = serve("--serve", "0", sources=(LIVE, "test:160x120@15,frames=inf,realtime"))
    browser.open(served.url)
    browser.wait_for("return Number(document.body.dataset.pictures) > 1", "the grid")
    wide = "const c = document.querySelector('canvas'); return c.width / c.height"
    assert browser.run(wide) > 2
    browser.run("stream.value = '1'; stream.dispatchEvent(new Event('change'))")
    browser.wait_for(wide + " < 1.5", "one stream")
    assert browser.url.endswith("#stream=1")
    browser.wait_for("return past.length > 1 && getComputedStyle(chart).height !== '0px'", "shares over time")
    ground = "return getComputedStyle(document.body).backgroundColor"
    colours = [browser.in_scheme(scheme).run(ground) for scheme in ("light", "dark")]
    assert colours == ["rgb(242, 244, 247)", "rgb(13, 16, 20)"]
    browser.click("#full")
    browser.wait_for("return document.fullscreenElement === stage", "full screen")
    assert served.stop()[0] == 130


@needs_browser
def test_the_page_says_so_when_the_line_goes_silent_and_goes_on_when_it_is_back(serve, browser):
    served = serve("--serve", "0")
    browser.open(served.url)
    browser.wait_for("return document.getElementById('badge').textContent === 'live'", "that it is live")
    browser.run("patience = 500")
    served.process.send_signal(signal.SIGSTOP)  # answers nothing, and hangs up on nobody
    browser.wait_for("return document.getElementById('badge').textContent === 'no connection'", "that it is not")
    served.process.send_signal(signal.SIGCONT)
    browser.run("patience = 10000; document.body.dataset.pictures = 0")
    browser.wait_for("return document.getElementById('badge').textContent === 'live'", "that it is live again")
    browser.wait_for("return Number(document.body.dataset.pictures) > 1", "new pictures")
    assert served.stop()[0] == 130
