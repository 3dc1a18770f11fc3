"""Opening clips by what `--data` names: a folder, `FOLDER@LIST`, or a pack of composed scenes."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearsight.clips.clip import Clips
from hearsight.clips.frame_truth import origins
from hearsight.clips.lists import ClipList, ListEntry, find_list, read_list
from hearsight.clips.masked_store import open_store
from hearsight.clips.selection import JoinedClips, choose, name_left_out
from hearsight.datasets import flickr, vggsound, vggsound_videos
from hearsight.datasets.duets import duet_list, open_listed_duets, open_music
from hearsight.datasets.extended_test_sets import is_extended, open_extended
from hearsight.datasets.layouts import kind_of, masked_kind
from hearsight.datasets.masked_sets import DIVIDED, has_parts, open_masked
from hearsight.datasets.spelling import link_hint, spelling_hint
from hearsight.errors import HearsightError, nearest
from hearsight.files.text import counted
from hearsight.files.walk import check_there
from hearsight.scenes.pack import PACKS

LOGGER = logging.getLogger(__name__)
MIXED = ("pairs", "duets", "offscreen")  # prefixes: test clips composed of a pack's objects
HARD = "hard"  # a prefix, of scenes to train on as well
NO_VIDEOS = "'{}' holds no videos to take several clips of: leave `every` out."
NO_SCENES = "'{}' is not composed of scenes: leave `{}` out."
OF_SCENES: dict[str, Any] = {  # what `open_clips` takes for scenes alone, and its defaults
    "seed": 0,
    "size": 224,
    "count": None,
    "classes": None,
    "silent": None,
    "looks": 1,
}
COUNTS = {"train": 10_000, "val": 500, "test": 500}  # scenes
KINDS = (
    "a folder (a store, a data set in its own layout, videos), FOLDER@LIST, toys, menagerie, "
    "bazaar, hard:toys, pairs:toys, duets:toys, offscreen:toys and the like"
)


def open_joined(
    specs: Sequence[str],
    *,
    split: str = "train",
    seed: int = 0,
    size: int = 224,
    count: int | None = None,
    classes: int | None = None,
    silent: tuple[int, int] | None = None,
    looks: int = 1,
    every: float | None = None,
) -> Clips:
    """Several sources as one; of clips with the same id the first counts.

    `selection.name_left_out` names those left out. What is said of scenes holds for the sources
    that are composed of a pack; `every` must not be given with one that is not of videos.
    """
    opened = [
        open_clips(
            spec,
            split=split,
            seed=seed,
            size=size,
            count=count,
            classes=classes,
            silent=silent,
            looks=looks,
            every=every,
        )
        if is_composed(spec)
        else open_clips(spec, split=split, every=every)
        for spec in specs
    ]
    return opened[0] if len(opened) == 1 else JoinedClips(opened)


def open_clips(
    spec: str | Path,
    *,
    split: str = "train",
    seed: int = 0,
    size: int = 224,
    count: int | None = None,
    classes: int | None = None,
    silent: tuple[int, int] | None = None,
    looks: int = 1,
    every: float | None = None,
) -> Clips:
    """The clips that a value of `--data` names.

    Args:
        spec: a folder of shards, in the layout of a data set, or of videos; of one with masks
            `FOLDER@PART`, as `s4@val`, for a part of it;
            `FOLDER@LIST` for the clips that a list names, LIST being a path from the working
            folder, from FOLDER or from the folder above it; `toys`, `menagerie`, `bazaar`,
            `menagerie:PACK` or `bazaar:PACK` for composed scenes. With `hard:` before one of
            these they are hard (see `scenes.hard_scenes`); with `pairs:`, every picture appears
            twice and two of its objects sound in turn; with `duets:` once, and both sound
            together; with `offscreen:` it has silence or the sound of an object that is not in
            the picture.
        split: train or val; which scenes, and which rows of a list with a split column. Of the
            bazaar also test.
        seed: of the scenes.
        size: side of the scenes' frames, pixels.
        count: number of scenes.
        classes: number of classes in the scenes; None for all that the pack has in both splits.
        silent: fewest and most silent objects in a scene; None for 0 to 3, of pairs and duets 1
            to 3.
        looks: number of looks in which each cut-out appears, in scenes without a prefix or `hard:`.
        every: seconds between the clips of a video; None for one clip, at the middle.

    Raises:
        HearsightError: it names nothing of these, it is damaged, there is no such split, `every`
            is given for clips that are not videos, or what is said of scenes for others.
    """
    spec = str(spec)
    if is_composed(spec):
        if every is not None:
            raise HearsightError(NO_VIDEOS.format(spec))
        clips = _open_composed(spec, split, seed, size, count, classes, silent, looks)
    else:
        given: dict[str, Any] = {"seed": seed, "size": size, "count": count, "classes": classes}
        clips = _open_recorded(spec, split, every, given | {"silent": silent, "looks": looks})
    LOGGER.info("opened %s: %s", spec, counted(len(clips), "clip"))
    return clips


def _open_composed(
    spec: str,
    split: str,
    seed: int,
    size: int,
    count: int | None,
    classes: int | None,
    silent: tuple[int, int] | None,
    looks: int,
) -> Clips:
    """Scenes of a pack, which `is_composed` has found; else as `open_clips`."""
    name, colon, pack = spec.partition(":")
    if colon and name in MIXED:
        if looks != 1:
            raise HearsightError(f"'{spec}' has one look of each cut-out: leave `looks` out.")
        options: dict[str, Any] = {"seed": seed, "size": size}
        options |= {} if silent is None else {"silent": silent}
        count = COUNTS["val"] if count is None else count
        return _open_others(name, pack, split, count, classes, **options)
    from hearsight.scenes.hard_scenes import HardScenes
    from hearsight.scenes.scenes import Scenes, open_scenes

    hard = bool(colon) and name == HARD
    name, _, folder = (pack if hard else spec).partition(":")
    return open_scenes(
        name,
        Path(folder) if folder else None,
        split=split,
        seed=seed,
        size=size,
        count=COUNTS.get(split, COUNTS["train"]) if count is None else count,
        classes=classes,
        silent=(0, 3) if silent is None else silent,
        endless=split == "train",
        looks=looks,
        kind=HardScenes if hard else Scenes,
    )


def _open_recorded(spec: str, split: str, every: float | None, given: dict[str, Any]) -> Clips:
    """Clips of a folder, or of a list in it; else as `open_clips`.

    given: what was said of scenes, which must be as in `OF_SCENES`.
    """
    folder, _, listed = spec.rpartition("@")
    chosen = bool(folder) and not Path(spec).is_dir()
    if not chosen and (not spec or not Path(spec).is_dir()):
        hint = nearest(spec, PACKS)
        raise HearsightError(f"'{spec}' names no clips: it may be {KINDS}.{hint}")
    _check_known(split)
    for option, value in given.items():
        if value != OF_SCENES[option]:
            raise HearsightError(NO_SCENES.format(spec, option))
    masked = masked_kind(Path(folder) if chosen else Path(spec))
    if masked is not None:
        if every is not None:
            raise HearsightError(NO_VIDEOS.format(spec))
        place, part = (Path(folder), listed) if chosen else (Path(spec), None)
        return open_masked(place, masked, part, split)
    if chosen:
        return _open_folder(Path(folder), _list_of(Path(folder), listed), split, every)
    return _open_folder(Path(spec), None, split, every)


def name_as_test(spec: str) -> str:
    """What a source is called whose clips for scoring are those of a data set's test part.

    `FOLDER@test` for a folder of such a data set: `leaks.names_test_set` knows it by this name.
    """
    if is_composed(spec) or not Path(spec).is_dir():
        return spec
    tested = masked_kind(Path(spec)) is not None or kind_of(Path(spec)) == "vggsound videos"
    return f"{spec}@test" if tested else spec


def is_videos(spec: str) -> bool:
    """Whether the clips are those of one's own videos: of a folder of them, or listed there."""
    if is_composed(spec):
        return False
    folder, _, listed = spec.rpartition("@")
    place, path = Path(spec), None
    if folder and not place.is_dir():
        place = Path(folder)
        path = None if masked_kind(place) else _list_of(place, listed)
    if not place.is_dir() or kind_of(place, path) != "videos":
        return False
    from hearsight.datasets.videos import PassedOver, walk_media

    return any(walk_media(place, PassedOver()))


