"""Flickr-SoundNet in the layouts that released code uses, with the boxes of its annotators.

Test: `frame/ID.jpg` (or `frames`), `audio/ID.wav` or `mp3/ID.mp3`, and `anno/ID.xml` (or
`Annotations`). Training: `frames/ID/00000003.jpg` and `mp3/ID.mp3`, of which the first four
seconds are used.

Source: SoundNet, Aytar et al., NeurIPS 2016; the boxes: Senocak et al., CVPR 2018; the training
layout is that of SSL-TIE, Liu et al., ACM MM 2022.
"""

import re
from pathlib import Path

from hearsight.clips.clip import Box, as_box
from hearsight.datasets.folders import (
    FolderClips,
    ListedClip,
    first_existing,
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
from hearsight.files.walk import check_there

FRAMES = ("frame", "frames")
SOUNDS = {"audio": ("wav", "flac", "mp3"), "mp3": ("mp3",)}
ANNOTATIONS = ("anno", "Annotations", "annotations")
TRAINING_FRAME = "00000003.jpg"
TRAINING_SECONDS = 4.0
STILL = re.compile(r"\.(jpe?g|png)$", re.IGNORECASE)  # a folder of frames may be called ID.mp4
SIDE = 256  # pixels of the square frames that were annotated


class AnnotatorBoxes:
    """One `ID.xml` per clip: the boxes of every annotator in order, as fractions of `SIDE`.

    Each annotator's boxes are kept, so that the consensus truth can weigh a pixel by how many
    marked it. The first child of each `bbox` is not a coordinate.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)

    def boxes(self, id: str) -> tuple[Box, ...] | None:
        root = read_xml(spelt(self._folder / f"{id}.xml"))
        if root is None:
            return None
        return tuple(
            as_box([int(number.text or "") / SIDE for number in box[1:5]])
            for annotator in root
            for box in annotator.iterfind("bbox")
        )


def read_flickr_list(path: Path) -> list[ListedClip]:
    """The clips of a list of `ID`, `ID.jpg` or `ID,FRAME`; the second column is ignored."""
    return unique(ListedClip(id=STILL.sub("", one.ids[0])) for one in read_entries(path))


def open_flickr(
    folder: Path | str, *, listed: Path | str | None = None, truth: Path | str | None = None
) -> FolderClips:
    """The clips of a folder in the test or the training layout.

    listed: a list of the clips to use, in order; by default all. truth: the folder of the
    annotators' XML; by default the one in `folder`, if any.

    Raises:
        HearsightError: the folder, list or truth is missing, or no listed clip has its files.
    """
    folder = Path(folder)
    frames, heard = subfolder(folder, *FRAMES), subfolder(folder, *SOUNDS)
    sounds = [f"{heard}/*.{suffix}" for suffix in SOUNDS[heard.name]]
    if truth is not None:
        check_there(Path(truth))
    annotations = Path(truth) if truth is not None else named_folder(folder, ANNOTATIONS)
    annotated = None if annotations is None else stems(annotations, [".xml"])
    said = list[str]()
    if listed is not None:
        named = read_flickr_list(Path(listed))
    else:
        named = [ListedClip(id=id) for id in stems(heard, [".wav", ".flac", ".mp3"])]
        said = unheard(named, frame_names(frames), annotated or ())
    if annotated is not None:
        ids = [one.id for one in named]
        said += without_file(ids, annotated, ("clip", "clips"), "annotation")
    patterns = [f"{frames}/*.jpg", f"{frames}/*/{TRAINING_FRAME}"]
    used = first_existing(patterns, [one.id for one in named])
    return FolderClips(
        named,
        frames=[used or patterns[0]],
        sounds=sounds,
        truth=None if annotations is None else AnnotatorBoxes(annotations),
        seconds=TRAINING_SECONDS if used == patterns[1] else None,
        passed_over=said,
    )
