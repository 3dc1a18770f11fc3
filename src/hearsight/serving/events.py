"""Progress as server-sent events: what is at work, as it changes."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hearsight.serving.jobs import JobQueue
from hearsight.serving.service import service_of

ALIVE = 15.0  # seconds of silence after which a reader is shown that the server lives


async def events(request: Request) -> Response:
    """The stream of what is at work; it ends when the reader has gone."""
    stream = job_events(service_of(request).queue)
    headers = {"cache-control": "no-store"}
    return StreamingResponse(stream, headers=headers, media_type="text/event-stream")


async def job_events(queue: JobQueue) -> AsyncIterator[str]:
    """An event for each state of the queue; a comment where nothing changes for long."""
    snapshots = queue.snapshots()
    waiting = asyncio.ensure_future(anext(snapshots))
    try:
        while True:
            done, _ = await asyncio.wait([waiting], timeout=ALIVE)
            if not done:
                yield ": alive\n\n"
                continue
            yield f"event: jobs\ndata: {json.dumps(waiting.result())}\n\n"
            waiting = asyncio.ensure_future(anext(snapshots))
    finally:
        waiting.cancel()


ROUTES = [Route("/events", events)]
