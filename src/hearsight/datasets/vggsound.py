"""VGGSound in the layouts that released code uses, with the boxes of VGG-SS.

Training: `total_video_frames/ID/125.jpg` (the frame 5 s into the clip) and
`total_video_3s_audio/ID.wav`. Test: `frame/ID.jpg` (or `frames`), `audio/ID.wav` and the boxes
as `anno/ID.xml` or as the authors' `vggss.json`. ID is a YouTube id and the second at which the
clip begins, as `zpWuikVorYg_000032`.

Source: VGGSound, Chen et al., ICASSP 2020; VGG-SS, Chen et al., CVPR 2021; the XML and the
training layout are those of SSL-TIE, Liu et al., ACM MM 2022.
"""

from pathlib import Path

from hearsight.clips.clip import Box, as_box
from hearsight.clips.lists import ListEntry, parse_list, without_suffix
from hearsight.datasets.folders import (
    BoxAnnotations,
    FolderClips,
    ListedClip,
    frame_names,
    named_folder,
    read_entries,
    read_xml,
    spelt,
    stems,
    subfolder,
    unheard,
    unique,
    without_file,
)
from hearsight.errors import HearsightError
from hearsight.files.content import read_content
from hearsight.files.text import one_line

TRAINING_FRAMES, TRAINING_SOUNDS = "total_video_frames", "total_video_3s_audio"
FAR = 2.0  # an edge beyond this is in pixels, or corrupt; of VGG-SS none is
BOXES = ("vggss.json", "vggss_annotations.json", "annotations.json")  # the last two of vssl_eval


class VggSsBoxes:
    """The boxes of `vggss.json`: fractions of the frame, unclamped.

    A few of its coordinates are corrupt (down to -2.9e16) and some boxes have no area. They are
    kept: protocols differ in how they treat them.

    Raises:
        HearsightError: the file is missing, has another form, a clip twice and differently, or
            boxes in pixels.
    """

    def __init__(self, path: Path | str) -> None:
        try:
            entries = parse_list(Path(path), read_content(Path(path)), truth=True)
        except OSError as error:
            raise HearsightError(f"'{path}' cannot be read: {error.strerror}.") from error
        first: dict[str, ListEntry] = {}
        for one in entries:
            before = first.setdefault(one.ids[0], one)
            if (before.label, before.boxes) != (one.label, one.boxes):
                raise HearsightError(
                    f"'{path}' has the clip '{one.ids[0]}' twice, and differently."
                )
        every = [box for one in first.values() for box in one.boxes or ()]
        if 2 * sum(max(box) > FAR for box in every) > len(every):
            raise HearsightError(
                f"Most boxes of '{path}' end beyond {FAR:g}: they are in pixels, where fractions "
                "of the frame are wanted."
            )
        self.labels = {id: one.label for id, one in first.items()}
        self._boxes = {id: one.boxes for id, one in first.items()}

    def boxes(self, id: str) -> tuple[Box, ...] | None:
        return self._boxes.get(id)


class XmlBoxes:
    """One `ID.xml` per clip: in each `bbox` of the root, boxes of four fractions, unclamped."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def boxes(self, id: str) -> tuple[Box, ...] | None:
        root = read_xml(spelt(self.folder / f"{id}.xml"))
        if root is None:
            return None
        return tuple(
            as_box([float(number.text or "") for number in box])
            for group in root.iterfind("bbox")
            for box in group
        )


def read_vggsound_list(path: Path, split: str | None = None) -> list[ListedClip]:
    """The clips of a list: `ID`, `ID.mp4`, `ID.mp4,LABEL`, or `YOUTUBE,SECOND,LABEL,SPLIT`.

    split: train or test, of lists with a split column; None for both.

    Raises:
        HearsightError: as `read_entries`, it has no clip of the split, or one clip in two splits.
    """
    entries = read_entries(path)
    told: dict[str, str | None] = {}
    for one in entries:
        if told.setdefault(one.ids[0], one.split) != one.split:
            raise HearsightError(
                f"The list '{path}' has the clip '{one_line(one.ids[0])}' in two splits."
            )
    named = unique(
        ListedClip(id=without_suffix(one.ids[0]), label=one.label)
        for one in entries
        if split is None or one.split in (None, split)
    )
    if not named:
        raise HearsightError(f"The list '{path}' has no clip of the split '{split}'.")
    return named


def lists_splits(path: Path) -> bool:
    """Whether a list says which of its clips are train and which are test."""
    return any(one.split in ("train", "test") for one in read_entries(path))


def open_vggsound(
    folder: Path | str,
    *,
    listed: Path | str | None = None,
    truth: Path | str | None = None,
    split: str | None = None,
) -> FolderClips:
    """The clips of a folder in the training or the test layout.

    listed: a list of the clips to use, in order; by default those of vggss.json, else all. truth:
    a folder of XML or a vggss.json; by default `listed` where it is JSON with boxes, else one of
    `BOXES` or `anno` in `folder`. split: train or test, of a list with a split column.

    Raises:
        HearsightError: the folder, list or truth is missing or of another form, or no listed clip
            has its files.
    """
    folder = Path(folder)
    if truth is None and listed is not None and _lists_boxes(Path(listed)):
        truth = listed
    known = _open_truth(folder, truth)
    if (folder / TRAINING_FRAMES).is_dir() or (folder / TRAINING_SOUNDS).is_dir():
        frames, sounds = subfolder(folder, TRAINING_FRAMES), subfolder(folder, TRAINING_SOUNDS)
        frame = f"{frames}/*/125.jpg"
    else:
        frames, sounds = subfolder(folder, "frame", "frames"), subfolder(folder, "audio")
        frame = f"{frames}/*.jpg"
    annotated = stems(known.folder, [".xml"]) if isinstance(known, XmlBoxes) else None
    said = list[str]()
    if listed is not None:
        named = read_vggsound_list(Path(listed), split)
    elif isinstance(known, VggSsBoxes):
        named = [ListedClip(id=id) for id in known.labels]
        for what, held in (("frame", frame_names(frames)), ("sound", stems(sounds, [".wav"]))):
            said += without_file(held, known.labels, (what, f"{what}s"), "boxes in its list")
    else:
        named = [ListedClip(id=id) for id in stems(sounds, [".wav"])]
        said = unheard(named, frame_names(frames), annotated or ())
    if annotated is not None:
        ids = [one.id for one in named]
        said += without_file(ids, annotated, ("clip", "clips"), "annotation")
    if isinstance(known, VggSsBoxes):
        named = [
            ListedClip(id=one.id, label=one.label or known.labels.get(one.id)) for one in named
        ]
    return FolderClips(
        named, frames=[frame], sounds=[f"{sounds}/*.wav"], truth=known, passed_over=said
    )


def _lists_boxes(listed: Path) -> bool:
    """Whether a list is JSON with boxes, not with ids alone."""
    if listed.suffix.lower() != ".json":
        return False
    return any(one.boxes is not None for one in read_entries(listed))


def _open_truth(folder: Path, truth: Path | str | None) -> BoxAnnotations | None:
    if truth is not None:
        return XmlBoxes(truth) if Path(truth).is_dir() else VggSsBoxes(truth)
    for name in BOXES:
        if (folder / name).exists():
            return VggSsBoxes(folder / name)
    annotations = named_folder(folder, ["anno"])
    return None if annotations is None else XmlBoxes(annotations)
