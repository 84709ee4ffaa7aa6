"""What a run offers over the network: the web page of `--serve`, the metrics of `--metrics`."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from vidseg.address import Address, bound_address, listen, parse_address, reachable
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, ServeError
from vidseg.frames import VideoInfo
from vidseg.labels import LabelSet
from vidseg.names import page_title
from vidseg.pipeline.background import BackgroundTask
from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.options import Result
from vidseg.pipeline.pipeline import Pipeline
from vidseg.render.options import RenderOptions
from vidseg.viewers.recorder import Recorder, check_folder
from vidseg.viewers.watch import POLL_MS
from vidseg.viewers.web_view import WebView
from vidseg.wiring.pacing import Pacer
from vidseg.wiring.reporter import Reporter


class Viewers:
    """The servers of one run. Addresses are claimed when constructed, before anything slow; `start` serves.

    To be entered; leaving it ends the servers and gives the addresses back.

    Raises:
        VidsegError: an address is taken, a library is missing, options do not go together.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._stack = ExitStack()
        self._web: socket.socket | None = None
        self._metrics: socket.socket | None = None
        self._view: WebView | None = None
        self._recorder: Recorder | None = None
        if config.serve_token is not None and config.serve is None and config.metrics is None:
            raise ConfigError("--serve-token needs --serve or --metrics; give one of them too, or leave it out")
        if config.record_dir is not None:
            if config.serve is None and not config.show:
                raise ConfigError("--record-dir needs --show or --serve PORT; give one of them too, or leave it out")
            check_folder(Path(config.record_dir))
        try:
            if config.serve is not None:
                _need("--serve", "serve", "starlette", "uvicorn")
                self._web = self._claim(config.serve, "--serve")
            if config.metrics is not None and not self._shared:
                _need("--metrics", "serve", "starlette", "uvicorn")
                self._metrics = self._claim(config.metrics, "--metrics")
        except BaseException:
            self._stack.close()
            raise

    @property
    def _shared(self) -> bool:
        """True when the metrics are a page of the web page's server."""
        serve, metrics = self._config.serve, self._config.metrics
        return None not in (serve, metrics) and parse_address(serve or "") == parse_address(metrics or "")

    def _claim(self, text: str, option: str) -> socket.socket:
        return self._stack.enter_context(listen(parse_address(text), option))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @property
    def shown(self) -> bool:
        """True when results are to be published."""
        return self._web is not None

    def start(
        self,
        pipeline: Pipeline,
        info: VideoInfo,
        options: RenderOptions,
        labels: LabelSet,
        reporter: Reporter,
        *,
        model: str,
        runtime: str,
    ) -> None:
        """Serve from now on, and say where."""
        config = self._config
        metrics: Callable[[], str] | None = None
        if config.metrics is not None:
            from vidseg.telemetry.prometheus import metrics_text

            metrics = partial(metrics_text, pipeline, model=model, runtime=runtime)
        token = config.serve_token or secrets.token_urlsafe(16)
        if self._metrics is not None:
            self._start_server("metrics", self._metrics, None, metrics, token, reporter)
        if self._web is not None:
            folder = None if config.record_dir is None else Path(config.record_dir)
            self._recorder = Recorder(folder, info, say=reporter.note, labels=labels)
            names = [page_title(source) for source in (config.source or "", *config.more_sources)]
            facts = {"source": ", ".join(names), "model": model, "confidence": config.keeps_confidence}
            self._view = view = WebView(
                pipeline, options, labels, self._recorder, facts=facts, info=info, say=reporter.note
            )
            self._start_server("web", self._web, view, metrics if self._shared else None, token, reporter)
            # drawing ends first, so that viewers who wait are answered before the server goes
            self._stack.enter_context(BackgroundTask("draw", view.draw, view.close))

    def _start_server(
        self,
        name: str,
        listener: socket.socket,
        view: WebView | None,
        metrics: Callable[[], str] | None,
        token: str,
        reporter: Reporter,
    ) -> None:
        """Serve what is given, and say where. The token holds where others get through, or where the user chose one."""
        from vidseg.serve.server import WebServer

        address = bound_address(listener)
        asked = None if address.loopback and self._config.serve_token is None else token
        server = WebServer(listener, view, metrics=metrics, token=asked)
        self._stack.enter_context(BackgroundTask(name, server.run, server.stop))
        if view is not None:
            reporter.address(f"watch at {page_url(address, asked)}")
        if metrics is not None:
            tell = reporter.note if asked is None else reporter.address
            tell(f"metrics at {page_url(address, asked, 'metrics')}")

    def publish(self, result: Result) -> None:
        """Show one result to those who watch, and record it where that is wished for."""
        assert self._view is not None and self._recorder is not None
        self._view.publish(result)
        self._recorder.offer(result)

    def end_unwanted(self) -> None:
        """Do what viewers asked for that does not need a frame; to be called often."""
        if self._recorder is not None:
            self._recorder.end_unwanted()

    def end(self) -> list[str]:
        """No more results will come. The files that were recorded."""
        if self._view is None or self._recorder is None:
            return []
        self._view.end()
        self._recorder.finish()
        return self._recorder.files

    @property
    def failures(self) -> list[str]:
        """Why recordings failed, one sentence each."""
        return [] if self._recorder is None else self._recorder.failures


def page_url(address: Address, token: str | None, path: str = "") -> str:
    """What to open in a browser."""
    return f"http://{reachable(address)}/{path}" + (f"?token={token}" if token else "")


def relay(
    results: Buffer[Result],
    publish: Callable[[Result], None],
    *,
    pacer: Pacer | None,
    hold: bool,
    stop: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Publish results until they end or `stop` says so: `watch` without a window.

    Args:
        pacer: for files; None publishes each result as it comes.
        hold: after the last result wait for `stop`: for folders of images.
    """

    def wait(seconds: float) -> bool:
        """Wait in small steps; True when it is time to go."""
        while seconds > 0 and not stop() and not results.cancelled:
            step = min(seconds, POLL_MS / 1000)
            sleep(step)
            seconds -= step
        return stop() or results.cancelled

    while not stop() and not results.cancelled:
        try:
            result = results.get(timeout=POLL_MS / 1000)
        except TimeoutError:
            continue
        except Closed:
            while hold and not wait(POLL_MS / 1000):
                pass
            return
        if pacer is not None and wait(pacer.wait_seconds(result.frame.seconds)):
            return
        publish(result)


def _need(option: str, extra: str, *libraries: str) -> None:
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        names = " and ".join(name.replace("_", "-") for name in missing)
        raise ServeError(f"{option} needs {names}: not installed; get it with pip install 'vidseg[{extra}]'")
