"""Requests about the library: what is in it, index a folder, search, play what was found."""

import sys
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hearsight.errors import HearsightError
from hearsight.exports.formats import FORMATS
from hearsight.files.text import writable
from hearsight.serving.exports import BASKET
from hearsight.serving.films import MEDIA, STYLES
from hearsight.serving.jobs import Job
from hearsight.serving.ranges import file_response
from hearsight.serving.results import new_key
from hearsight.serving.service import (
    Service,
    json_response,
    missing,
    number,
    page,
    read_object,
    service_of,
    word,
)
from hearsight.serving.texts import TEXTS

COUNT, MOST_COUNT = 24, 200  # moments shown of a search
BASKETS = ("jsonl", "csv")  # formats in which a basket is saved
MOST_BASKET = 10_000  # moments
BASKET_BODY = 16 << 20  # bytes of so many


async def library_page(request: Request) -> Response:
    """What is in the library, and what a search found in it."""
    service, asked = service_of(request), dict(request.query_params)
    values: dict[str, Any] = {
        "name": service.options.library,
        "folders": [
            {"place": place, "name": folder.name or str(folder)}
            for place, folder in enumerate(service.folders.folders)
        ],
        "styles": STYLES,
        "held": None,
        "answer": None,
        "error": "",
        "asked": {"part": "", "from": "", "until": "", "to": "", **asked},
    }
    if service.options.library is None:
        return page(request, "library.html", **values)
    try:
        values["held"] = await service.searcher.call("contents", {})
        if values["held"] and {"key", "row", "film"} & asked.keys():
            key = await _query(service, asked)
            values["answer"] = await _answer(service, key, asked)
    except HearsightError as error:
        values["error"] = str(error)
    return page(request, "library.html", **values)


async def ready(request: Request) -> Response:
    """Whether a search need not wait for the model, as a part of the page."""
    held = await service_of(request).searcher.call("contents", {})
    return page(request, "library_ready.html", held=held)


async def _query(service: Service, asked: dict[str, str]) -> str:
    """The id of the query that an address asks for."""
    if "key" in asked:
        return asked["key"]
    at, to = number(asked, "at", 0.0), asked.get("to") or "sound"
    if "row" in asked:
        arguments = {"row": asked["row"], "at": at, "to": to}
        return str(await service.searcher.call("ask_by_moment", arguments))
    film, facts = service.results.source(asked["film"]), service.results.facts(asked["film"])
    if film is None or facts is None:
        raise missing()
    arguments = {"file": str(film), "name": facts["name"], "at": at, "to": to}
    return str(await service.searcher.call("ask", arguments))


async def _answer(service: Service, key: str, asked: dict[str, str]) -> dict[str, Any]:
    """What a search found, by the filters of an address."""
    arguments = {
        "key": key,
        "to": asked.get("to") or None,
        "count": int(min(max(number(asked, "count", COUNT), 1), MOST_COUNT)),
        "part": asked.get("part", ""),
        "start": number(asked, "from", 0.0) if asked.get("from") else None,
        "end": number(asked, "until", 0.0) if asked.get("until") else None,
    }
    found: dict[str, Any] = await service.searcher.call("search", arguments)
    return found


async def ask(request: Request) -> Response:
    """Embed a file that was sent, and remove it; the id of the query."""
    service, asked = service_of(request), await read_object(request)
    sent = service.uploads.take(word(asked, "upload"))
    try:
        arguments = {"file": str(sent.path), "name": sent.name, "to": word(asked, "to", "sound")}
        key = await service.searcher.call("ask", arguments)
    finally:
        sent.path.unlink(missing_ok=True)
    return json_response({"page": f"/library?{urlencode({'key': key, 'to': arguments['to']})}"})


async def index(request: Request) -> Response:
    """Queue the indexing of a folder that the server was started with."""
    service = service_of(request)
    place = int(number(await read_object(request), "folder", -1))
    if service.options.library is None or not 0 <= place < len(service.folders.folders):
        raise missing()
    folder = service.folders.folders[place]
    arguments = {"folder": str(folder), "name": folder.name}
    job = Job(
        id=new_key(),
        title=TEXTS["jobs"]["index"].format(name=folder.name),
        page="/library",
        work=partial(service.worker.call, "index", arguments),
        undo=lambda: None,  # the library holds all of a file or nothing
    )
    service.queue.submit(job)
    return json_response({"job": job.id}, 202)


