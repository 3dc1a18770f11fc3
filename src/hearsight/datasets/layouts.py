"""Which data set a folder holds, found from its content."""

from pathlib import Path
from typing import Literal

from hearsight.datasets import flickr, vggsound, vggsound_videos
from hearsight.datasets.folders import ending_in, read_xml
from hearsight.datasets.masked_sets import MaskedKind, masked_kinds
from hearsight.datasets.spelling import check_links, check_spelling
from hearsight.errors import HearsightError

Kind = Literal["store", "vggsound", "vggsound videos", "flickr", "videos"] | MaskedKind


def kind_of(folder: Path, listed: Path | None = None) -> Kind:
    """The kind of a folder, from its content; `videos` if it is no other.

    listed: a list of the clips to use, which tells VGGSound's videos from others.

    Raises:
        HearsightError: it has the layouts of two data sets, or a part of one in other letters than
            it is read by.
    """
    masked = masked_kind(folder)
    if masked is not None:
        return masked
    kind = _other_kind(folder, listed)
    check_spelling(folder, kind)
    return kind


def _other_kind(folder: Path, listed: Path | None) -> Kind:
    if any(folder.glob("*.tar")):
        return "store"
    official = _official_kind(folder)
    if official is not None:
        return official
    if vggsound_videos.is_vggsound_videos(folder):
        return "vggsound videos"
    if listed is None:
        return "videos"
    check_links(folder)  # a list of a layout that is not seen is of no videos
    return "vggsound videos" if vggsound_videos.is_chosen_by(folder, listed) else "videos"


def _official_kind(folder: Path) -> Literal["vggsound", "flickr"] | None:
    has = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    training = has & {vggsound.TRAINING_FRAMES, vggsound.TRAINING_SOUNDS}
    seen, heard = has & set(flickr.FRAMES), has & set(flickr.SOUNDS)
    test = seen | heard if seen and heard else set()
    if training and test:
        raise HearsightError(
            f"'{folder}' has the layouts of VGGSound for training ({', '.join(sorted(training))}) "
            f"and of one for test ({', '.join(sorted(test))}): keep each in a folder of its own."
        )
    if training:
        return "vggsound"
    if test:
        return "flickr" if "mp3" in has or _is_flickr(folder) else "vggsound"
    return None


def masked_kind(folder: Path) -> MaskedKind | None:
    """The data set with masks that a folder holds, if it does.

    Raises:
        HearsightError: as `kind_of`.
    """
    found: list[str] = [*masked_kinds(folder)]
    if not found:
        return None
    official = _official_kind(folder)
    found += [{"vggsound": "VGGSound", "flickr": "Flickr-SoundNet"}[official]] if official else []
    found += ["a store (*.tar)"] if any(folder.glob("*.tar")) else []
    if len(found) > 1:
        raise HearsightError(
            f"'{folder}' has the layouts of {' and of '.join(found)}: keep each in a folder of its "
            "own."
        )
    kind = masked_kinds(folder)[0]
    check_spelling(folder, kind)
    return kind


def _is_flickr(folder: Path) -> bool:
    """Whether the first annotation file that can be read has the form of Flickr-SoundNet's."""
    for name in flickr.ANNOTATIONS:
        for path in ending_in(folder / name, ".xml") if (folder / name).is_dir() else ():
            try:
                root = read_xml(path)
            except ValueError:
                continue
            return root is not None and root.find("*/bbox") is not None
    return False
