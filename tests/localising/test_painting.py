"""Painters change what they say they change, at every size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hearsight.clips.clip import DecodedClip
from hearsight.errors import HearsightError
from hearsight.localising import painting

SIZES = [(96, 96), (96, 171), (1, 1), (3, 2), (33, 200), (720, 1280)]


def frame_of(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def lightness(colours: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB bytes."""
    curved = colours / 255
    linear = np.where(curved <= 0.04045, curved / 12.92, ((curved + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return 116 * np.cbrt(luminance) - 16


def test_colours_grow_lighter_in_even_steps() -> None:
    light = lightness(painting.colour_map())
    steps = np.diff(light[::15])
    assert steps.min() > 0.6 * steps.mean()
    assert steps.max() < 1.5 * steps.mean()
    assert light[-1] - light[0] > 65


def test_the_colours_are_those_of_matplotlibs_plasma() -> None:
    from matplotlib import colormaps

    plasma = colormaps["plasma"](np.arange(256), bytes=True)[:, :3]
    assert np.abs(painting.colour_map().astype(int) - plasma).max() <= 2


def test_upsampling_keeps_cell_centres_in_place() -> None:
    grid = np.zeros((4, 6), np.float32)
    grid[1, 4] = 1
    wide = painting.upsample(grid, 40, 60)
    y, x = np.unravel_index(wide.argmax(), wide.shape)
    assert abs(y + 0.5 - 15) <= 1
    assert abs(x + 0.5 - 45) <= 1
    assert wide.min() >= 0
    assert wide.max() <= 1


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_heat_leaves_weak_places_alone_and_covers_strong_ones_by_70_percent(
    height: int, width: int
) -> None:
    frame = frame_of(height, width)
    assert np.array_equal(painting.heat(frame, np.full((3, 3), 0.3, np.float32)), frame)
    covered = painting.heat(frame, np.ones((3, 3), np.float32))
    expected = 0.3 * frame + 0.7 * painting.colour_map()[255]
    assert np.abs(covered - expected).max() <= 1.5


def test_contour_runs_where_the_heatmap_passes_the_level() -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    ramp = np.repeat(np.linspace(-0.005, 1.005, 102)[None, 1:-1], 100, 0).astype(np.float32)
    painted = painting.contour(frame, ramp)
    bright = painted[50].sum(1) > 200
    assert 48 <= np.flatnonzero(bright).mean() <= 51
    assert 1 <= bright.sum() <= 3
    assert not painted[:, :40].any()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_painter_keeps_the_size_and_the_original(height: int, width: int) -> None:
    frame = frame_of(height, width)
    before = frame.copy()
    heatmap = np.random.default_rng(1).random((5, 7)).astype(np.float32)
    edges = (0.2 * width, 0.1 * height, 0.9 * width, 0.8 * height)
    for painted in (
        painting.heat(frame, heatmap),
        painting.contour(frame, heatmap),
        painting.box(frame, edges, label="a label much too long for a small frame"),
        painting.box(frame, edges, dashed=True, colour=painting.TRUTH),
        painting.timeline(frame, strip_of(width, height), 0.5),
    ):
        assert painted.shape == frame.shape
        assert painted.dtype == np.uint8
    assert np.array_equal(frame, before)


def test_a_box_has_its_colour_inside_its_edges_and_nothing_else_changes() -> None:
    frame = np.full((100, 200, 3), 128, np.uint8)
    painted = painting.box(frame, (20, 30, 150, 90))
    changed = np.argwhere((painted != frame).any(2))
    assert changed.min(0).tolist() == [30, 20]
    assert (changed.max(0) + 1).tolist() == [90, 150]
    assert (painted[60, 21] == painting.FOUND).all()
    assert (painted[35:85, 25:145] == 128).all()


def test_a_box_outside_the_frame_changes_nothing() -> None:
    frame = frame_of(50, 60)
    assert np.array_equal(painting.box(frame, (70, 10, 90, 20)), frame)


def test_a_label_stays_inside_the_frame_at_every_corner() -> None:
    frame = np.full((96, 96, 3), 128, np.uint8)
    for edges in ((0, 0, 20, 20), (76, 0, 96, 20), (0, 76, 20, 96), (76, 76, 96, 96)):
        with_label = painting.box(frame, edges, label="0.71")
        without = painting.box(frame, edges)
        chip = np.argwhere((with_label != without).any(2))
        assert np.ptp(chip[:, 0]) >= 8
        assert np.ptp(chip[:, 1]) >= 15


def strip_of(width: int, height: int) -> np.ndarray:
    return painting.timeline_strip(
        width,
        height,
        times=np.arange(10.0),
        confidences=np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.0, 0.0, 0.2, 0.2, 0.2]),
        sources=np.arange(10) < 5,
        threshold=0.4,
        duration=10.0,
    )


def test_the_timeline_is_amber_where_there_is_a_source_and_high_where_it_is_sure() -> None:
    strip = strip_of(400, 240)
    assert strip.shape == (20, 400, 4)
    middle = strip[10].astype(int)
    amber = middle[:, 0] - middle[:, 2] > 80
    assert amber[:170].all()
    assert not amber[190:].any()
    assert (np.abs(strip[15, 350, :3].astype(int) - strip[3, 350, :3]) > 30).any()


@pytest.mark.parametrize(("height", "tall"), [(2, 2), (90, 3), (480, 4), (1080, 9), (2160, 18)])
def test_the_thin_timeline_is_a_line_of_one_colour_for_sources(height: int, tall: int) -> None:
    strip = painting.timeline_line(
        400, height, times=np.arange(10.0), sources=np.arange(10) < 5, duration=10.0
    )
    assert strip.shape == (tall, 400, 4)
    assert (strip == strip[:1]).all()
    amber = (strip[0, :, :3] == painting.FOUND).all(1)
    assert amber[:180].all()  # until half-way between the moments of 4 and 5 s
    assert not amber[180:].any()
    frame = np.full((height, 400, 3), 90, np.uint8)
    painted = painting.timeline(frame, strip, 0.5)
    assert np.array_equal(painted[: height - tall], frame[: height - tall])


def test_the_most_confident_of_many_moments_in_a_column_shows() -> None:
    times = np.arange(10_000) / 100
    confidences = np.where(times == 50.0, 0.9, 0.1)
    strip = painting.timeline_strip(
        100,
        120,
        times=times,
        confidences=confidences,
        sources=confidences > 0.4,
        threshold=0.4,
        duration=100.0,
    )
    middle = strip[5].astype(int)
    assert np.flatnonzero(middle[:, 0] - middle[:, 2] > 80).tolist() == [50]


def test_the_timeline_lets_the_picture_through_and_leaves_the_rest_untouched() -> None:
    frame = np.full((240, 400, 3), 200, np.uint8)
    frame[:, ::2] = 40
    painted = painting.timeline(frame, strip_of(400, 240), 0.25)
    assert np.array_equal(painted[:220], frame[:220])
    quiet = painted[222, 220:240].astype(int)
    assert np.abs(np.diff(quiet[:, 0])).min() > 60
    cursor = np.flatnonzero((painted[230] == 255).all(1))
    assert abs(cursor.mean() - 0.25 * 400) <= 2


def test_a_gallery_holds_every_picture_and_caption() -> None:
    pictures = [np.full((50, 80, 3), 40 * i, np.uint8) for i in range(1, 6)]
    sheet = painting.gallery(pictures, [f"picture {i}" for i in range(5)], columns=3, side=96)
    for i in range(1, 6):
        assert (sheet == 40 * i).all(2).sum() >= 96 * 58
    with pytest.raises(ValueError, match="captions"):
        painting.gallery(pictures, ["one"])


def test_every_line_of_a_caption_is_drawn_below_the_one_before() -> None:
    white = [np.full((50, 50, 3), 255, np.uint8)] * 2
    heights = []
    for captions in (["a", "b"], ["a\nid", "b"]):
        sheet = painting.gallery(white, captions, side=96)
        assert (sheet[96:] < 128).any()
        heights.append(len(sheet))
    assert heights[1] > heights[0]
    below = sheet[heights[0] - 6 : heights[1]]  # the second line, of the first picture alone
    assert (below[:, :105] < 128).any()
    assert (below[:, 105:] >= 128).all()


def test_a_dashed_line_is_not_a_whole_one() -> None:
    frame = np.zeros((200, 200, 3), np.uint8)
    whole = (painting.box(frame, (10, 10, 190, 190)) == painting.FOUND).all(2).sum()
    dashed = (painting.box(frame, (10, 10, 190, 190), dashed=True) == painting.FOUND).all(2).sum()
    assert 0.4 * whole < dashed < 0.8 * whole


def test_a_picture_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(HearsightError, match="No space left"):
        painting.save_picture(frame_of(5, 5), tmp_path / "painted.png")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(HearsightError, match="must end in"):
        painting.save_picture(frame_of(5, 5), tmp_path / "painted.txt")


def test_a_sheet_of_clips_shows_their_truth(tmp_path: Path) -> None:
    clips = [
        DecodedClip(
            id=f"clip{i}",
            frame=np.full((64, 96, 3), 100, np.uint8),
            sound=np.zeros(100, np.int16),
            label="dog" if i else None,
            boxes=((0.25, 0.25, 0.75, 0.75),) if i else None,
            mask=None,
            source="",
            time=None,
        )
        for i in range(2)
    ]
    painting.save_sheet(clips, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    turquoise = np.abs(sheet - painting.TRUTH).max(2) < 40
    assert not turquoise[:, : sheet.shape[1] // 2].any()
    assert turquoise[:, sheet.shape[1] // 2 :].sum() > 100
    with pytest.raises(HearsightError, match="no clip"):
        painting.save_sheet([], tmp_path / "none.png")


@pytest.mark.parametrize("side", [60, 150, 199, 224, 400])
def test_the_outline_of_a_mask_is_coloured_on_a_frame_of_any_size(
    tmp_path: Path, side: int
) -> None:
    mask = np.zeros((side, side), bool)
    mask[side // 4 : side // 2, side // 3 : 2 * side // 3] = True
    clip = DecodedClip(
        id="one",
        frame=np.zeros((side, side, 3), np.uint8),
        sound=np.zeros(100, np.int16),
        label=None,
        boxes=None,
        mask=mask,
        source="",
        time=None,
    )
    painted = painting.contour(clip.frame, mask.astype(np.float32), colour=painting.TRUTH, least=2)
    around = 2 * (side // 2 - side // 4 + 2 * side // 3 - side // 3)
    green = painted[..., 1].astype(int)
    assert (green > 0.45 * painting.TRUTH[1]).sum() > 0.9 * around
    painting.save_sheet([clip], tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    coloured = (sheet[..., 1] > 90) & (sheet[..., 0] < 0.5 * sheet[..., 1])
    assert coloured.sum() > around


@pytest.mark.parametrize(
    ("ending", "longest"), [(".webp", 16383), (".jpg", 65500), (".JPEG", 65500)]
)
@pytest.mark.parametrize("upright", [True, False])
def test_a_picture_longer_than_its_format_can_hold_is_refused(
    tmp_path: Path, ending: str, longest: int, upright: bool
) -> None:
    path = tmp_path / f"long{ending}"
    for side in (longest + 1, longest):
        height, width = (side, 2) if upright else (2, side)
        pixels = np.zeros((height, width, 3), np.uint8)
        if side == longest:
            painting.save_picture(pixels, path)
            continue
        with pytest.raises(HearsightError, match=rf"{width} x {height} pixels: .* Name a \.png"):
            painting.save_picture(pixels, path)
        assert list(tmp_path.iterdir()) == []
    with Image.open(path) as written:
        assert written.size == (width, height)