def is_composed(spec: str) -> bool:
    """Whether the clips are composed from a pack, not read from a folder."""
    name, colon, _ = spec.partition(":")
    return is_pack(spec) or bool(colon and name in (*MIXED, HARD))


def check_composed(specs: Sequence[str], options: Mapping[str, object]) -> None:
    """Refuse what is said of scenes where none of the sources is composed.

    options: what is given, by its name; None where it is not.

    Raises:
        HearsightError: one is given in vain.
    """
    for option, given in options.items():
        if given is not None and not any(map(is_composed, specs)):
            raise HearsightError(
                f"`{option}` is for composed scenes, such as toys or menagerie, and '{specs[0]}' "
                "is none: leave it out."
            )


def is_pack(spec: str) -> bool:
    """Whether the clips are the scenes of a pack; `toys:FOLDER` is none, since toys have no folder.

    A folder that has the name of a pack, or of what is composed of one, is named as `./toys`.
    """
    name, colon, _ = spec.partition(":")
    return name in PACKS and not (colon and name == "toys")


def check_split(spec: str, split: str) -> None:
    """Refuse a split that would have no effect.

    Raises:
        HearsightError: it is neither train nor val, or the source has no such splits.
    """
    if is_composed(spec) and split == "test":
        return  # loading the pack says whether it has this split
    _check_known(split)
    if not tells_splits(spec):
        raise HearsightError(f"'{spec}' does not tell train from val: leave `split` out.")