async def files(request: Request) -> Response:
    """The files of the library whose paths have a part in them, as a part of the page."""
    part = request.query_params.get("find", "").strip()
    found = await service_of(request).searcher.call("files", {"part": part})
    return page(request, "library_files.html", **found)


async def play(request: Request) -> Response:
    """Where a browser finds a moment to play: the file itself, or a clip of it."""
    service, row = service_of(request), request.path_params["row"]
    found = await service.searcher.call("plays", {"row": row})
    if found is None or found["kind"] == "picture":
        raise missing()
    held = await service.searcher.call("contents", {})
    seconds = held["seconds"] if held else 3.0
    start = max(0.0, number(request.query_params, "at", 0.0) - seconds / 2)
    if found["whole"]:
        source, begin = f"/library/files/{row}", start
    else:
        source, begin = f"/library/clips/{row}?start={start:.3f}", 0.0
    answer = {"kind": found["kind"], "source": source, "start": begin, "end": begin + seconds}
    return json_response(answer)


async def media(request: Request) -> Response:
    """A file of the library."""
    arguments = {"row": request.path_params["row"]}
    name = await service_of(request).searcher.call("file_of", arguments)
    if name is None:
        raise missing()
    kind = MEDIA.get(Path(name).suffix.lower(), "application/octet-stream")
    return file_response(request, Path(name), kind)


async def clip(request: Request) -> Response:
    """A clip of a file that browsers do not play."""
    start = number(request.query_params, "start", 0.0)
    arguments = {"row": request.path_params["row"], "start": max(0.0, start)}
    made = await service_of(request).searcher.call("clip", arguments)
    if made is None:
        raise missing()
    return Response(made, media_type="audio/wav" if made[:4] == b"RIFF" else "video/mp4")


async def basket(request: Request) -> Response:
    """Moments that were taken along, as a file."""
    service, asked = service_of(request), await read_object(request, BASKET_BODY)
    moments, form = asked.get("moments"), word(asked, "form", "jsonl")
    if not isinstance(moments, list) or len(moments) > MOST_BASKET or form not in BASKETS:
        raise HTTPException(400, TEXTS["refused"]["body"])
    rows = [await _basket_row(service, one) for one in moments if isinstance(one, dict)]
    text = await service.searcher.call("basket", {"form": form, "rows": rows})
    return Response(text, media_type=FORMATS[form].media_type)


async def _basket_row(service: Service, moment: dict[str, Any]) -> dict[str, Any]:
    """A moment of a basket as it is saved: where its file lies, if that is known."""
    row: dict[str, Any] = {name: moment.get(name) for name in (*BASKET, "box")}
    box = row["box"]
    row["box"] = [float(edge) for edge in box] if _is_box(box) else None
    for name in ("time", "score", "confidence", "level"):
        row[name] = row[name] if _is_number(row[name]) else None
    file: Path | str | None = str(moment.get("name", ""))
    if isinstance(moment.get("row"), str) and service.options.library is not None:
        file = await service.searcher.call("file_of", {"row": moment["row"]}) or file
    elif isinstance(moment.get("film"), str):
        facts = service.results.facts(moment["film"]) or {}
        file = facts["film"] if Path(facts.get("film", "")).is_absolute() else file
    return row | {"file": writable(str(file))}


def _is_box(box: object) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))


def _is_number(value: object) -> bool:
    """Whether a value is a finite number; JSON as Python reads it has others, and huge integers."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


ROUTES = [
    Route("/library", library_page),
    Route("/library/queries", ask, methods=["POST"]),
    Route("/library/index", index, methods=["POST"]),
    Route("/library/ready", ready),
    Route("/library/files", files),
    Route("/library/files/{row}", media),
    Route("/library/play/{row}", play),
    Route("/library/clips/{row}", clip),
    Route("/library/basket", basket, methods=["POST"]),
]
