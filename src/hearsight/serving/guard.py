"""Who may ask: the machine's own browser by default, with a token from elsewhere, no other page.

A page of another site that is open in the same browser could send requests here, and a name that
it controls may lead to this machine. So the `Host` of every request must be the address that was
printed, and a request that another site began is refused.
"""

import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearsight.serving.texts import TEXTS

LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
WEEK = 7 * 24 * 3600  # seconds that a browser keeps the token
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
SAFE = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """An ASGI application in front of another: refuses what may not ask, adds safe headers.

    hosts: values of the header `Host` that are answered; None: any, which a token must make safe.
    token: what a browser from elsewhere must bring, once in the address as `?token=`, then in a
    cookie; None: nothing.
    """

    app: ASGIApp
    hosts: frozenset[str] | None
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing here speaks over a web socket, which the server then closes

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in SAFE.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self.refuse(scope)
        answer = self.app if refusal is None else refusal
        await answer(scope, receive, send_safely)

    def refuse(self, scope: Scope) -> Response | None:
        """What a request is answered with that may not pass; None if it may."""
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if not host or (self.hosts is not None and host not in self.hosts):
            return PlainTextResponse(TEXTS["refused"]["host"], 403)
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{host}":
            return PlainTextResponse(TEXTS["refused"]["origin"], 403)
        site, mode = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-mode", "")
        visits = mode == "navigate" and scope["method"] == "GET"
        if site not in ("none", "same-origin") and not visits:
            return PlainTextResponse(TEXTS["refused"]["origin"], 403)
        return self._refuse_stranger(scope)

    def _refuse_stranger(self, scope: Scope) -> Response | None:
        """As `refuse`, of one who does not bring the token; brought in the address it is kept."""
        if self.token is None:
            return None
        cookie = f"hearsight-{(scope.get('server') or ('', 0))[1]}"
        kept = HTTPConnection(scope).cookies.get(cookie, "")  # beside those of other programs here
        if _same(kept, self.token):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token", "")
        if not _same(given, self.token):
            return PlainTextResponse(TEXTS["refused"]["token"], 403)
        if scope["method"] != "GET":
            return None
        rest = urlencode([each for each in query if each[0] != "token"])
        path = "/" + scope["path"].lstrip("/")  # two slashes would name another host
        answer = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        answer.set_cookie(cookie, self.token, max_age=WEEK, httponly=True, samesite="lax")
        return answer


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode(), token.encode())


def hosts_of(host: str, port: int) -> frozenset[str] | None:
    """Values of the header `Host` by which an address is asked; None: any, for all addresses."""
    if host in ("0.0.0.0", "::", "[::]"):
        return None
    names = LOOPBACK[:3] if host in LOOPBACK else (host if ":" not in host else f"[{host}]",)
    return frozenset(f"{name}:{port}".lower() for name in names) | (
        frozenset(name.lower() for name in names) if port == 80 else frozenset()
    )
