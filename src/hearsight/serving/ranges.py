"""A file in parts: what a browser asks of a film that it plays.

Of several parts the reachable ones are joined where they touch. One part is answered as such;
what would need more than one is answered with the whole file, which HTTP permits.
"""

import os
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from hearsight.serving.texts import TEXTS

BLOCK = 256 * 1024  # bytes read at once
MOST = 16  # parts in one request; more are answered with the whole file
PART = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*")


def parse_range(header: str | None, size: int) -> range | None:
    """The bytes to answer with: a part, an empty range if none is reachable, None for all.

    header: the value of `Range`, as a stranger wrote it. size: of the file in bytes.
    """
    unit, equals, listed = (header or "").partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    parts = []
    for text in listed.split(","):
        match = PART.fullmatch(text)
        if match is None or not any(match.groups()) or max(map(len, match.groups())) > 18:
            return None
        first, last = match.groups()
        if not first:
            parts.append((max(0, size - int(last)), size - 1 if int(last) else -1))
        elif last and int(last) < int(first):
            return None
        else:
            parts.append((int(first), min(int(last) if last else size - 1, size - 1)))
    if len(parts) > MOST:
        return None
    reachable = sorted((first, last) for first, last in parts if first <= last)
    if not reachable:
        return range(0)
    begin, end = reachable[0]
    for first, last in reachable[1:]:
        if first > end + 1:
            return None
        end = max(end, last)
    return range(begin, end + 1)


def file_response(
    request: Request, path: Path, media_type: str, *, download: str | None = None
) -> Response:
    """A file, or the part of it that a request asks for.

    download: a name under which browsers save it; None: it is shown.
    """
    try:
        facts = path.stat()
    except OSError:
        return PlainTextResponse(TEXTS["refused"]["gone"], 404)
    size, tag = facts.st_size, f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "etag": tag,
        "last-modified": formatdate(facts.st_mtime, usegmt=True),
    }
    if download is not None:
        headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(download, safe='')}"
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    unchanged = request.headers.get("if-range", tag) in (tag, headers["last-modified"])
    wanted = parse_range(request.headers.get("range"), size) if unchanged else None
    if wanted is not None and not wanted:
        headers["content-range"] = f"bytes */{size}"
        return Response(status_code=416, headers=headers)
    status, part = (200, range(size)) if wanted is None else (206, wanted)
    if wanted is not None:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    headers["content-length"] = str(len(part))
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_blocks(path, part), status, headers, media_type)


async def _blocks(path: Path, part: range) -> AsyncIterator[bytes]:
    """The bytes of a part; closed as soon as the reader has gone."""
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(part.start, os.SEEK_SET)
        left = len(part)
        while left:
            block = await file.read(min(BLOCK, left))
            if not block:
                return
            left -= len(block)
            yield block
