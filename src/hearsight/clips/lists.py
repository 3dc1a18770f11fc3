"""Lists of clips in the forms that data sets and papers use, and which clip an id names."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hearsight.clips.clip import Box, as_box
from hearsight.clips.list_heads import Columns, columns_of, plain
from hearsight.errors import HearsightError
from hearsight.files.output import written_whole
from hearsight.files.text import LINE_END, Row, is_text, parse_json, read_text, rows_of
from hearsight.files.walk import check_link

Kind = Literal["youtube", "flickr", "other"]
SUFFIX = re.compile(
    r"\.(mp4|mkv|webm|avi|mov|m4v|flv|3gp|mpe?g|ts|wmv|ogv"
    r"|wav|flac|mp3|m4a|aac|ogg|opus|jpe?g|png|webp|bmp|gif|xml|json|npy|pt|pkl)$",
    re.IGNORECASE,
)
NUMBER = r"(\d{1,15}(?:\.\d+)?)"
YOUTUBE = re.compile(rf"([\w-]{{11}})(?:_{NUMBER}(?:_{NUMBER})?)?", re.ASCII)
FLICKR = re.compile(r"\d{8,12}", re.ASCII)
MOMENT = re.compile(rf"(.+)@{NUMBER}")  # ids of clips of one's own videos, as VIDEO@SECOND
PAIRED = ["video", "audio", "label"]  # head of lists that pair a frame with another clip's sound
BETWEEN = "~"  # in the id of a pair of clips: between the two, as in VIDEO~AUDIO
# what spreadsheets and their users write before an id that would be taken for a formula
FORMULA = re.compile(r"""(?:="?|')([\w-]{11}(?:_[\d.]+){0,2})"?""", re.ASCII)
# the address of a video of YouTube, and the second from which on it is shown
ADDRESS = re.compile(
    r"(?:https?://)?(?:\w+\.)?(?:youtube(?:-nocookie)?\.com/(?:watch\?(?:\S*&)?v=|embed/|shorts/|v/)"
    r"|youtu\.be/)([\w-]{11})(?:[?&#/]\S*)?",
    re.ASCII,
)
SHOWN_FROM = re.compile(r"[?&#](?:t|start)=(\d{1,15})s?(?:[&#]|$)", re.ASCII)
FORMULA_LOST = "#NAME?"  # what is left of an id that was taken for one
SECOND = re.compile(r"(\d{1,15})(?:[.,](\d*))?", re.ASCII)
SPLITS = {  # words of a split column
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
}


class BoxError(ValueError):
    """A box of another form than its list has."""


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
        bare = re.split(r"[/\\]", id)[-1] if "/" in id or "\\" in id else id
        bare = without_suffix(bare) if "." in bare else bare
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
    is paired with the sound of another, and of duets. boxes: as written, corrupt ones included.
    split: train or test, in lists with a split column.
    """

    text: str
    ids: tuple[str, ...]
    label: str | None = None
    boxes: tuple[Box, ...] | None = None
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipList:
    """The entries of a list in order, and what is needed to write them in its own format.

    left_out: of ids that were read from clips, sentences on what their source leaves out.
    """

    name: str
    entries: tuple[ListEntry, ...]
    head: str | None = None  # a first line that names the columns
    newline: str = "\n"
    form: Literal["lines", "json"] = "lines"
    paired: bool = False  # whether each line pairs a frame with the sound of another clip
    left_out: tuple[str, ...] = ()

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
    """The entries of a list: a text or csv file with one clip a row, or a JSON file as vggss.json.

    Rows are `ID`, `ID,LABEL`, `ID,LABEL,SPLIT`, `ID,FRAME` (Flickr), `YOUTUBE,SECOND,LABEL,SPLIT`
    (VGGSound), `YOUTUBE,START,END,...` (AudioSet) or `ID,LABEL,ID,LABEL` (duets); a label may hold
    commas, and the address of a video of YouTube stand for its id. Under a head the columns may
    stand in any order; `VIDEO,AUDIO,LABEL` under that head means the frame of one clip with the
    sound of another. How files are written, `files.text.rows_of` says.

    Raises:
        HearsightError: no such file, no text, nothing in it, an id that a spreadsheet destroyed,
            or JSON of another form.
    """
    text = read_text(path)
    if text.lstrip()[:1] in ("[", "{"):
        return ClipList(name=str(path), entries=tuple(parse_list(path, text)), form="json")
    head, rows = _headed(text, path)
    if not rows:
        raise HearsightError(f"The list '{path}' is empty.")
    paired = head is not None and plain(head.cells[:2]) == PAIRED[:2]
    columns = None if head is None or paired else columns_of(head.cells)
    return ClipList(
        name=str(path),
        entries=tuple(_entry(row, columns, paired=paired) for row in rows),
        head=None if head is None else head.text,
        newline=found[0] if (found := LINE_END.search(text)) else "\n",
        paired=paired,
    )


def read_pairs(path: Path) -> list[list[str]]:
    """The cells of each row under the head `video,audio,label`.

    Raises:
        HearsightError: no such file, no text, or another head.
    """
    head, rows = _headed(read_text(path), path)
    if head is None or plain(head.cells[:3]) != PAIRED:
        raise HearsightError(f"The list '{path}' does not begin with {','.join(PAIRED)}.")
    return [row.cells for row in rows]


def read_duets(path: Path) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """The ids and the labels of each row of a list of ID, LABEL, ID, LABEL; empty if it is none.

    A list is one if every row, but for a head, has two ids of YouTube with their seconds in these
    places.

    Raises:
        HearsightError: no such file, or no text.
    """
    rows = rows_of(read_text(path), path)
    if rows and not _is_duet(rows[0].cells):
        rows = rows[1:]
    if not all(_is_duet(row.cells) for row in rows):
        return []
    return [((_as_id(a), _as_id(b)), (one, two)) for a, one, b, two in (row.cells for row in rows)]


def _is_duet(cells: Sequence[str]) -> bool:
    """Whether a row names two clips that sound together."""
    if len(cells) != 4:
        return False
    found = [YOUTUBE.fullmatch(without_suffix(_as_id(cells[place]))) for place in (0, 2)]
    return all(each is not None and each[2] is not None for each in found)


def _headed(text: str, path: Path) -> tuple[Row | None, list[Row]]:
    """The head of a list, if it has one, and its other rows; a head again is no row."""
    rows = rows_of(text, path)
    lost = next((row for row in rows if row.cells[0] == FORMULA_LOST), None)
    if lost is not None:
        raise HearsightError(
            f"The list '{path}' has {FORMULA_LOST} instead of an id in the row '{lost.text}': a "
            "spreadsheet took an id that begins with - or = for a formula."
        )
    if not rows or columns_of(rows[0].cells) is None:
        return None, rows
    head = rows[0]
    return head, [row for row in rows if row.cells != head.cells]


def _entry(row: Row, columns: Columns | None, *, paired: bool) -> ListEntry:
    """The entry of a row; columns are None in a list without a head."""
    if len(row.cells) == 1:  # most lists are ids alone, and long
        return ListEntry(row.text, (_as_id(row.cells[0]),))
    if paired:
        return ListEntry(row.text, tuple(dict.fromkeys(row.cells[:2])))
    if columns is None or len(columns.places) < 2:
        return _by_form(row)
    return _by_head(row, columns)


def _by_head(row: Row, columns: Columns) -> ListEntry:
    """One clip, of a list that names its columns."""
    cells = row.cells
    surplus, at = len(cells) - columns.count, columns.places.get("label")
    if at is not None and surplus > 0:  # a label with commas that stands in no quotes
        cells = [*cells[:at], ", ".join(cells[at : at + surplus + 1]), *cells[at + surplus + 1 :]]
    told = {role: cells[at] for role, at in columns.places.items() if at < len(cells)}
    id = _as_id(told.get("id", ""))
    start, end = _second(told.get("start", "")), _second(told.get("end", ""))
    if start is not None:
        id = _with_time(id, start, end)
    split = told.get("split", "").casefold()
    return ListEntry(
        row.text, (id,), _as_label(told.get("label", "")), split=SPLITS.get(split, split) or None
    )


def _by_form(row: Row) -> ListEntry:
    """One clip, or a duet's two, in any of the forms without a head that `read_list` names."""
    if _is_duet(row.cells):
        return ListEntry(row.text, (_as_id(row.cells[0]), _as_id(row.cells[2])))
    id, *rest = row.cells
    id = _as_id(id)
    while rest and not rest[-1]:
        rest.pop()
    if not rest:
        return ListEntry(row.text, (id,))
    times = [_second(cell) for cell in rest[:2]]
    video = YOUTUBE.fullmatch(without_suffix(id))
    youtube = video is not None and video[2] is None and not FLICKR.fullmatch(without_suffix(id))
    start, end = [*times, None][:2]
    if youtube and start is not None and end is not None:  # AudioSet
        return ListEntry(row.text, (_with_time(id, start, end),))
    if start is not None and (youtube or len(rest) > 2):  # VGGSound
        label, split = _label_and_split(rest[1:], several=True)
        return ListEntry(row.text, (_with_time(id, start),), label, split=split)
    label, split = _label_and_split(rest, several=False)
    return ListEntry(row.text, (id,), None if rest[0].isdecimal() else label, split=split)


def _label_and_split(cells: Sequence[str], *, several: bool) -> tuple[str | None, str | None]:
    """The label and the split of a row that ends in them.

    several: whether cells up to the split, or up to a number, are one label with commas.
    """
    ends = [at for at, cell in enumerate(cells) if at and cell.casefold() in SPLITS]
    if ends and (several or len(cells) == 2):
        return _as_label(", ".join(cells[: ends[-1]])), SPLITS[cells[ends[-1]].casefold()]
    number = next((at for at, cell in enumerate(cells) if at and _second(cell)), len(cells))
    return _as_label(", ".join(cells[: number if several else 1])), None


def _as_id(cell: str) -> str:
    """An id without what keeps a spreadsheet from taking it for a formula; that of an address."""
    found = FORMULA.fullmatch(cell) if cell[:1] in ("=", "'") else None
    if found is None and "/" in cell and (address := ADDRESS.fullmatch(cell)):
        shown = SHOWN_FROM.search(cell)
        return _with_time(address[1], shown[1]) if shown else address[1]
    return found[1] if found else cell


def _as_label(cell: str) -> str | None:
    return " ".join(cell.split()) or None


def _second(cell: str) -> str | None:
    """A time of `30`, `30.0` or `30,0` with a point; None for anything else."""
    found = SECOND.fullmatch(cell)
    if not found:
        return None
    return f"{found[1]}.{found[2]}" if found[2] else found[1]


def _with_time(id: str, start: str, end: str | None = None) -> str:
    """An id with the time that stands beside it, as VGGSound or AudioSet write it.

    An id of Flickr, and one that has a time, stays as it is.
    """
    bare = without_suffix(id)
    video = YOUTUBE.fullmatch(bare)
    if FLICKR.fullmatch(bare) or (video is not None and video[2] is not None):
        return id
    name = id if video is None else bare
    return f"{name}_{_six_digits(start)}" if end is None else f"{name}_{start}_{end}"


def _six_digits(second: str) -> str:
    """A second as in ids of VGGSound: `000030` for 30 and 30.0; a fraction is kept."""
    whole, _, fraction = second.partition(".")
    return f"{second:>06}" if fraction.strip("0") else f"{int(whole):06d}"


def parse_list(path: Path, text: str | bytes, *, truth: bool = False) -> list[ListEntry]:
    """The entries of a JSON list: objects with file, class and bbox, or ids alone.

    Of MUSIC's solos and duets bbox, or bbox_src1 and bbox_src2, is [x, y, width, height].
    truth: every entry has boxes, and a class may be a number. A class null is none.

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
                _class_in(item, truth),
                _boxes_in(item),
            )
            for item in held
        ]
    except BoxError as error:
        raise HearsightError(f"'{path}': {error}.") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise HearsightError(wrong) from error
    for one in found:
        if not is_text(one.ids[0]) or "\0" in one.ids[0] or not is_text(one.label or ""):
            raise HearsightError(f"The list '{path}' has a name that is no text: {one.text[:200]}.")
    return found


def _class_in(item: dict[str, Any], truth: bool) -> str | None:
    """The class of an entry; of a duet both."""
    if "class_src1" not in item:
        return _class(item["class"], truth)
    both = [_class(item[name], truth) for name in ("class_src1", "class_src2")]
    return " and ".join(one for one in both if one) or None


def _boxes_in(item: dict[str, Any]) -> tuple[Box, ...]:
    """The boxes of an entry; of a duet those of its sources that have one."""
    if "bbox_src1" in item:
        return tuple(_from_corner(item[name]) for name in ("bbox_src1", "bbox_src2") if item[name])
    boxes = item["bbox"]
    if boxes and not isinstance(boxes[0], list):
        return (_from_corner(boxes),)
    return tuple(map(as_box, boxes))


def _from_corner(values: Sequence[Any]) -> Box:
    """The box of [x, y, width, height] in fractions of its frame.

    Raises:
        BoxError: it has no area or reaches beyond the frame, as two corners or pixels would.
    """
    x, y, width, height = as_box(values)
    if not (x >= 0 and y >= 0 and 0 < width <= 1.001 - x and 0 < height <= 1.001 - y):
        raise BoxError(f"{list(values)} is no [x, y, width, height] within its frame")
    return x, y, x + width, y + height


def _class(value: object, truth: bool) -> str | None:
    if value is None:
        return None
    return str(value) if truth else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"{value} is no text")
    return value


def find_list(folder: Path, listed: str) -> Path:
    """A list by its path from the working folder, from `folder` or from the folder above it.

    Raises:
        HearsightError: it is in none of these places, or a link there that leads nowhere.
    """
    for path in (Path(listed), folder / listed, folder.parent / listed):
        check_link(path)
        if path.is_file():
            return path
    raise HearsightError(f"There is no list '{listed}', neither here nor in or beside '{folder}'.")
