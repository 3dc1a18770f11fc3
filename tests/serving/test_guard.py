"""Who may ask: the right host, no other page, and from elsewhere a token."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from hearsight.serving.guard import Guard, hosts_of, new_token

HERE = "http://127.0.0.1:8420"


async def answer(request: Request) -> Response:
    return PlainTextResponse(request.url.path)


INSIDE = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def client(token: str | None = None, host: str = "127.0.0.1") -> TestClient:
    app = Guard(app=INSIDE, hosts=hosts_of(host, 8420), token=token)
    return TestClient(app, base_url=HERE, follow_redirects=False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8420", "localhost:8420", "LOCALHOST:8420", "[::1]:8420"]
)
def test_the_address_that_was_printed_is_answered(host: str) -> None:
    assert client().get("/a", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8420",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1.evil.example:8420",
        "",
        "x@localhost:8420",
    ],
)
def test_a_name_that_leads_here_is_refused(host: str) -> None:
    assert client().get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8420", "http://127.0.0.1:8421"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_from_another_page_is_refused(method: str, origin: str) -> None:
    assert client().request(method, "/", headers={"origin": origin}).status_code == 403


def test_a_request_from_the_page_itself_passes() -> None:
    assert client().post("/", headers={"origin": HERE}).status_code == 200
    assert client().post("/", headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_another_page_may_link_here_but_embed_and_send_nothing() -> None:
    foreign = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client().get("/", headers=foreign).status_code == 200
    assert client().post("/", headers=foreign).status_code == 403
    embedded = foreign | {"sec-fetch-mode": "no-cors"}
    assert client().get("/films/1/media", headers=embedded).status_code == 403


def test_every_answer_forbids_what_no_page_here_needs() -> None:
    for path, headers in (("/", {}), ("/", {"host": "evil.example"})):
        found = client().get(path, headers=headers).headers
        assert "default-src 'none'" in found["content-security-policy"]
        assert "unsafe" not in found["content-security-policy"]
        assert found["x-content-type-options"] == "nosniff"
        assert found["cross-origin-resource-policy"] == "same-origin"
        assert found["referrer-policy"] == "no-referrer"


def test_from_elsewhere_a_token_is_asked_for_once() -> None:
    token = new_token()
    asked = client(token)
    assert asked.get("/").status_code == 403
    assert asked.get(f"/?token={token}x").status_code == 403
    assert asked.get("/", headers={"cookie": "hearsight-8420=x"}).status_code == 403
    assert asked.post(f"/films?token={token}").status_code == 200
    let_in = asked.get(f"/films/1?at=2&token={token}")
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/films/1?at=2")
    cookie = let_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert asked.get("/films/1").status_code == 200  # by the cookie
    fresh = client(token).get(f"{HERE}//evil.example/?token={token}")
    assert fresh.headers["location"] == "/evil.example/"  # not another host


@pytest.mark.parametrize(
    "other", ["a@b=1", "a,b=1", "flag", "expires=1", "=1", 'x="un', "é=ü", "a b"]
)
@pytest.mark.parametrize("before", [True, False])
def test_cookies_of_other_programs_on_the_machine_do_no_harm(other: str, before: bool) -> None:
    """A browser sends a host's cookies to every port of it, whatever they are called."""
    token = new_token()
    own = f"hearsight-8420={token}"
    both = f"{other}; {own}" if before else f"{own}; {other}"
    for cookie, status in ((both, 200), (other, 403), (both.replace(token, token[1:]), 403)):
        headers = {"cookie": cookie.encode("latin-1")}
        assert client(token).get("/films/1", headers=headers).status_code == status, cookie


def test_all_addresses_have_no_one_name() -> None:
    assert hosts_of("0.0.0.0", 8420) is None
    assert hosts_of("192.168.0.7", 8420) == {"192.168.0.7:8420"}
    assert hosts_of("fd00::7", 8420) == {"[fd00::7]:8420"}
    assert hosts_of("192.168.0.7", 80) == {"192.168.0.7:80", "192.168.0.7"}
