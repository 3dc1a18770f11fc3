"""Requests about films: send one, have it localised, look at it, paint it, save its moments."""

import asyncio
import shutil
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from hearsight.checkpoints.card import card_of
from hearsight.files.text import writable
from hearsight.progress import Progress
from hearsight.serving.exports import export_formats
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
from hearsight.serving.uploads import UploadTooLargeError

SHOWN = 24  # results on the first page
THROWN = 64 << 20  # bytes that are read of a file that is too large
LISTED = 100  # films of the folders on the first page
MEDIA = {  # what a browser is told of a file, by its suffix
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",  # as all browsers but one take it
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
}
STYLES = ("heat", "contour", "box")


async def first_page(request: Request) -> Response:
    """Where one drops a film, and the results so far."""
    service = service_of(request)
    service.seen.set()
    return page(
        request,
        "localise.html",
        folders=len(service.folders.folders),
        results=service.results.newest(SHOWN),
    )


async def folder(request: Request) -> Response:
    """The films of the folders whose names have a part in them, as a part of the first page."""
    part = request.query_params.get("find", "").strip().lower()
    files = await asyncio.to_thread(service_of(request).folders.files)
    found = [one for one in files if part in one.name.lower()]
    cut = len(found) > LISTED
    return page(request, "folder.html", files=found[:LISTED], cut=cut, listed=LISTED)


async def upload(request: Request) -> Response:
    """Take a file, which is the body of the request."""
    length = request.headers.get("content-length", "")
    name = request.query_params.get("name", "")
    blocks = request.stream()
    try:
        sent = await service_of(request).uploads.receive(
            name, blocks, int(length) if length.isdecimal() else None
        )
    except UploadTooLargeError as error:
        # who still sends does not read an answer; a little more is taken, and thrown away
        left = THROWN
        async for block in blocks:
            left -= len(block)
            if left < 0:
                break
        return json_response({"error": str(error)}, 413, {"connection": "close"})
    return json_response({"id": sent.id, "name": sent.name}, 201)


async def forget_upload(request: Request) -> Response:
    """Remove a file that was sent and is not wanted."""
    service_of(request).uploads.discard(request.path_params["key"])
    return Response(status_code=204)


async def localise(request: Request) -> Response:
    """Queue a film, or a picture and a sound, to be localised."""
    service, asked = service_of(request), await read_object(request)
    every = number(asked, "every", 1.0)
    key = new_key()
    if "picture" in asked:
        job = _picture_job(service, key, word(asked, "picture"), word(asked, "sound"))
    else:
        job = await _film_job(service, key, asked, every)
    service.queue.submit(job)
    return json_response({"job": key, "page": job.page}, 202)


async def _film_job(service: Service, key: str, asked: dict[str, Any], every: float) -> Job:
    """The job for a film that was sent, is in a folder, or is in the library."""
    if "upload" in asked:
        with service.uploads.taken(file=word(asked, "upload")) as [sent]:
            name, kept = sent.name, f"film{sent.path.suffix}"
            folder = service.results.create(key, {"name": name, "film": kept})
            film = folder / kept
            shutil.move(sent.path, film)
    else:
        film = await _known_file(service, asked)
        name = writable(film.name)
        folder = service.results.create(key, {"name": name, "film": str(film)})
    arguments = {"film": str(film), "name": name, "folder": str(folder), "every": every}
    return _result_job(service, key, name, "localise_film", arguments)


async def _known_file(service: Service, asked: dict[str, Any]) -> Path:
    """The path of a film in a folder or in the library."""
    if "row" in asked:
        found = await service.searcher.call("file_of", {"row": word(asked, "row")})
    else:
        file = await asyncio.to_thread(service.folders.file, word(asked, "file"))
        found = None if file is None else file.path
    if found is None:
        raise missing()
    return Path(found)


