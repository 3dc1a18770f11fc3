"""Draws heatmaps, boxes and a timeline on frames, and sheets of frames.

Every function takes a frame and returns a new one of the same size; the widths of lines and
letters grow with the frame's shorter side. A `heatmap` is a grid of values from 0 (the lowest
response) to 1 (its peak) over the whole frame. Boxes are in pixels of the frame,
[x0, y0, x1, y1], x1 and y1 excluded.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from hearsight.clips.clip import Box, DecodedClip
from hearsight.errors import HearsightError
from hearsight.files.output import written_whole

STRIPS = ("none", "thin", "full")  # how a timeline is laid over painted videos
PICTURES = (".png", ".jpg", ".jpeg", ".webp")  # endings of pictures that can be written
LONGEST_SIDE = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}  # pixels that the format can hold
NODES = 8  # pixels of a veil on each side of a place of its heatmap
LEVEL = 0.5  # of a heatmap: contours are drawn there, and boxes bound what lies above
Colour = tuple[int, int, int]
FOUND: Colour = (255, 196, 46)  # amber: predictions
TRUTH: Colour = (64, 224, 208)  # turquoise, far from every colour of the heat: ground truth
INK: Colour = (16, 16, 24)  # the dark rim of every line
REST: Colour = (168, 172, 184)  # grey: times without a source

PLASMA = """
0c0786 1b068c 250591 2f0495 380499 40039c 49029f 5101a2 5901a4 6100a6 6800a7 7000a8 7801a8
7f03a7 8607a6 8e0ca4 9511a1 9b179e a21c9a a82296 ae2791 b42d8d b93388 be3883 c33e7f c8447a
cd4975 d14f71 d6556d da5a68 de6064 e26660 e56c5b e97257 ec7853 ef7e4e f2854a f58b46 f79241
f9993d faa039 fca735 fdaf31 fdb62d fdbe29 fdc626 fcce25 fad624 f8df24 f5e726 f2f026 eff821
"""  # every fifth of the 256 colours, by Nathaniel J. Smith and Stefan van der Walt, CC0


@cache
def colour_map() -> UInt8[np.ndarray, "256 3"]:
    """Colours of heatmap values 0 to 1: matplotlib's plasma, blue over violet and red to yellow.

    It is perceptually uniform. `heat` leaves clear the values that would be blue. No channel is
    more than 2 of 255 from matplotlib's.
    """
    knots = np.frombuffer(bytes.fromhex(PLASMA), np.uint8).reshape(-1, 3)
    places = np.linspace(0, 255, len(knots))
    channels = [np.interp(np.arange(256), places, knot) for knot in knots.T]
    return np.rint(np.stack(channels, 1)).astype(np.uint8)


def upsample(
    heatmap: Float[np.ndarray, "h w"], height: int, width: int
) -> Float32[np.ndarray, "{height} {width}"]:
    """The heatmap at `height` x `width` pixels: bicubic, cell centres kept, clipped to [0, 1]."""
    grid = Image.fromarray(np.ascontiguousarray(heatmap, dtype=np.float32))
    wide = np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
    within: Float32[np.ndarray, "_ _"] = np.clip(wide, 0.0, 1.0)
    return within


def heat(
    frame: UInt8[np.ndarray, "height width 3"], heatmap: Float[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "height width 3"]:
    """A colour overlay: transparent below 0.3, with an opacity of 70 % from 0.8 on."""
    levels = _levels(heatmap, *frame.shape[:2])
    veil = levels.point(_opacity().tolist())
    levels.putpalette(colour_map().tobytes())
    return np.asarray(Image.composite(levels.convert("RGB"), Image.fromarray(frame), veil))


def heat_veil(
    heatmap: Float[np.ndarray, "h w"], height: int, width: int
) -> UInt8[np.ndarray, "height width 4"]:
    """What `heat` lays over a frame, as RGBA, to be stretched over it.

    It has up to `NODES` pixels for each place of the heatmap, and at most as many as the frame of
    `height` x `width`.
    """
    rows, columns = heatmap.shape
    levels = _levels(heatmap, min(height, NODES * rows), min(width, NODES * columns))
    colours = np.column_stack([colour_map(), _opacity()]).view(np.uint32)[:, 0]
    veil: UInt8[np.ndarray, "_ _"] = colours[np.asarray(levels)].view(np.uint8)
    return veil.reshape(levels.height, levels.width, 4)


def _levels(heatmap: Float[np.ndarray, "h w"], height: int, width: int) -> Image.Image:
    """The heatmap at `height` x `width` pixels, from 0 to 255: bicubic, cell centres kept."""
    grid = Image.fromarray(np.asarray(heatmap * 255 + 0.5, dtype=np.float32))
    return grid.resize((width, height), Image.Resampling.BICUBIC).convert("L")


@cache
def _opacity() -> UInt8[np.ndarray, " 256"]:
    """How opaque `heat` is at each level, from 0 to 255."""
    rise = np.clip((np.linspace(0, 1, 256) - 0.3) / 0.5, 0, 1)
    return np.rint(255 * 0.7 * rise * rise * (3 - 2 * rise)).astype(np.uint8)


def contour(
    frame: UInt8[np.ndarray, "height width 3"],
    heatmap: Float[np.ndarray, "h w"],
    *,
    colour: Colour = FOUND,
    least: int = 1,
) -> UInt8[np.ndarray, "height width 3"]:
    """A smooth line of even width where the heatmap passes `LEVEL`, with a dark rim.

    least: pixels that the line is wide at least; it lies between pixels where a heatmap rises from
    0 to 1 from one to the next, as a mask does, and is seen from 2 on.
    """
    wide = upsample(heatmap, *frame.shape[:2])
    if min(wide.shape) < 2:
        return frame.copy()
    down, across = np.gradient(wide)
    steepness = np.sqrt(down * down + across * across)
    # The distance to the line in pixels, to first order.
    distance = np.abs(wide - np.float32(LEVEL)) / np.maximum(steepness, 1e-6)
    half = max(least, _line_width(*frame.shape[:2])) / 2
    near = distance < half + 1.5
    distance = distance[near][:, None]
    rim = np.clip(half + 1.5 - distance, 0, 1) * np.float32(0.6)
    line = np.clip(half + 0.5 - distance, 0, 1)
    painted = frame[near] * (1 - rim) + np.array(INK, np.float32) * rim
    painted = painted * (1 - line) + np.array(colour, np.float32) * line
    result = frame.copy()
    result[near] = (painted + 0.5).astype(np.uint8)
    return result


def box(
    frame: UInt8[np.ndarray, "height width 3"],
    edges: Sequence[float | int],
    *,
    label: str = "",
    colour: Colour = FOUND,
    dashed: bool = False,
) -> UInt8[np.ndarray, "height width 3"]:
    """The outline of a box, inside its edges, with a label above it where there is room."""
    height, width = frame.shape[:2]
    canvas = Image.fromarray(frame.copy())
    pen = ImageDraw.Draw(canvas)
    x0, y0 = max(0, round(edges[0])), max(0, round(edges[1]))
    x1 = min(width, max(round(edges[2]), x0 + 1)) - 1
    y1 = min(height, max(round(edges[3]), y0 + 1)) - 1
    if x1 < x0 or y1 < y0:  # the box lies outside the frame
        return frame.copy()
    line = _line_width(*frame.shape[:2])
    pen.rectangle((x0, y0, x1, y1), outline=INK, width=line + 2)
    inner = (min(x0 + 1, x1), min(y0 + 1, y1), max(x1 - 1, x0), max(y1 - 1, y0))
    if inner[2] >= inner[0] and inner[3] >= inner[1]:
        _outline(pen, inner, line, colour, dashed)
    if label:
        _label(pen, (width, height), (x0, y0, x1), label, colour)
    return np.asarray(canvas)


def true_boxes(
    frame: UInt8[np.ndarray, "height width 3"], boxes: Sequence[Box]
) -> UInt8[np.ndarray, "height width 3"]:
    """The dashed outlines of true boxes, whose edges are shares of the frame's sides."""
    height, width, _ = frame.shape
    for edges in boxes:
        scaled = np.array(edges) * (width, height, width, height)
        frame = box(frame, scaled.tolist(), colour=TRUTH, dashed=True)
    return frame


