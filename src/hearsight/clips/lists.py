"""Lists of clips in the forms that data sets and papers use, and which clip an id names."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hearsight.clips.clip import Box, as_box
from hearsight.errors import HearsightError
from hearsight.files.output import written_whole
from hearsight.files.text import cells_of, is_text, parse_json, read_text

Kind = Literal["youtube", "flickr", "other"]
SUFFIX = re.compile(r"\.(mp4|mkv|webm|avi|wav|flac|mp3|jpe?g|png|webp|xml)$", re.IGNORECASE)
LINE_END = re.compile(r"\r\n|\n|\r")
NUMBER = r"(\d{1,15}(?:\.\d+)?)"
YOUTUBE = re.compile(rf"([\w-]{{11}})(?:_{NUMBER}(?:_{NUMBER})?)?", re.ASCII)
FLICKR = re.compile(r"\d{8,12}", re.ASCII)
MOMENT = re.compile(rf"(.+)@{NUMBER}")  # ids of clips of one's own videos, as VIDEO@SECOND
PAIRED = ["video", "audio", "label"]  # head of lists that pair a frame with another clip's sound
HEADS = {"id", "ids", "clip", "file", "filename", "video", "video_id", "youtube_id", "ytid"}


class ClipName(NamedTuple):
    """Which clip an id means: ids that are written differently for one clip have equal names.

    video: YouTube's 11 characters, Flickr's number, of other ids the part before `@SECOND`, or
    the whole id. start: seconds into the video; None where the id holds no time.
    """

    kind: Kind
    video: str
    start: float | None = None


def without_suffix(id: str) -> str:
    """An id without the suffix of the file that some lists name instead: `ID.mp4`, `ID.jpg`."""
    return SUFFIX.sub("", id)


def clip_names(ids: Iterable[str]) -> list[ClipName]:
    """The clips of `ID_000030`, `ID_30000_40000`, `ID_30.0_40.0`, `ID`, with or without a suffix.

    A pair of whole numbers is in milliseconds where it spans a thousand or more, else in seconds.
    Folders before an id of YouTube or Flickr are dropped: `videos/0/0/0/2615133000.mp4`.
    """
    names = []
    for id in ids:
        bare = without_suffix(id.rpartition("/")[2])
        if FLICKR.fullmatch(bare):
            names.append(ClipName("flickr", bare))
        elif found := YOUTUBE.fullmatch(bare):
            video, start, end = found.groups()
            whole = end is not None and "." not in start + end
            scale = 1000 if whole and int(end) - int(start) >= 1000 else 1
            names.append(
                ClipName("youtube", video, None if start is None else float(start) / scale)
            )
        elif moment := MOMENT.fullmatch(id):
            names.append(ClipName("other", moment[1], float(moment[2])))
        else:
            names.append(ClipName("other", id))
    return names


class ListEntry(NamedTuple):
    """One entry of a list.

    text: the line as written, without its line end. ids: of its clips; two where the frame of one
    is paired with the sound of another. boxes: as written, corrupt ones included. split: train or
    test, in lists with a split column.
    """

    text: str
    ids: tuple[str, ...]
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipList:
    """The entries of a list in order, and what is needed to write them in its own format."""

    name: str
    entries: tuple[ListEntry, ...]
    head: str | None = None  # a first line that names the columns
    newline: str = "\n"
    form: Literal["lines", "json"] = "lines"
    paired: bool = False  # whether each line pairs a frame with the sound of another clip

    @property
    def ids(self) -> list[str]:
        """The id of every clip in order; both ids of a pair."""
        return [id for entry in self.entries for id in entry.ids]

    def write(self, path: Path, entries: Sequence[ListEntry]) -> None:
        """Write some of the entries as they were in the list: the whole file, or none.

        Raises:
            HearsightError: it cannot be written.
        """
        lines = [entry.text for entry in entries]
        if self.form == "json":
            content = f"[{', '.join(lines)}]"
        else:
            head = [] if self.head is None else [self.head]
            content = "".join(line + self.newline for line in [*head, *lines])
        with written_whole(path) as part:
            part.write_text(content, encoding="utf-8", newline="")


def read_list(path: Path) -> ClipList:
    """The entries of a list: a text or csv file with one clip a line, or a JSON file as vggss.json.

    Lines are `ID`, `ID,LABEL`, `ID,FRAME` (Flickr), `YOUTUBE,SECOND,LABEL,SPLIT` (VGGSound),
    `YOUTUBE,START,END,...` (AudioSet), or `VIDEO,AUDIO,LABEL` under that head: the frame of one
    clip with the sound of another.

    Raises:
        HearsightError: no such file, no text, nothing in it, or JSON of another form.
    """
    text = read_text(path)
    if text.lstrip()[:1] in ("[", "{"):
        return ClipList(name=str(path), entries=tuple(parse_list(path, text)), form="json")
    head, lines = _lines(text, path)
    if not lines:
        raise HearsightError(f"The list '{path}' is empty.")
    paired = head is not None and _cells(head, path)[:2] == PAIRED[:2]
    parse = _pair if paired else _listed
    return ClipList(
        name=str(path),
        # most lists are ids alone, and long
        entries=tuple(
            parse(line, _cells(line, path)) if "," in line else ListEntry(line, (line.strip(),))
            for line in lines
        ),
        head=head,
        newline=found[0] if (found := LINE_END.search(text)) else "\n",
        paired=paired,
    )


def read_pairs(path: Path) -> list[list[str]]:
    """The cells of each row under the head `video,audio,label`.

    Raises:
        HearsightError: no such file, no text, or another head.
    """
    head, lines = _lines(read_text(path), path)
    if head is None or _cells(head, path)[:3] != PAIRED:
        raise HearsightError(f"the list '{path}' does not begin with {','.join(PAIRED)}")
    return [_cells(line, path) for line in lines]


def _lines(text: str, path: Path) -> tuple[str | None, list[str]]:
    """The head of a list, if it has one, and its other lines without empty ones and comments."""
    lines = [line for line in LINE_END.split(text) if line.strip(" ,") and line[0] != "#"]
    head = lines.pop(0) if lines and _cells(lines[0], path)[0].lower() in HEADS else None
    return head, lines


def _cells(line: str, path: Path) -> list[str]:
    if '"' in line:
        return cells_of(line, path)[0]
    return [cell.strip() for cell in line.split(",")]


def _pair(line: str, cells: Sequence[str]) -> ListEntry:
    """The frame of one clip and the sound of another."""
    return ListEntry(line, tuple(dict.fromkeys(cells[:2])))


def _listed(line: str, cells: Sequence[str]) -> ListEntry:
    """One clip, in any of the forms that `read_list` names."""
    id, *rest = cells
    numbers = [bool(re.fullmatch(NUMBER, cell)) for cell in rest[:2]]
    video = YOUTUBE.fullmatch(id)
    youtube = video is not None and video[2] is None and not FLICKR.fullmatch(id)
    if youtube and numbers == [True, True]:  # AudioSet
        return ListEntry(line, (f"{id}_{rest[0]}_{rest[1]}",))
    if numbers[0] and (youtube or len(rest) > 2):  # VGGSound
        label, split = (*rest[1:3], None, None)[:2]
        return ListEntry(line, (f"{id}_{_six_digits(rest[0])}",), label, split=split)
    return ListEntry(line, (id,), None if rest[0].isdecimal() else rest[0] or None)


def _six_digits(second: str) -> str:
    """A second as in ids of VGGSound: `000030` for 30 and 30.0; a fraction is kept."""
    whole, _, fraction = second.partition(".")
    return f"{second:>06}" if fraction.strip("0") else f"{int(whole):06d}"


def parse_list(path: Path, text: str | bytes, *, truth: bool = False) -> list[ListEntry]:
    """The entries of a JSON list: objects with file, class and bbox, or ids alone.

    truth: every entry has boxes, and a class may be a number.

    Raises:
        HearsightError: it has another form, or a name that cannot be encoded.
    """
    wrong = f"'{path}' is not a list of file, class and bbox as vggss.json is."
    try:
        held: Any = parse_json(text)
        if not isinstance(held, list) or not held:
            raise HearsightError(wrong)
        found = [
            ListEntry(json.dumps(item), (item,))
            if isinstance(item, str) and not truth
            else ListEntry(
                json.dumps(item),
                (_text(item["file"]),),
                str(item["class"]) if truth else _text(item["class"]),
                tuple(map(as_box, item["bbox"])),
            )
            for item in held
        ]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise HearsightError(wrong) from error
    for one in found:
        if not is_text(one.ids[0]) or not is_text(one.label or ""):
            raise HearsightError(f"The list '{path}' has a name that is no text: {one.text[:200]}.")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value} is no text")
    return value


def find_list(folder: Path, listed: str) -> Path:
    """A list by its path from the working folder, from `folder` or from the folder above it.

    Raises:
        HearsightError: it is in none of these places.
    """
    for path in (Path(listed), folder / listed, folder.parent / listed):
        if path.is_file():
            return path
    raise HearsightError(f"there is no list '{listed}', neither here nor in or beside '{folder}'")
