"""`hearsight index`, `search` and `similar`: one's own videos as a library."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hearsight.commands.console import Bars, one_line
from hearsight.commands.options import Device, Threads
from hearsight.errors import HearsightError, nearest

ENGINES = ("local", "ray")

Place = Annotated[str, typer.Argument(metavar="LIBRARY", help="Its folder, or an s3:// URL.")]
Count = Annotated[int, typer.Option("-k", help="How many moments.")]
To = Annotated[
    str | None, typer.Option(help="Compare with `sound` or `image` of the library's moments.")
]
ModelOption = Annotated[
    str | None, typer.Option(help="Checkpoint, run folder or name; by itself the library's own.")
]
Sheet = Annotated[Path | None, typer.Option(help="Write a contact sheet: .png, .jpg or .webp.")]
Page = Annotated[Path | None, typer.Option(help="Write a page with playable clips: .html.")]
Exact = Annotated[bool, typer.Option("--exact", help="Do without the index of a large library.")]


def index(
    library: Place,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="VIDEO_OR_FOLDER...", help="Folders are searched at any depth."),
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="Seconds between two moments; by itself 3.")
    ] = None,
    model: ModelOption = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove files that are gone.")] = False,
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Join small files, make the index anew.")
    ] = False,
    engine: Annotated[str, typer.Option(help="`local` or `ray`.")] = "local",
    batch_size: Annotated[
        int, typer.Option(help="Moments embedded together.", min=1, max=1024)
    ] = 16,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Add what is new in videos and folders of videos to a library; interrupt it at any time.

    Example: hearsight index holidays.library ~/Videos
    """
    if engine not in ENGINES:
        raise HearsightError(
            f"There is no engine '{engine}', only local and ray.{nearest(engine, ENGINES)}"
        )
    import torch

    from hearsight.library.extraction import extract_locally
    from hearsight.library.indexing import index_videos
    from hearsight.library.ray_engine import extract_with_ray

    torch.set_num_threads(threads)
    with Bars() as bars:
        done = index_videos(
            library,
            sources or [],
            model=model,
            every=every,
            prune=prune,
            optimize=optimize,
            engine=extract_locally if engine == "local" else extract_with_ray,
            device=device,
            batch=batch_size,
            progress=bars,
        )
    for name, reason in done.unreadable.items():
        print(one_line(f"skipped {name}: {reason}"), file=sys.stderr)
    if done.removed:
        print(f"removed, because they are gone: {done.removed:,} files", file=sys.stderr)
    print(json.dumps({"library": library} | asdict(done)))


def search(
    library: Place,
    sound: Annotated[Path | None, typer.Option(help="A sound, or a video's sound.")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture.")] = None,
    video: Annotated[Path | None, typer.Option(help="A video, of which --at is meant.")] = None,
    at: Annotated[float | None, typer.Option(help="Seconds from the video's start.")] = None,
    to: To = None,
    count: Count = 10,
    sheet: Sheet = None,
    page: Page = None,
    exact: Exact = False,
    model: ModelOption = None,
    device: Device = None,
    threads: Threads = 2,
) -> None:
    """Find the moments of a library that are like a sound, a picture or a moment of a video.

    Prints one JSON object per moment: file, time in seconds, score (a cosine). A sound is compared
    with sounds and a picture with pictures, unless --to says otherwise.

    Example: hearsight search holidays.library --sound surf.wav --to image --page surf.html
    """
    import torch

    from hearsight.library.library import Library

    torch.set_num_threads(threads)
    given = [path for path in (sound, image, video) if path is not None]
    check_answer(count, sheet, page, *given)
    opened = Library.open(library, model=model, device=device)
    query = opened.query(sound=sound, image=image, video=video, at=at, to=to)
    moment = "" if at is None else f" at {at:g} s"
    show(
        opened,
        query,
        opened.nearest(query, count, exact=exact),
        given[0].name + moment,
        sheet,
        page,
    )


def similar(
    library: Place,
    file: Annotated[Path, typer.Argument(help="A video of the library.")],
    at: Annotated[float, typer.Option(help="Seconds from its start.")],
    to: Annotated[str, typer.Option(help="Compare by `sound` or by `image`.")] = "sound",
    count: Count = 10,
    same_video: Annotated[str, typer.Option(help="`keep` or `drop` the file's others.")] = "keep",
    sheet: Sheet = None,
    page: Page = None,
    exact: Exact = False,
) -> None:
    """Find the moments of a library that are like one of its own.

    Example: hearsight similar holidays.library beach.mp4 --at 12.5 --same-video drop
    """
    from hearsight.library.library import Library

    check_answer(count, sheet, page, file)
    opened = Library.open(library)
    query = opened.query_by_moment(file, at, to)
    found = opened.nearest(query, count, same_video=same_video, exact=exact)
    show(opened, query, found, f"{file.name} at {at:g} s", sheet, page)


def check_answer(count: int, sheet: Path | None, page: Path | None, *given: Path) -> None:
    """Refuse what cannot be answered or written before anything is searched.

    given: files that are asked about, and must not be overwritten.

    Raises:
        HearsightError: it says what.
    """
    from hearsight.files.output import check_output
    from hearsight.library.library import check_count
    from hearsight.localising.painting import PICTURES
    from hearsight.pages.search_results import PAGES

    check_count(count)
    if sheet is not None:
        check_output(sheet, PICTURES, *given)
    if page is not None:
        check_output(page, PAGES, *given)


def show(
    library: Any, query: Any, found: Sequence[Any], name: str, sheet: Path | None, page: Path | None
) -> None:
    """Print what a `Library` found for a `Query`, and write it to look at where that is wanted.

    name: of what was looked for.
    """
    from hearsight.library.library import silence_warning
    from hearsight.pages.search_results import save_page, save_sheet

    if sheet is not None:
        save_sheet(found, sheet)
    if page is not None:
        title = f"{query.to.capitalize()}s like {name}"
        save_page(found, page, title=title, seconds=library.table.info.seconds)
    if query.silent is not None:
        print(f"Warning: {silence_warning(query.silent)}", file=sys.stderr)
    for moment in found:
        values = {"file": str(moment.file), "time": moment.time, "score": round(moment.score, 6)}
        print(json.dumps(values))