def _outline(
    pen: ImageDraw.ImageDraw,
    edges: tuple[int, int, int, int],
    line: int,
    colour: Colour,
    dashed: bool,
) -> None:
    if not dashed:
        pen.rectangle(edges, outline=colour, width=line)
        return
    x0, y0, x1, y1 = edges
    dash, step = 5 * line, 8 * line
    for x in range(x0, x1 + 1, step):
        end = min(x + dash - 1, x1)
        pen.rectangle((x, y0, end, min(y0 + line - 1, y1)), fill=colour)
        pen.rectangle((x, max(y1 - line + 1, y0), end, y1), fill=colour)
    for y in range(y0, y1 + 1, step):
        end = min(y + dash - 1, y1)
        pen.rectangle((x0, y, min(x0 + line - 1, x1), end), fill=colour)
        pen.rectangle((max(x1 - line + 1, x0), y, x1, end), fill=colour)


def _label(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    edges: tuple[int, int, int],
    text: str,
    colour: Colour,
) -> None:
    """A label of the box's colour above its upper left corner, moved to lie inside the frame."""
    width, height = size
    font = _font(_letter_height(min(size)))
    pad = max(2, round(font.size / 5))
    left, top, right, bottom = font.getbbox(text)
    chip_width, chip_height = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    x = max(0, min(edges[0], width - chip_width))
    y = edges[1] - chip_height if edges[1] >= chip_height else edges[1]
    y = max(0, min(y, height - chip_height))
    pen.rectangle((x, y, x + chip_width - 1, y + chip_height - 1), fill=colour)
    pen.text((x + pad - left, y + pad - top), text, font=font, fill=INK)


