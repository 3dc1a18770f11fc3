"""A file in parts, as a player asks for it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from hearsight.serving.ranges import MOST, file_response, parse_range

SIZE = 2048
CONTENT = bytes(number % 251 for number in range(SIZE))


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-9", range(10)),
        ("bytes=0-", range(SIZE)),
        ("bytes=2040-9999", range(2040, SIZE)),
        ("bytes=-5", range(2043, SIZE)),
        ("bytes=-9999", range(SIZE)),
        ("bytes=2048-", range(0)),
        ("bytes=-0", range(0)),
        ("bytes=0-9,5000-6000", range(10)),  # the part that can be reached
        ("bytes=5000-6000,0-9", range(10)),
        ("bytes=0-9,10-19", range(20)),
        ("bytes=5-19, 0-9", range(20)),
        ("bytes=0-9,100-109", None),  # two parts: the whole file
        ("bytes=9-0", None),  # as are all that cannot be understood
        ("bytes=a-b", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("lines=0-9", None),
        ("bytes=0-99999999999999999999", None),
        ("bytes=" + ",".join(["0-1"] * (MOST + 1)), None),
    ],
)
def test_a_header_names_a_part(header: str | None, wanted: range | None) -> None:
    assert parse_range(header, SIZE) == wanted


@given(st.text(alphabet="bytes=0123456789-, ", max_size=40), st.integers(0, 50))
def test_no_header_names_what_is_not_in_the_file(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        part = parse_range(text, size)
        assert part is None or not part or (part.start >= 0 and part.stop <= size)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "film.mp4").write_bytes(CONTENT)

    async def film(request: Request) -> Response:
        return file_response(request, tmp_path / request.path_params["name"], "video/mp4")

    return TestClient(Starlette(routes=[Route("/{name}", film)]))


def test_a_file_is_answered_whole_and_in_parts(client: TestClient) -> None:
    whole = client.get("/film.mp4")
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get("/film.mp4", headers={"range": "bytes=100-199,4000-"})
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{SIZE}"
    beyond = client.get("/film.mp4", headers={"range": "bytes=4000-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{SIZE}")
    head = client.head("/film.mp4", headers={"range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"], head.content) == (206, "10", b"")
    assert client.get("/gone.mp4").status_code == 404


def test_a_file_that_has_changed_is_answered_whole(client: TestClient) -> None:
    tag = client.get("/film.mp4").headers["etag"]
    part = {"range": "bytes=0-9"}
    assert client.get("/film.mp4", headers=part | {"if-range": tag}).status_code == 206
    assert client.get("/film.mp4", headers=part | {"if-range": '"other"'}).status_code == 200
    assert client.get("/film.mp4", headers={"if-none-match": tag}).status_code == 304
