"""Requests of the camera and the microphone: a picture and its sound, localised at once."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hearsight.serving.films import STYLES
from hearsight.serving.service import json_response, number, page, read_body, service_of
from hearsight.serving.texts import TEXTS

MOST = 8 << 20  # bytes of a picture and its sound
RATES = (8_000, 384_000)  # hertz of a microphone
LONGEST = 4.0  # seconds of sound


async def live_page(request: Request) -> Response:
    """The camera with its map."""
    return page(request, "live.html", styles=STYLES)


async def moment(request: Request) -> Response:
    """Where the sound comes from; the body is a picture and then samples of 16 bits.

    `rate` in the address is that of the samples, `picture` the bytes of the picture.
    """
    rate = int(number(request.query_params, "rate", 0))
    length = int(number(request.query_params, "picture", 0))
    body = await read_body(request, MOST)
    samples = body[length:]
    if not (0 < length < len(body) and RATES[0] <= rate <= RATES[1]):
        raise HTTPException(400, TEXTS["refused"]["body"])
    if not 2 <= len(samples) <= 2 * rate * LONGEST:
        raise HTTPException(400, TEXTS["refused"]["body"])
    arguments = {"picture": body[:length], "samples": samples, "rate": rate}
    return json_response(await service_of(request).searcher.call("live", arguments))


ROUTES = [Route("/live", live_page), Route("/live", moment, methods=["POST"])]
