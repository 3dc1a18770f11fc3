"""The application: all routes behind the guard, and the server that runs them."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hearsight.errors import HearsightError, needs
from hearsight.files.locks import sole_writer

with needs("web", "The served page"):
    import jinja2  # noqa: F401
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

from hearsight.serving import collection, events, films, live, runs
from hearsight.serving.guard import LOOPBACK, Guard, hosts_of, new_token
from hearsight.serving.service import ServeOptions, Service, refused

STATIC = Path(__file__).parent / "static"
PATIENCE = 2  # seconds that open connections have when the server ends


def make_application(options: ServeOptions) -> Starlette:
    """The application without its guard."""
    service = Service.create(options)
    app = Starlette(
        routes=[
            *films.ROUTES,
            *collection.ROUTES,
            *live.ROUTES,
            *runs.ROUTES,
            *events.ROUTES,
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={HTTPException: refused, HearsightError: refused},
        lifespan=service.begun,
    )
    app.state.service = service
    return app


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0: any that is free.

    Raises:
        HearsightError: the address cannot be used.
    """
    try:
        host.encode("idna")  # where that fails, the socket would be left open
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host.strip("[]"), port), family=family, backlog=128)
    except OSError as error:
        raise HearsightError(f"{host}:{port} cannot be used: {error.strerror}.") from error
    except UnicodeError as error:
        raise HearsightError(f"{host}:{port} cannot be used: no host has that name.") from error
    listening.setblocking(False)
    return listening


def serve(options: ServeOptions, *, host: str, port: int, begun: Callable[[str], None]) -> None:
    """Serve the page until it is interrupted.

    host: an address of this machine; where others can reach it a token is asked for. begun: called
    with the address to open, as soon as it answers.

    Raises:
        HearsightError: the address or the folder of its state cannot be used.
    """
    with sole_writer(options.state), open_socket(host, port) as listening:
        port = int(listening.getsockname()[1])
        token = None if host in LOOPBACK else new_token()
        app = Guard(app=make_application(options), hosts=hosts_of(host, port), token=token)
        shown = f"[{host}]" if ":" in host and "[" not in host else host
        address = f"http://{shown}:{port}/" + ("" if token is None else f"?token={token}")
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=PATIENCE,
            ws="none",
        )
        server = _Server(config, address, begun)
        with suppress(KeyboardInterrupt):  # raised again by uvicorn after its end in good order
            asyncio.run(server.serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """Uvicorn that says where it answers."""

    def __init__(self, config: uvicorn.Config, address: str, begun: Callable[[str], None]) -> None:
        super().__init__(config)
        self.address, self.begun = address, begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.begun(self.address)
