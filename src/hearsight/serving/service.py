"""What every request shares: settings, workers, the queue, uploads, results, and the templates."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hearsight.errors import HearsightError
from hearsight.files.text import parse_json, writable
from hearsight.serving import uploads as upload_limits
from hearsight.serving.folders import Folders
from hearsight.serving.jobs import JobQueue
from hearsight.serving.results import KEPT, Results
from hearsight.serving.state import Settings
from hearsight.serving.texts import TEXTS
from hearsight.serving.uploads import Uploads
from hearsight.serving.worker import Worker
from hearsight.version import __version__

MOST_BODY = 1 << 20  # bytes of a request that is no upload
UNROUTED = {404: "gone", 405: "method"}  # what is said where Starlette has two words
LARGEST = 1e12  # of a number in a request: seconds, bytes or pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the page is served with."""

    state: Path  # folder of uploads and results
    library: str | None = None
    folders: Sequence[Path] = ()
    runs: Sequence[Path] = ()
    model: str | None = None
    device: str | None = None
    threads: int = 2
    most_upload: int = upload_limits.MOST  # bytes
    most_kept: int = KEPT  # bytes of all results


@dataclass(slots=True, kw_only=True)
class Service:
    """The parts of the server; `begun` starts and ends them."""

    options: ServeOptions
    worker: Worker  # does the jobs
    searcher: Worker  # answers at once: searches, live moments
    queue: JobQueue
    uploads: Uploads
    results: Results
    folders: Folders
    seen: asyncio.Event = field(default_factory=asyncio.Event)  # somebody looks at the first page
    templates: Environment = field(default_factory=lambda: make_templates())

    @classmethod
    def create(cls, options: ServeOptions) -> "Service":
        """All parts, nothing begun."""
        settings = Settings(
            model=options.model,
            library=options.library,
            device=options.device,
            threads=options.threads,
        )
        worker = Worker(settings)
        return cls(
            options=options,
            worker=worker,
            searcher=Worker(settings),
            queue=JobQueue(),
            uploads=Uploads(folder=options.state / "uploads", most=options.most_upload),
            results=Results(folder=options.state / "results", most=options.most_kept),
            folders=Folders(folders=[folder.absolute() for folder in options.folders]),
        )

    @asynccontextmanager
    async def begun(self, app: Starlette) -> AsyncIterator[None]:
        """The time in which requests are answered."""
        self.uploads.begin()
        self.results.begin()
        running = [asyncio.create_task(self.queue.run()), asyncio.create_task(self._warm())]
        try:
            yield
        finally:
            for worker in (self.worker, self.searcher):
                worker.kill()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for worker in (self.worker, self.searcher):
                worker.close()
            self.uploads.begin()

    async def _warm(self) -> None:
        """Load library and model before they are asked for; what is wrong the first job says.

        The model waits until somebody looks at the first page.
        """
        if self.options.library is not None:
            with suppress(HearsightError, RuntimeError):
                await self.searcher.call("contents", {})
        await self.seen.wait()
        with suppress(HearsightError, RuntimeError):
            await self.worker.call("warm", {})


def make_templates() -> Environment:
    """The templates of the pages: what they show is escaped, a text that is missing is an error."""
    found = Environment(
        loader=PackageLoader("hearsight.serving"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(t=TEXTS, version=__version__)
    return found


def service_of(request: Request) -> Service:
    """The parts of the server that a request came to."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page or a part of one, with the values that it shows; their names may be no UTF-8."""
    service = service_of(request)
    made = service.templates.get_template(template)
    text = made.render(here=request.url.path, most=service.uploads.most, **values)
    headers = {"cache-control": "no-store"}
    return HTMLResponse(writable(text), status_code=status, headers=headers)


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON whose names may be no UTF-8: they are escaped, where Starlette's own would raise."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status, headers, media_type="application/json")


async def read_body(request: Request, most: int = MOST_BODY) -> bytes:
    """What was sent, of at most so many bytes."""
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > most:
            raise HTTPException(413, TEXTS["refused"]["large"])
    return bytes(body)


async def read_object(request: Request, most: int = MOST_BODY) -> dict[str, Any]:
    """The JSON object that was sent, of at most so many bytes."""
    try:
        held = parse_json(await read_body(request, most))
    except ValueError as error:
        raise HTTPException(400, TEXTS["refused"]["body"]) from error
    if not isinstance(held, dict):
        raise HTTPException(400, TEXTS["refused"]["body"])
    return held


def word(values: Mapping[str, Any], name: str, default: str = "") -> str:
    """A text among values that a stranger sent."""
    value = values.get(name, default)
    if not isinstance(value, str):
        raise HTTPException(400, TEXTS["refused"]["body"])
    return value


def number(values: Mapping[str, Any], name: str, default: float) -> float:
    """A number up to `LARGEST` among values that a stranger sent, as a number or as its text."""
    value = values.get(name, default)
    try:
        found = float(value) if value != "" else default
    except (TypeError, ValueError, OverflowError) as error:
        raise HTTPException(400, TEXTS["refused"]["body"]) from error
    if not abs(found) <= LARGEST:  # so, too, if it is none
        raise HTTPException(400, TEXTS["refused"]["body"])
    return found


def missing() -> HTTPException:
    """What is raised where nothing has the id that was asked for."""
    return HTTPException(404, TEXTS["refused"]["gone"])


async def refused(request: Request, error: Exception) -> Response:
    """The answer to what raised: a page where one looks at it, a sentence for the page's code."""
    status, sentence, headers = 400, str(error), None
    if isinstance(error, HTTPException):
        status, sentence, headers = error.status_code, error.detail, error.headers
        if status in UNROUTED and sentence == HTTPStatus(status).phrase:
            sentence = TEXTS["refused"][UNROUTED[status]]
    shown = "text/html" in request.headers.get("accept", "") and request.method == "GET"
    if shown and not request.headers.get("hx-request"):  # a part of a page is no page
        titles = TEXTS["missing"]
        title = titles["title"] if status == 404 else titles["refused"]
        return page(request, "missing.html", status=status, title=title, sentence=sentence)
    return json_response({"error": sentence}, status, headers)