def timeline_strip(
    width: int,
    height: int,
    *,
    times: Float[np.ndarray, " n"],
    confidences: Float[np.ndarray, " n"],
    sources: Bool[np.ndarray, " n"],
    threshold: float,
    duration: float,
) -> UInt8[np.ndarray, "strip {width} 4"]:
    """The confidence of every moment, to lay along the bottom of a `width` x `height` frame.

    The axis goes from 0 to the largest confidence, or to 1.5 times the threshold where all are
    lower. Stretches with a source are amber, the others grey; a fine line marks the threshold.
    RGBA, a twelfth of the frame high. `times` (rising) and `duration` are in seconds; where
    several moments share a column of pixels the highest confidence is shown.
    """
    tall = min(max(10, round(height / 12)), height)
    at = (np.arange(width) + 0.5) / width * duration
    value = np.interp(at, times, confidences)
    np.maximum.at(value, _columns(width, times, duration), confidences)
    found = _with_source(width, times, sources, duration)

    top = max(float(confidences.max()), 1.5 * threshold, 1e-3)
    margin = max(1, tall // 8)
    room = tall - 2 * margin
    # How much of each pixel lies under the curve, from 0 to 1: an antialiased edge.
    below = np.arange(room, 0, -1)[:, None]
    fill = np.clip(value / top * room - below + 1, 0, 1)
    bars = np.where(found[:, None], np.array(FOUND), np.array(REST))
    strip = np.empty((tall, width, 4))
    strip[...] = (*INK, 115)
    area = strip[margin : margin + room]
    shown = (fill * np.where(found, 0.9, 0.55))[..., None]
    area[..., :3] = area[..., :3] * (1 - shown) + bars * shown
    area[..., 3] = np.maximum(area[..., 3], 215 * shown[..., 0])
    if 0 < threshold <= top:
        line = margin + round((1 - threshold / top) * (room - 1))
        strip[line, :, :3] = strip[line, :, :3] * 0.5 + 255 * 0.5
    return np.rint(strip).astype(np.uint8)


def timeline_line(
    width: int,
    height: int,
    *,
    times: Float[np.ndarray, " n"],
    sources: Bool[np.ndarray, " n"],
    duration: float,
) -> UInt8[np.ndarray, "strip {width} 4"]:
    """The thin form of `timeline_strip`: a line, amber where there is a source, else grey.

    A 120th of the frame high, at least 3 pixels.
    """
    tall = min(max(3, round(height / 120)), height)
    found = _with_source(width, times, sources, duration)
    colours = np.where(found[:, None], np.array((*FOUND, 255)), np.array((*REST, 140)))
    return np.tile(colours.astype(np.uint8), (tall, 1, 1))


def _columns(width: int, times: Float[np.ndarray, " n"], duration: float) -> Int[np.ndarray, " n"]:
    """The column of pixels of each time."""
    columns: Int[np.ndarray, " n"] = np.clip((times / duration * width).astype(int), 0, width - 1)
    return columns


def _with_source(
    width: int, times: Float[np.ndarray, " n"], sources: Bool[np.ndarray, " n"], duration: float
) -> Bool[np.ndarray, " columns"]:
    """Whether there is a source at each column of pixels: at the nearest moment, or any in it."""
    at = (np.arange(width) + 0.5) / width * duration
    found: Bool[np.ndarray, " _"] = sources[np.searchsorted((times[1:] + times[:-1]) / 2, at)]
    np.logical_or.at(found, _columns(width, times, duration), sources)
    return found


def timeline(
    frame: UInt8[np.ndarray, "height width 3"],
    strip: UInt8[np.ndarray, "strip width 4"],
    position: float,
) -> UInt8[np.ndarray, "height width 3"]:
    """Lay the strip along the bottom, with a cursor at `position` (0 = start, 1 = end)."""
    strip = with_cursor(strip, position, len(frame))
    painted = frame.copy()
    bottom = painted[len(painted) - len(strip) :]
    opacity = strip[..., 3:].astype(np.uint16)
    bottom[...] = (bottom * (255 - opacity) + strip[..., :3] * opacity) // 255
    return painted


def with_cursor(
    strip: UInt8[np.ndarray, "strip width 4"], position: float, height: int
) -> UInt8[np.ndarray, "strip width 4"]:
    """The strip of a frame of `height` with a cursor at `position`, as in `timeline`."""
    drawn = strip.copy()
    width = strip.shape[1]
    line = _line_width(height, width)
    x = round(min(max(position, 0.0), 1.0) * max(width - line, 0))
    drawn[:, max(0, x - 1) : x + line + 1] = (*INK, 255)
    drawn[:, x : x + line] = 255
    return drawn


def gallery(
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    captions: Sequence[str],
    *,
    columns: int = 4,
    side: int = 240,
) -> UInt8[np.ndarray, "_ _ 3"]:
    """Frames of any sizes on one white sheet, each fitted into `side` pixels over its caption.

    A caption may have several lines; each is shortened to the width of a picture.
    Raises ValueError unless there is one caption for each of at least one picture.
    """
    if not pictures or len(pictures) != len(captions):
        raise ValueError(f"{len(pictures)} pictures with {len(captions)} captions")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    gap, font = max(6, side // 20), _font(max(10, side // 16))
    line = round(font.size * 1.5)
    lines = max(len(caption.split("\n")) for caption in captions)
    across, down = side + gap, side + lines * line + gap
    sheet = Image.new("RGB", (columns * across + gap, rows * down + gap), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (pixels, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = gap + place % columns * across, gap + place // columns * down
        picture = Image.fromarray(pixels)
        scale = side / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
        sheet.paste(picture, (x + (side - size[0]) // 2, y + (side - size[1]) // 2))
        for number, text in enumerate(caption.split("\n")):
            below = y + side + number * line + line // 5
            pen.text((x, below), _shortened(text, font, side), font=font, fill=INK)
    return np.asarray(sheet)


def save_sheet(clips: Sequence[DecodedClip], path: Path) -> None:
    """Write a sheet of clips' frames with their true boxes and masks, each over its class and id.

    Of a clip with both the boxes are drawn, and the outline of its mask.

    Raises:
        HearsightError: no clip, or `path` cannot be written or has no ending of `PICTURES`.
    """
    if not clips:
        raise HearsightError(f"'{path}' is not written: there is no clip to draw.")
    frames, captions = [], []
    for clip in clips:
        frame = clip.frame
        if clip.mask is not None and clip.mask.any():
            frame = contour(frame, clip.mask.astype(np.float32), colour=TRUTH, least=2)
        frames.append(true_boxes(frame, clip.boxes or ()))
        captions.append(f"{clip.label}  {clip.id}" if clip.label else clip.id)
    save_picture(gallery(frames, captions, columns=6 if len(clips) > 8 else 4), path)


def save_picture(pixels: UInt8[np.ndarray, "height width 3"], path: Path) -> None:
    """Write a picture whole or not at all.

    Raises:
        HearsightError: it cannot be written, is longer than its format can hold, or `path` has no
            ending of `PICTURES`.
    """
    if path.suffix.lower() not in PICTURES:
        raise HearsightError(f"'{path}' must end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}.")
    check_sides(path, *pixels.shape[:2])
    kind = Image.registered_extensions()[path.suffix.lower()]
    with written_whole(path) as part:
        Image.fromarray(pixels).save(part, format=kind)


def check_sides(path: Path, height: int, width: int) -> None:
    """Raise HearsightError if a picture of so many pixels is too long for the format of `path`."""
    longest = LONGEST_SIDE.get(path.suffix.lower())
    if longest is not None and max(height, width) > longest:
        raise HearsightError(
            f"'{path}' cannot hold {width} x {height} pixels: a {path.suffix.lower()} has at most "
            f"{longest:,} on a side. Name a .png."
        )


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text cut to `width` pixels, with an ellipsis if it was cut."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _line_width(height: int, width: int) -> int:
    return 1 + min(height, width) // 200


def _letter_height(short_side: int) -> int:
    return min(max(9, round(short_side / 22)), 40)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow: the same letters on every machine."""
    return ImageFont.load_default(size)  # type: ignore[return-value]
