"""Who may see the pages: a token where one is required, only this machine's own names, no foreign pages."""

from __future__ import annotations

import html
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from vidseg.address import Address

_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_COOKIE_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one server."""

    address: Address
    token: str | None
    """None lets everybody in who can reach the address."""

    @property
    def cookie(self) -> str:
        """The cookie that carries the token. Cookies do not tell ports apart, so its name does."""
        return f"vidseg_{self.address.port}"


class Gate:
    """Lets requests through to `app`, or answers them itself.

    - At a loopback address without a token the Host header has to be a name of this machine: a page of another site
      whose name was made to point here (DNS rebinding) gets nothing. A token's cookie is not sent to such a name.
    - With a token, each request has to bring it: as a cookie, as `Authorization: Bearer`, or as `?token=`. The first
      visit to the page leaves it in a cookie and takes it out of the address line.
    - What changes something is a POST, and not from another site's page (Sec-Fetch-Site, Origin).
    """

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no WebSockets here
        answer = self._answer(scope)
        await (self._app if answer is None else answer)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response | None:
        """What to say instead of the page; None to let the request through."""
        access, headers = self._access, Headers(scope=scope)
        host = headers.get("host", "")
        guarded = access.token is None and access.address.loopback
        if guarded and _host_name(host) not in _LOCAL_NAMES | {access.address.host.casefold()}:
            return PlainTextResponse(f"open this page as http://localhost:{access.address.port}/", 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
        if access.token is not None:
            words = (_cookie(headers.get("cookie", ""), access.cookie), _bearer(headers), given)
            if not any([_same(word, access.token) for word in words]):
                return _ask_for_token(given, scope["method"])
        if scope["method"] not in ("GET", "HEAD"):
            if not _own_page(headers, host):
                return PlainTextResponse("refused: the request comes from another site's page", 403)
        elif given and access.token is not None and scope["path"] == "/":
            response = RedirectResponse("/", 303, headers={"Referrer-Policy": "no-referrer"})
            # lax, so that a link in a mail works; what changes something asks for Origin besides
            response.set_cookie(access.cookie, access.token, max_age=_COOKIE_SECONDS, httponly=True, samesite="lax")
            return response
        return None


def _own_page(headers: Headers, host: str) -> bool:
    """False when a browser says that the request comes from a page of another site."""
    if headers.get("sec-fetch-site") == "same-origin":  # pages cannot set it; right behind a proxy too
        return True
    origin = headers.get("origin")  # browsers always send it with a POST
    return origin is None or origin.partition("://")[2] == host


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").casefold()
    except ValueError:
        return ""


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _bearer(headers: Headers) -> str:
    kind, _, word = headers.get("authorization", "").partition(" ")
    return word.strip() if kind.casefold() == "bearer" else ""


def _same(given: str, token: str) -> bool:
    """In a time that does not tell how much of it is right."""
    return secrets.compare_digest(given.encode(), token.encode())


def _ask_for_token(given: str, method: str) -> Response:
    headers = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "WWW-Authenticate": "Bearer"}
    if method != "GET":
        return PlainTextResponse("a token is needed", 401, headers=headers)
    say = "Wrong token." if given else "This page needs the token that vidseg printed when it started."
    page = (
        '<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>vidseg</title><style>html{color-scheme:dark;font:16px system-ui;background:#0d1014;color:#e6e9ee}"
        "form{max-width:22rem;margin:20vh auto;padding:0 1rem}input,button{font:inherit;padding:.5rem .7rem;"
        "border-radius:.5rem;border:1px solid #333b46;background:#171b21;color:inherit}</style>"
        f'<form action="/"><p>{html.escape(say)}</p>'
        "<input name=token type=password aria-label=Token autofocus> <button>Open</button></form>"
    )
    return HTMLResponse(page, 401, headers=headers)