def _picture_job(service: Service, key: str, picture: str, sound: str) -> Job:
    """The job for a picture and a sound that were sent."""
    with service.uploads.taken(picture=picture, sound=sound) as [seen, heard]:
        kept, kept_sound = f"film{seen.path.suffix}", f"heard{heard.path.suffix}"
        name = f"{seen.name} + {heard.name}"
        folder = service.results.create(key, {"name": name, "film": kept, "sound": kept_sound})
        shutil.move(seen.path, folder / kept)
        shutil.move(heard.path, folder / kept_sound)
    arguments = {
        "picture": str(folder / kept),
        "picture_name": seen.name,
        "sound": str(folder / kept_sound),
        "sound_name": heard.name,
        "folder": str(folder),
    }
    return _result_job(service, key, name, "localise_picture", arguments)


def _result_job(service: Service, key: str, name: str, task: str, arguments: dict[str, Any]) -> Job:
    async def work(progress: Progress) -> None:
        await service.worker.call(task, arguments, progress)
        service.results.trim(keep=key)

    def undo() -> None:
        if service.results.path(key) is None:
            service.results.discard(key)

    return Job(
        id=key,
        title=TEXTS["jobs"]["localise"].format(name=name),
        page=f"/films/{key}",
        work=work,
        undo=undo,
    )


async def film_page(request: Request) -> Response:
    """The film with its map, or how far the work on it is."""
    service, key = service_of(request), request.path_params["key"]
    facts = service.results.facts(key)
    if facts is not None:
        film = service.results.playable(key)
        return page(
            request,
            "film.html",
            film=facts,
            gone=film is None or not film.is_file(),
            formats=export_formats(facts["kind"]),
            stem=Path(facts["name"]).stem,
            styles=STYLES,
            card=card_of(facts["model"]),
            painted=[style for style in STYLES if _painted(service, facts, style).is_file()],
            library=service.options.library is not None,
        )
    job = service.queue.jobs.get(key)
    if job is None:
        raise missing()
    return page(request, "working.html", job=job.shown())


async def facts(request: Request) -> Response:
    """What a result says of its film, with its moments and its loudness."""
    service, key = service_of(request), request.path_params["key"]
    found, held = service.results.facts(key), service.results.moments(key)
    if found is None or held is None:
        raise missing()
    shown = ("id", "name", "kind", "duration", "size", "frame_rate", "every", "threshold")
    return json_response({name: found[name] for name in shown} | held)


async def maps(request: Request) -> Response:
    """The maps of all moments: a byte for each cell, row after row, moment after moment."""
    path = service_of(request).results.maps(request.path_params["key"])
    if path is None:
        raise missing()
    return FileResponse(path, media_type="application/octet-stream")


async def media(request: Request) -> Response:
    """The film as browsers play it, or the picture."""
    return _media(request, service_of(request).results.playable(request.path_params["key"]))


async def sound(request: Request) -> Response:
    """The sound of a picture as browsers play it."""
    return _media(request, service_of(request).results.sound(request.path_params["key"]))


def _media(request: Request, path: Path | None) -> Response:
    if path is None:
        raise missing()
    kind = MEDIA.get(path.suffix.lower(), "application/octet-stream")
    return file_response(request, path, kind)


async def forget(request: Request) -> Response:
    """Remove a result, and the film that was sent for it."""
    service, key = service_of(request), request.path_params["key"]
    service.queue.cancel(key)
    if not service.results.discard(key):
        raise missing()
    if request.headers.get("hx-request"):
        return page(request, "results.html", results=service.results.newest(SHOWN))
    return Response(status_code=204)


async def make_playable(request: Request) -> Response:
    """Queue a copy of a film that this browser does not play."""
    service, key = service_of(request), request.path_params["key"]
    facts, film = service.results.facts(key), service.results.source(key)
    if facts is None or film is None or facts["kind"] != "video":
        raise missing()
    folder = str(service.results.folder / key)
    arguments = {"film": str(film), "name": facts["name"], "folder": folder}
    title = TEXTS["jobs"]["playable"].format(name=facts["name"])
    return _submit(service, key, title, "make_playable", arguments)


