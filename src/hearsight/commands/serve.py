"""`hearsight serve`: a page in the browser to localise, search and watch runs."""

from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.console import note
from hearsight.commands.options import Device
from hearsight.files.walk import check_there

PORT = 8420
GIB = 1 << 30


def serve(
    library: Annotated[
        str | None,
        typer.Argument(metavar="LIBRARY", help="A library to search; made by indexing."),
    ] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(help="Videos to localise and to index. May be given several times."),
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option(help="Where to look for runs and reports; by default the current folder."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Checkpoint, run folder, model folder or name.")
    ] = None,
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = PORT,
    host: Annotated[
        str, typer.Option(help="An address of this machine; others than 127.0.0.1 need a token.")
    ] = "127.0.0.1",
    state: Annotated[
        Path | None, typer.Option(help="Folder of uploads and results; by default in the cache.")
    ] = None,
    largest: Annotated[
        float, typer.Option(help="GiB of an upload at most.", min=0.001, max=1024)
    ] = 4.0,
    keep: Annotated[
        float, typer.Option(help="GiB of results; the oldest leave first.", min=0.001)
    ] = 20.0,
    device: Device = None,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1, max=1024)] = 2,
) -> None:
    """Serve a page on this machine: localise, search the library, watch runs.

    Prints its address, and runs until Ctrl-C. No request leaves the machine.

    Example: hearsight serve holidays.library --folder ~/Videos
    """
    from hearsight.files.cache import user_cache
    from hearsight.serving.application import serve as serve_page
    from hearsight.serving.service import ServeOptions

    for one in [*(folder or []), *(runs or [])]:
        check_there(one)
    options = ServeOptions(
        state=(user_cache() / "serve" if state is None else state).absolute(),
        library=library,
        folders=folder or (),
        runs=runs or (Path(),),
        model=model,
        device=device,
        threads=threads,
        most_upload=round(largest * GIB),
        most_kept=round(keep * GIB),
    )

    def begun(address: str) -> None:
        print(address, flush=True)
        note("Open this address in a browser; Ctrl-C ends it.")

    serve_page(options, host=host, port=port, begun=begun)