def _check_known(split: str) -> None:
    """Refuse a split that is neither train nor val."""
    if split not in LISTED:
        raise HearsightError(f"`split` may be train or val, not '{split}'.{nearest(split, LISTED)}")


def tells_splits(spec: str) -> bool:
    """Whether a source has different clips for train and val.

    Raises:
        HearsightError: its list is missing or cannot be read.
    """
    if is_composed(spec):
        return True
    folder, _, listed = spec.rpartition("@")
    if Path(spec).is_dir():
        masked = masked_kind(Path(spec))
        if masked is not None:
            return has_parts(Path(spec), masked)
        return kind_of(Path(spec)) == "vggsound videos" and vggsound_videos.has_splits(Path(spec))
    if not folder or masked_kind(Path(folder)) is not None:
        return False
    path = _list_of(Path(folder), listed)
    if is_extended(path) or kind_of(Path(folder), path) not in ("vggsound", "vggsound videos"):
        return False
    return vggsound.lists_splits(path)


def _open_others(
    kind: str, scenes: str, split: str, count: int, classes: int | None, **options: Any
) -> Clips:
    """Pairs, duets or offscreen scenes of the pack named after the colon."""
    from hearsight.scenes.offscreen import Offscreen
    from hearsight.scenes.pairs import Duets, Pairs
    from hearsight.scenes.scenes import load_pack

    name, _, folder = scenes.partition(":")
    pack = load_pack(name, Path(folder) if folder else None, split=split, classes=classes)
    if kind == "offscreen":
        return Offscreen(pack, count, **options)
    pairs = Pairs(pack, count, **options)
    return Duets(pairs) if kind == "duets" else pairs


