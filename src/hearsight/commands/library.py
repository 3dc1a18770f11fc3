"""`hearsight index`, `search` and `similar`: a searchable library of one's own videos."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.commands.console import Bars, note, tell, tell_skipped
from hearsight.commands.options import BatchSize, Device, Threads
from hearsight.commands.outputs import Force, writing
from hearsight.errors import HearsightError, nearest
from hearsight.files.tables import DIGITS, rounded
from hearsight.files.text import counted, one_line

if TYPE_CHECKING:  # it imports torch
    from hearsight.library.indexing import IndexSummary
    from hearsight.library.library import Library, Query, SearchResult

ENGINES = ("local", "ray")
THREADS = 2

LibraryName = Annotated[str, typer.Argument(metavar="LIBRARY", help="Its folder, or an s3:// URL.")]
Count = Annotated[int, typer.Option("-k", "--count", help="Moments to find.")]
To = Annotated[
    str | None, typer.Option(help="Compare with `sound` or `image` of the library's moments.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        help="Checkpoint, run folder, model folder or name; by default the library's own."
    ),
]
Sheet = Annotated[Path | None, typer.Option(help="Write a contact sheet: .png, .jpg or .webp.")]
Page = Annotated[Path | None, typer.Option(help="Write a page with playable clips: .html.")]
SameVideo = Annotated[
    str,
    typer.Option(
        help="`keep` all moments of a file, `one` of each file beyond the first three results, or "
        "`drop` those of the query's own file."
    ),
]
Exact = Annotated[bool, typer.Option("--exact", help="Do not use a large library's vector index.")]


def index(
    library: LibraryName,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE_OR_FOLDER", help="Folders are searched at any depth."),
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="Seconds between two moments; by default 3.")
    ] = None,
    model: ModelOption = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove files that no longer exist.")
    ] = False,
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Join small files, build the vector index anew.")
    ] = False,
    engine: Annotated[str, typer.Option(help="`local` or `ray`.")] = "local",
    batch_size: BatchSize = 16,
    device: Device = None,
    threads: Annotated[
        int | None,
        typer.Option(help="CPU threads of the local engine; by default 2.", min=1, max=1024),
    ] = None,
) -> None:
    """Add new and changed videos, sounds and pictures to a library; it may be interrupted.

    Example: hearsight index holidays.library ~/Videos
    """
    if engine not in ENGINES:
        raise HearsightError(
            f"There is no engine '{engine}', only local and ray.{nearest(engine, ENGINES)}"
        )
    if engine == "ray" and threads is not None:
        raise HearsightError("--threads is for the local engine: a task of Ray has one thread.")
    import torch

    from hearsight.library.extraction import extract_locally
    from hearsight.library.indexing import index_videos
    from hearsight.library.ray_engine import extract_with_ray

    torch.set_num_threads(THREADS if threads is None else threads)
    with Bars() as bars:
        summary = index_videos(
            library,
            sources or [],
            model=model,
            every=every,
            prune=prune,
            optimize=optimize,
            engine=extract_locally if engine == "local" else extract_with_ray,
            device=device,
            batch_size=batch_size,
            progress=bars,
            notice=note,
        )
    tell_skipped(summary.unreadable)
    if summary.unreadable:
        number = len(summary.unreadable)
        tell([f"could not be read: {counted(number, 'file or folder', 'files or folders')}"])
    wanted = "nothing that this library takes"
    tell(map(one_line, summary.passed_over.sentences(wanted)))
    tell([one_line(contents(library, summary))])
    if summary.removed:
        tell([f"removed, being gone: {counted(summary.removed, 'file')}"])
    print(json.dumps({"library": library} | asdict(summary)))


def contents(library: str, summary: "IndexSummary") -> str:
    """How many files of each kind, and moments, a library holds after a run."""
    counts = [
        counted(count, kind)
        for kind, count in (
            ("video", summary.videos),
            ("sound", summary.sounds),
            ("picture", summary.pictures),
        )
    ]
    moments = counted(summary.moments, "moment")
    return f"'{library}' holds {counts[0]}, {counts[1]} and {counts[2]}: {moments}"


def search(
    library: LibraryName,
    sound: Annotated[Path | None, typer.Option(help="A sound, or a video's sound.")] = None,
    image: Annotated[Path | None, typer.Option(help="A picture.")] = None,
    video: Annotated[
        Path | None, typer.Option(help="A video, searched by its moment at --at.")
    ] = None,
    at: Annotated[float | None, typer.Option(help="Seconds from the video's start.")] = None,
    to: To = None,
    count: Count = 10,
    same_video: SameVideo = "one",
    sheet: Sheet = None,
    page: Page = None,
    exact: Exact = False,
    force: Force = False,
    model: ModelOption = None,
    device: Device = None,
    threads: Threads = THREADS,
) -> None:
    """Find the moments of a library nearest to a sound, a picture or a moment of a video.

    Prints one JSON object per moment: file, time in seconds, score (a cosine), both to 3 digits,
    kind of the file, and whether its sound is silent; silent ones come last among sounds.
    Sounds and videos are compared with sounds, pictures with frames, unless --to says otherwise.

    Example: hearsight search holidays.library --sound surf.wav --to image --page surf.html
    """
    import torch

    from hearsight.library.library import Library

    torch.set_num_threads(threads)
    sources = [path for path in (sound, image, video) if path is not None]
    if len(sources) != 1:
        raise HearsightError("Give one thing to search by: --sound, --image or --video.")
    with found_files(count, same_video, sheet, page, sources, force=force):
        opened = Library.open(library, model=model, device=device)
        query = opened.query(sound=sound, image=image, video=video, at=at, to=to)
        moment = "" if at is None else f" at {at:g} s"
        results = opened.nearest(query, count, same_video=same_video, exact=exact)
        show(opened, query, results, sources[0].name + moment, sheet, page)


def similar(
    library: LibraryName,
    file: Annotated[Path, typer.Argument(help="A video, sound or picture of the library.")],
    at: Annotated[
        float | None,
        typer.Option(help="Seconds from its start; not needed where it has a single moment."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Compare by `sound`, or by `image`, the default for a picture."),
    ] = None,
    count: Count = 10,
    same_video: SameVideo = "one",
    sheet: Sheet = None,
    page: Page = None,
    exact: Exact = False,
    force: Force = False,
) -> None:
    """Find the moments of a library nearest to one of its own.

    Example: hearsight similar holidays.library beach.mp4 --at 12.5 --same-video drop
    """
    from hearsight.checkpoints.card import log_card
    from hearsight.library.library import Library

    with found_files(count, same_video, sheet, page, [file], force=force):
        opened = Library.open(library)
        query = opened.query_by_moment(file, at, to)
        log_card(opened.card)
        results = opened.nearest(query, count, same_video=same_video, exact=exact)
        moment = "" if at is None else f" at {at:g} s"
        show(opened, query, results, file.name + moment, sheet, page)


@contextmanager
def found_files(
    count: int,
    same_video: str,
    sheet: Path | None,
    page: Path | None,
    sources: Sequence[Path],
    *,
    force: bool,
) -> Iterator[None]:
    """Check the options and the files to write before the search; see `writing`.

    sources: files of the query, which must not be overwritten.

    Raises:
        HearsightError: one of them is wrong.
    """
    from hearsight.library.library import check_count, check_same_video
    from hearsight.localising.painting import PICTURES
    from hearsight.pages.search_results import PAGES

    check_count(count)
    check_same_video(same_video)
    with writing((sheet, PICTURES), (page, PAGES), force=force, sources=sources):
        yield


def show(
    library: "Library",
    query: "Query",
    results: "Sequence[SearchResult]",
    name: str,
    sheet: Path | None,
    page: Path | None,
) -> None:
    """Print the results, and write the sheet and the page if asked for.

    name: of the query, for the title of the page.
    """
    from hearsight.library.library import silence_warning
    from hearsight.pages.search_results import save_page, save_sheet

    if sheet is not None:
        save_sheet(results, sheet)
    if page is not None:
        title = f"{query.to.capitalize()}s like {name}"
        seconds = library.table.info.seconds
        save_page(results, page, title=title, seconds=seconds, query=query.shown, card=library.card)
    if query.silent is not None:
        tell([f"Warning: {silence_warning(query.silent)}"])
    if not results:
        tell([f"Nothing was found: '{library.table.library}' has no other {query.to} to compare."])
    for result in results:
        values = {"file": str(result.file), "time": result.time, "score": result.score}
        print(json.dumps(rounded(values, DIGITS) | {"kind": result.kind, "silent": result.silent}))
