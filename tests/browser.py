"""A headless Chromium for tests of the web page, steered through chromedriver's WebDriver protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_missing = pytest.mark.skipif(not CHROMIUM or not shutil.which("chromedriver"), reason="needs chromium, chromedriver")


def needs_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that uses `run_browser`."""
    return pytest.mark.browser(_missing(test))


_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver names an element."""


class Browser:
    """One page of a running Chromium."""

    def __init__(self, driver: str, profile: Path, downloads: Path) -> None:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        flags += [f"--user-data-dir={profile}", "--window-size=1280,800", "--disable-dev-shm-usage"]
        options = {
            "binary": CHROMIUM,
            "args": flags,
            "prefs": {"download.default_directory": str(downloads)},
        }
        wishes = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "SEVERE"}}
        self.downloads = downloads
        self._session = driver
        made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wishes}})
        self._session = f"{driver}/session/{made['sessionId']}"

    def open(self, url: str) -> None:
        """Go to `url`."""
        self._call("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        """What stands in the address line."""
        return str(self._call("GET", "/url"))

    def run(self, script: str) -> Any:
        """What the script returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def click(self, css: str) -> None:
        """Click as a person would: fails where the element cannot be seen or is covered."""
        element = self._call("POST", "/element", {"using": "css selector", "value": css})[_ELEMENT]
        self._call("POST", f"/element/{element}/click", {})

    def wait_for(self, script: str, what: str) -> Any:
        """What the script returns once that is true; fails after 30 s."""
        return wait_for(lambda: self.run(script), what)

    def screenshot(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self._call("GET", "/screenshot"))

    def complaints(self) -> list[str]:
        """Errors in the browser's console since the last call."""
        return [line["message"] for line in self._call("POST", "/se/log", {"type": "browser"})]

    def resize(self, width: int, height: int) -> None:
        """The window, in pixels."""
        self._call("POST", "/window/rect", {"width": width, "height": height})

    def in_scheme(self, scheme: str) -> Browser:
        """The same page where the system is "light" or "dark"."""
        wishes = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": wishes})
        return self

    def quit(self) -> None:
        """End the browser."""
        self._call("DELETE", "")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._session + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None


def wait_for(look: Callable[[], Any], what: str) -> Any:
    """What `look` returns once that is true; fails after 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen: {what}")


def run_browser(folder: Path) -> Iterator[Browser]:
    """A browser that keeps its files in `folder`, for as long as the generator lives."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder
    )
    try:
        assert driver.stdout is not None
        port = next(line.rsplit(" ", 1)[1].rstrip(".\n") for line in driver.stdout if "started successfully" in line)
        (folder / "downloads").mkdir()
        browser = Browser(f"http://127.0.0.1:{port}", folder / "profile", folder / "downloads")
        try:
            yield browser
        finally:
            browser.quit()
    finally:
        driver.terminate()
        driver.wait(timeout=20)
        assert driver.stdout is not None
        driver.stdout.close()