async def paint(request: Request) -> Response:
    """Queue the painting of a film to a file."""
    service, key = service_of(request), request.path_params["key"]
    style = word(await read_object(request), "style")
    facts, film = service.results.facts(key), service.results.source(key)
    if facts is None or film is None or style not in STYLES:
        raise missing()
    arguments = {
        "film": str(film),
        "name": facts["name"],
        "folder": str(service.results.folder / key),
        "style": style,
        "target": str(_painted(service, facts, style)),
    }
    title = TEXTS["jobs"]["paint"].format(name=facts["name"])
    return _submit(service, key, title, "paint", arguments)


def _submit(
    service: Service, key: str, title: str, task: str, arguments: dict[str, Any]
) -> Response:
    """Queue work on a finished result."""
    job = Job(
        id=new_key(),
        title=title,
        page=f"/films/{key}",
        work=partial(service.worker.call, task, arguments),
        undo=lambda: None,  # what it writes appears whole or not at all
    )
    service.queue.submit(job)
    return json_response({"job": job.id, "page": job.page}, 202)


def _painted(service: Service, facts: dict[str, Any], style: str) -> Path:
    suffix = ".png" if facts["kind"] == "picture" else ".mp4"
    return Path(service.results.folder / facts["id"] / f"painted-{style}{suffix}")


async def painted(request: Request) -> Response:
    """A painted film, to be saved."""
    service, style = service_of(request), request.path_params["style"]
    facts = service.results.facts(request.path_params["key"])
    if facts is None or style not in STYLES:
        raise missing()
    path = _painted(service, facts, style)
    name = f"{Path(facts['name']).stem}-{style}{path.suffix}"
    return file_response(request, path, MEDIA[path.suffix], download=name)


async def export(request: Request) -> Response:
    """The moments of a result in a format of another tool."""
    service, key = service_of(request), request.path_params["key"]
    facts, held = service.results.facts(key), service.results.moments(key)
    if facts is None or held is None:
        raise missing()
    offered = {one.name: one for one in export_formats(facts["kind"])}
    form = offered.get(request.path_params["form"])
    if form is None:
        raise missing()
    arguments = {"form": form.name, "facts": facts, "held": held}
    text = await service.searcher.call("export", arguments)
    name = quote(f"{Path(facts['name']).stem}{form.ending}", safe="")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
    return Response(text, media_type=form.media_type, headers=headers)


async def jobs(request: Request) -> Response:
    """The work that waits and runs, and how the last ended."""
    return json_response(service_of(request).queue.shown())


async def cancel(request: Request) -> Response:
    """End a job."""
    if not service_of(request).queue.cancel(request.path_params["key"]):
        raise missing()
    return Response(status_code=204)


ROUTES = [
    Route("/", first_page),
    Route("/folder", folder),
    Route("/uploads", upload, methods=["POST"]),
    Route("/uploads/{key}", forget_upload, methods=["DELETE"]),
    Route("/films", localise, methods=["POST"]),
    Route("/films", lambda _: RedirectResponse("/", 303), methods=["GET"]),
    Route("/films/{key}", film_page),
    Route("/films/{key}", forget, methods=["DELETE"]),
    Route("/films/{key}/facts", facts),
    Route("/films/{key}/maps", maps),
    Route("/films/{key}/media", media),
    Route("/films/{key}/sound", sound),
    Route("/films/{key}/playable", make_playable, methods=["POST"]),
    Route("/films/{key}/painted", paint, methods=["POST"]),
    Route("/films/{key}/painted/{style}", painted),
    Route("/films/{key}/export/{form}", export),
    Route("/jobs", jobs),
    Route("/jobs/{key}", cancel, methods=["DELETE"]),
]