def _list_of(folder: Path, listed: str) -> Path:
    """The list that stands behind `@`; HearsightError where it is none, with what may be meant."""
    try:
        return find_list(folder, listed)
    except HearsightError as error:
        masked = any(listed in parts for parts in DIVIDED.values())
        part = "; it is a part of data sets with masks, and no layout of one is there"
        why = str(error).rstrip(".") + (part if masked else "")
        hints = spelling_hint(folder) + link_hint(folder)
        raise HearsightError(f"{why}.{hints}") from error


def _open_folder(folder: Path, listed: Path | None, split: str, every: float | None) -> Clips:
    """The clips of a folder, whose kind is found from its content."""
    check_there(folder)
    duets = duet_list(folder, listed)
    if duets is not None:
        if every is not None:
            raise HearsightError(NO_VIDEOS.format(folder))
        if duets.suffix.lower() == ".json":
            return open_music(folder, duets)
        return open_listed_duets(_open_folder(folder, None, split, None), duets)
    extended = listed is not None and is_extended(listed)
    kind = kind_of(folder, None if extended else listed)
    if every is not None and (extended or kind != "videos"):
        raise HearsightError(NO_VIDEOS.format(folder))
    if listed is not None and extended:
        return open_extended(folder, listed)
    if kind == "store":
        store = open_store(folder)
        return store if listed is None else choose(store, listed)
    if kind == "vggsound":
        return vggsound.open_vggsound(folder, listed=listed, split=LISTED[split])
    if kind == "vggsound videos":
        return vggsound_videos.open_vggsound_videos(folder, listed=listed, split=LISTED[split])
    if kind == "flickr":
        return flickr.open_flickr(folder, listed=listed)
    from hearsight.datasets.videos import NoVideosError, VideoClips

    try:
        videos = VideoClips(folder, every=every)
    except NoVideosError as error:
        if broken := link_hint(folder):
            raise HearsightError(f"'{folder}' holds no clips:{broken}") from error
        raise HearsightError(
            f"'{folder}' holds no clips: neither shards (*.tar), nor a layout of VGGSound or "
            "Flickr-SoundNet (frame and audio folders) or of another data set that is read, nor "
            f"videos.{spelling_hint(folder)}"
        ) from error
    return videos if listed is None else choose(videos, listed)


LISTED = {"train": "train", "val": "test"}  # our split -> its name in VGGSound's lists


def find_clips(spec: str, others: Sequence[str]) -> str:
    """A list that is not here, by its path in or beside the folder of another source; else `spec`.

    As `FOLDER@LIST` finds its list.
    """
    if is_composed(spec) or "@" in spec or Path(spec).exists():
        return spec
    for other in others:
        place = other if Path(other).exists() else other.rpartition("@")[0]
        folder = Path(place)
        if place and not is_composed(other) and folder.is_dir():
            with suppress(HearsightError):
                return str(find_list(folder, spec))
    return spec


def read_clips(spec: str, split: str) -> ClipList:
    """The ids of a list, or of anything that --data takes, as a list whose name includes the split.

    split: train or val, for sources that have splits (a list's test rows are val).

    Raises:
        HearsightError: it is neither a list nor clips.
    """
    if not Path(spec).is_file():
        if not (is_composed(spec) or "@" in spec or Path(spec).exists()):
            raise HearsightError(
                f"'{spec}' names no clips: there is no file or folder '{spec}'; it may be a list "
                f"of clips, {KINDS}.{nearest(spec, PACKS)}"
            )
        clips = open_clips(spec, split=split)
        name = f"{spec} ({split} split)" if tells_splits(spec) else spec
        entries = tuple(ListEntry(id, (id,)) for id in origins(clips))
        return ClipList(name=name, entries=entries, left_out=tuple(name_left_out(clips, spec)))
    found, wanted = read_list(Path(spec)), LISTED[split]
    kept = [one for one in found.entries if one.split in (None, wanted)]
    if not kept:
        raise HearsightError(f"The list '{spec}' has no clip of the split '{wanted}'.")
    told = any(one.split == wanted for one in kept)
    name = f"{spec} ({wanted} rows)" if told else spec
    return replace(found, name=name, entries=tuple(kept))
