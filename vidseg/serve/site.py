"""The pages: the viewer, its pictures and metrics, a plain MJPEG stream and metrics for other programs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from vidseg.serve.access import Access, Gate
from vidseg.serve.view import Picture, PictureSpec, Ticket, WebPictures, parse_spec

PATIENCE_SECONDS = 10.0
"""How long a request waits for a new frame before it is answered without one."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",  # no other site's page may show the pictures
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_BOUNDARY = b"vidseg-frame"


def build_site(
    access: Access,
    report: Callable[[Exception], None],
    *,
    view: WebPictures | None = None,
    metrics: Callable[[], str] | None = None,
) -> Starlette:
    """The ASGI application.

    Args:
        report: called with errors that are bugs; the viewer gets status 500.
        view: what the page and its pictures show; None offers neither.
        metrics: gives the text of /metrics, for Prometheus; None offers none.
    """

    def route(path: str, handler: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                response = await handler(request)
            except ValueError as error:  # a wish that cannot be fulfilled
                response = PlainTextResponse(str(error), 400)
            except Exception as error:
                report(error)
                response = PlainTextResponse("vidseg failed; see its messages where it runs", 500)
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return Route(path, endpoint, methods=[method])

    async def show_metrics(request: Request) -> Response:
        assert metrics is not None
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    routes = []
    if view is not None:
        pages = {
            "/": _page,
            "/frame.jpg": _frame,
            "/stream.mjpeg": _stream,
            "/snapshot.png": _snapshot,
            "/status.json": _status,
        }
        routes += [route(path, partial(handler, view)) for path, handler in pages.items()]
        routes.append(route("/record", partial(_record, view), "POST"))
        routes.append(route("/recordings/{name}", partial(_recording, view)))
    if metrics is not None:
        routes.append(route("/metrics", show_metrics))
    return Starlette(routes=routes, middleware=[Middleware(Gate, access=access)])


@cache
def _page_text() -> str:
    return resources.files("vidseg.serve").joinpath("page.html").read_text(encoding="utf-8")


async def _page(view: WebPictures, request: Request) -> Response:
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(_page_text().replace("{{nonce}}", nonce), headers={"Content-Security-Policy": policy})


async def _frame(view: WebPictures, request: Request) -> Response:
    """The newest picture as soon as it is newer than `after`; 204 when none comes for a while."""
    spec = _spec(view, request)
    picture = await _next_picture(view, spec, _after(request), gone=_disconnected(request))
    if picture is None:
        return Response(status_code=204)
    return Response(picture.data, media_type="image/jpeg", headers={"X-Frame": str(picture.number)})


async def _snapshot(view: WebPictures, request: Request) -> Response:
    """The newest picture at full size and without loss, as a file to keep."""
    spec = replace(_spec(view, request), max_width=None, encoding="png")
    picture = await _next_picture(view, spec, 0, gone=_disconnected(request))
    if picture is None:
        return PlainTextResponse("no picture yet", 503)
    name = f"vidseg-{picture.number:06}.png"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(picture.data, media_type="image/png", headers=headers)


async def _stream(view: WebPictures, request: Request) -> Response:
    """Pictures for ever, each replacing the last; a viewer that is slow gets fewer."""
    parts = _parts(view, _spec(view, request))
    media_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY.decode()}"
    if request.method == "HEAD":  # nothing is sent, so nothing would ever end the drawing
        return Response(media_type=media_type)
    return StreamingResponse(parts, media_type=media_type)


async def _parts(view: WebPictures, spec: PictureSpec) -> AsyncIterator[bytes]:
    after = 0
    yield b"--" + _BOUNDARY + b"\r\n"
    while not view.closed:
        picture = await _next_picture(view, spec, after)
        if picture is None:
            continue
        after = picture.number
        head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture.data)
        # the next boundary goes out at once: viewers show a picture when they see that it is over
        yield head + picture.data + b"\r\n--" + _BOUNDARY + b"\r\n"


async def _status(view: WebPictures, request: Request) -> Response:
    """What the page shows beside the picture; with `stream`, of that one of a grid."""
    return JSONResponse(view.status(_spec(view, request).stream))


async def _record(view: WebPictures, request: Request) -> Response:
    """`?do=start` with the same wishes as for a picture, or `?do=stop`."""
    match request.query_params.get("do"):
        case "start":
            view.start_recording(_spec(view, request))
        case "stop":
            view.stop_recording()
        case _:
            raise ValueError("do is missing; accepted: start, stop")
    return JSONResponse(view.status())


async def _recording(view: WebPictures, request: Request) -> Response:
    """A finished recording, from any place in it."""
    path = view.recording(request.path_params["name"])
    if path is None or not path.is_file():
        return PlainTextResponse("there is no such recording", 404)
    return FileResponse(path, filename=path.name, content_disposition_type="inline")


def _spec(view: WebPictures, request: Request) -> PictureSpec:
    counts = {"class_count": view.class_count, "stream_count": view.stream_count}
    return parse_spec(request.query_params, view.default, **counts, has_confidence=view.has_confidence)


def _after(request: Request) -> int:
    text = request.query_params.get("after", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValueError("after accepts the number of a frame")
    return int(text)


async def _disconnected(request: Request) -> None:
    """Returns when the viewer has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _next_picture(
    view: WebPictures, spec: PictureSpec, after: int, *, gone: Coroutine[Any, Any, None] | None = None
) -> Picture | None:
    """The next picture newer than `after`, None when none comes in time, or when `gone` returns before."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Picture | None] = loop.create_future()

    def deliver(picture: Picture | None) -> None:
        with suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(partial(_resolve, future, picture))

    waited_for: list[asyncio.Future[Any]] = [future]
    if gone is not None:
        waited_for.append(loop.create_task(gone))
    ticket = Ticket(spec, after, deliver)
    try:
        view.ask(ticket)
        await asyncio.wait(waited_for, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return future.result() if future.done() else None
    finally:
        view.forget(ticket)
        for other in waited_for:
            other.cancel()


def _resolve(future: asyncio.Future[Picture | None], picture: Picture | None) -> None:
    if not future.done():
        future.set_result(picture)
