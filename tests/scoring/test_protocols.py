"""Protocols: the released evaluators' numbers, and their rules on known answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_numbers import array, read_numbers, vggss_boxes
from torch.nn.functional import interpolate

from hearsight.clips.truth import PIXELS, SIDE, covers_nothing, is_corrupt, rasterise
from hearsight.errors import HearsightError
from hearsight.scoring.box_scores import (
    ObjectMaps,
    blind_scores,
    confidences,
    make_table,
    mix_object_map,
    score_maps,
    score_one_map,
)
from hearsight.scoring.metrics import area_under_curve, success_rate
from hearsight.scoring.protocols import (
    HALF,
    PROTOCOLS,
    Protocol,
    adaptive_rank,
    load_protocol,
    mark,
    normalise,
    upsample,
    upsampling_matrix,
)

SSL_TIE, LVS, EZ_VSL, ADAPTIVE = map(load_protocol, ("ssl-tie", "lvs", "ez-vsl", "adaptive"))
SLAVC, RELATIVE, SSPL, HTF = map(load_protocol, ("slavc", "slavc-relative", "sspl", "htf"))


def random_maps(seed: int, count: int, side: int = 14) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, side, side)).astype(np.float32)


def random_boxes(seed: int, count: int) -> list[tuple[tuple[float, float, float, float], ...]]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        corners = np.sort(generator.random((generator.integers(1, 4), 2, 2)), axis=1)
        found.append(tuple(map(tuple, corners.reshape(-1, 4).tolist())))
    return found


def boxes_of(lists: list[list[float]]) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in lists)


def smooth_map(seed: int, box: list[float]) -> np.ndarray:
    """A 14 x 14 map of slow waves; those of odd seeds are highest in the middle of the box."""
    place = (np.arange(14) + 0.5) / 14
    waves = np.stack([np.cos(np.pi * u * place) for u in range(4)])
    found = np.einsum(
        "uv,uy,vx->yx", np.random.RandomState(seed).standard_normal((4, 4)), *2 * [waves]
    )
    if seed % 2:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        found += 4 * np.exp(-((place - x) ** 2 + (place[:, None] - y) ** 2) / (2 * 0.2**2))
    return found.astype(np.float32)


def test_the_released_ssl_tie_numbers() -> None:
    known = read_numbers("ssl_tie_evaluator")
    truths = [rasterise(boxes_of(one), SSL_TIE.truth) for one in known["boxes"]]
    assert [truth.weight for truth in truths] == known["gt_px"]
    maps = np.stack([smooth_map(seed, one[0]) for seed, one in enumerate(known["boxes"])])
    scores = score_maps(maps, truths, SSL_TIE)
    assert np.abs(scores.ciou - array(known["ciou"])).max() <= 5e-5
    assert success_rate(scores.ciou) == known["mean_ciou_at_05"]
    assert area_under_curve(scores.ciou) == pytest.approx(known["auc"], abs=1e-6)


def test_blind_rows_and_ceiling_of_vgg_ss() -> None:
    boxes = list(vggss_boxes())
    nothing = score_maps(np.zeros((1, 2, 2), np.float32), [rasterise((), "union")], LVS)
    _, blind, ceiling = make_table("", nothing, blind_scores(boxes, LVS), LVS)
    found = {row.name: (row.success_rate, row.auc) for row in blind}
    assert found["blind: centred disc"] == pytest.approx((0.340, 0.374), abs=6e-4)
    assert found["blind: whole image"] == pytest.approx((0.2195, 0.3125), abs=5e-5)
    assert found["blind: mean truth"] == pytest.approx((0.345, 0.378), abs=6e-4)
    assert (ceiling.success_rate, ceiling.auc) == pytest.approx((0.505, 0.495), abs=5e-4)
    assert {row.ceiling for row in blind} == {ceiling.success_rate}


def test_corrupt_boxes_of_vgg_ss() -> None:
    boxes = [box for own in vggss_boxes() for box in own]
    assert sum(map(is_corrupt, boxes)) == 12
    assert sum(map(covers_nothing, boxes)) == 18
    empty = 0
    for own in vggss_boxes():
        pixels = {rasterise(own, kind).pixels for kind in ("union", "unclamped union")}
        assert len(pixels) == 1  # in the published boxes the two readings agree
        empty += pixels == {0}
    assert empty == 2


def test_truth_of_boxes() -> None:
    truth = rasterise(((0.0, 0.0, 0.5, 1.0), (0.25, 0.0, 0.75, 0.5)), "union")
    assert truth.pixels == truth.weight == 112 * 224 + 56 * 112
    assert truth.full is None
    assert not truth.inside[112:, 112:].any()
    assert rasterise(((0.5, 0.0, 0.504, 1.0),), "union").pixels == 0  # 112 to int(112.896)
    assert rasterise((), "union").pixels == 0


def test_negative_edges_count_from_the_far_side_in_ssl_tie_only() -> None:
    box = (0.25, 0.0, -0.25, 1.0)
    assert rasterise((box,), "union").pixels == 0
    wrapped = rasterise((box,), "unclamped union")
    assert wrapped.pixels == 112 * 224  # columns 56 to 224 - 56
    assert wrapped.inside[0, 56:168].all()
    for value in (-2.88230376e16, -1e300):
        assert rasterise(((0.1, 0.1, value, 0.9),), "unclamped union").pixels == 0
    assert rasterise(((0.0, 0.0, 1e300, 7.0),), "unclamped union").pixels == PIXELS
    assert rasterise(((-1e300, -5.0, 1.0, 1.0),), "union").pixels == PIXELS


def test_each_annotator_of_flickr_gives_half() -> None:
    left, right = (0.0, 0.0, 0.75, 1.0), (0.25, 0.0, 1.0, 1.0)
    alone = rasterise((left,), "consensus")
    assert (alone.pixels, alone.weight) == (168 * 224, 84 * 224)
    both = rasterise((left, right), "consensus")
    assert (both.pixels, both.weight) == (PIXELS, 168 * 224)
    weights = both.weights()
    assert (weights[0, 0], weights[0, 112], weights[0, 223]) == (0.5, 1, 0.5)
    assert rasterise((left,) * 300, "consensus").weight == 168 * 224


def test_flickr_pixels_are_those_of_its_256_pixel_annotations() -> None:
    for value in range(-20, 300):
        assert int(224 * value / 256) == int(SIDE * (value / 256))


WAYS = {
    "linear": {"mode": "bilinear", "align_corners": False},
    "linear corners": {"mode": "bilinear", "align_corners": True},
    "cubic": {"mode": "bicubic", "align_corners": False},
    "cubic corners": {"mode": "bicubic", "align_corners": True},
}
TAU = 0.03  # SLAVC's maps are cosines over it


def stretched(one: np.ndarray, kind: str) -> np.ndarray:
    return interpolate(torch.from_numpy(one)[None, None], (SIDE, SIDE), **WAYS[kind])[0, 0].numpy()


def minmax(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.min()) / (values.max() - values.min()))


def released(one: np.ndarray, weights: np.ndarray, protocol: Protocol, adaptive: bool) -> float:
    """One sample as the released loops score it, with their interpolation by torch."""
    if protocol.scale == "cosine":
        values = (stretched(one / np.float32(TAU), protocol.upsampling) + 1 / TAU) / (2 / TAU)
    else:
        values = stretched(one, protocol.upsampling)
        values = 1 - minmax(-values) if protocol.reverse else minmax(values)
    return overlap_of(values, weights, protocol, adaptive)


def overlap_of(
    values: np.ndarray, weights: np.ndarray, protocol: Protocol, adaptive: bool
) -> float:
    place = HALF
    if adaptive:
        count = int((weights != 0).sum())
        place = PIXELS - (count or HALF)
    threshold = np.sort(values.flatten())[place]
    if not adaptive and protocol.name.partition(":")[0] in ("slavc", "sspl"):
        threshold = np.float32(0.5)
    inclusive = protocol.inclusive and not adaptive
    marks = np.where(values >= threshold if inclusive else values > threshold, 1.0, 0.0)
    joined = np.sum(weights) + np.sum(marks * (weights == 0))
    return float(np.sum(marks * weights) / joined)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("side", [7, 14])
def test_scores_are_those_of_a_loop_over_samples(protocol: Protocol, side: int) -> None:
    maps = random_maps(side, 4, side)
    truths = [rasterise(boxes, protocol.truth) for boxes in random_boxes(side, 4)]
    scores = score_maps(maps, truths, protocol)
    for i, truth in enumerate(truths):
        for found, adaptive in ((scores.ciou, False), (scores.adaptive, True)):
            wanted = released(maps[i], truth.weights(), protocol, adaptive)
            assert found[i] == pytest.approx(wanted, abs=5e-5 if truth.pixels > 9000 else 2e-4)


def opencv_cubic(row: np.ndarray) -> list[float]:
    """INTER_CUBIC of one row, pixel by pixel: Keys' kernel with a = -0.75, edges repeated."""

    def weight(distance: float, a: float = -0.75) -> float:
        x = abs(distance)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    grown = []
    for pixel in range(SIDE):
        place = (pixel + 0.5) * len(row) / SIDE - 0.5
        cells = range(int(np.floor(place)) - 1, int(np.floor(place)) + 3)
        inside = [min(max(cell, 0), len(row) - 1) for cell in cells]
        pairs = zip(cells, inside, strict=True)
        grown.append(float(sum(weight(place - cell) * row[near] for cell, near in pairs)))
    return grown


def opencv_linear(row: np.ndarray) -> list[float]:
    """INTER_LINEAR of one row, pixel by pixel, as OpenCV documents it."""
    grown = []
    for pixel in range(SIDE):
        place = (pixel + 0.5) * len(row) / SIDE - 0.5
        left = int(np.floor(place))
        share = np.float32(place - left)
        if left < 0:
            left, share = 0, np.float32(0)
        if left >= len(row) - 1:
            left, share = len(row) - 1, np.float32(0)
        right = min(left + 1, len(row) - 1)
        grown.append(row[left] * (1 - share) + row[right] * share)
    return grown


@pytest.mark.parametrize("length", [1, 2, 7, 12, 14, 28, 224, 300])
def test_upsampling_is_that_of_the_libraries(length: int) -> None:
    row = random_maps(3, 1, length)[0, 0]
    assert np.allclose(upsampling_matrix(length, "linear") @ row, opencv_linear(row), atol=2e-6)
    if length <= SIDE:  # Hear the Flow stretches 7 cells
        assert np.allclose(upsampling_matrix(length, "cubic") @ row, opencv_cubic(row), atol=1e-5)
    grid = torch.from_numpy(row).expand(1, 1, length, length)
    for kind, mode, corners in (
        ("linear", "bilinear", False),
        ("linear corners", "bilinear", True),
        ("cubic", "bicubic", False),
        ("cubic corners", "bicubic", True),
    ):
        wanted = interpolate(grid, (SIDE, SIDE), mode=mode, align_corners=corners)[0, 0, 0]
        assert np.allclose(upsampling_matrix(length, kind) @ row, wanted, atol=1e-4)
        assert np.allclose(upsampling_matrix(length, kind).sum(1), 1, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(PROTOCOLS))
def test_scores_do_not_know_left_from_right(seed: int, protocol: Protocol) -> None:
    maps, box = random_maps(seed, 1), (0.125, 0.25, 0.5, 0.75)
    mirrored = rasterise(((0.5, 0.25, 0.875, 0.75),), protocol.truth)
    plain = score_maps(maps, [rasterise((box,), protocol.truth)], protocol)
    turned = score_maps(maps[:, :, ::-1].copy(), [mirrored], protocol)
    # upsampled values may differ in the last digit, and with them a pixel at the threshold
    assert plain.ciou == pytest.approx(turned.ciou, abs=2e-4)
    assert plain.adaptive == pytest.approx(turned.adaptive, abs=2e-4)
    assert plain.pointing == turned.pointing


def canvas(boxes: tuple[tuple[float, float, float, float], ...]) -> np.ndarray:
    """A map of the canvas's size that is highest inside the boxes, no two pixels alike."""
    slope = np.arange(PIXELS, dtype=np.float32).reshape(1, SIDE, SIDE) / PIXELS
    return np.asarray(rasterise(boxes, "union").inside + slope, np.float32)


def test_a_map_equal_to_its_truth_or_opposite() -> None:
    boxes = ((0.25, 0.25, 0.75, 0.75),)
    truth = rasterise(boxes, "union")
    n = truth.pixels
    right = score_maps(canvas(boxes), [truth], LVS)
    assert right.ciou == [n / (HALF - 1)]
    assert right.adaptive == [(n - 1) / n]
    assert right.pointing == [1]
    wrong = score_maps(-canvas(boxes), [truth], LVS)
    assert (wrong.ciou, wrong.adaptive, wrong.pointing) == ([0], [0], [0])
    assert score_maps(canvas(boxes), [truth], EZ_VSL).ciou == [n / HALF]


def test_a_truth_of_one_pixel() -> None:
    truth = rasterise(((0.5, 0.5, 0.505, 0.505),), "union")
    assert truth.pixels == 1
    one = np.zeros((1, SIDE, SIDE), np.float32)
    one[0, 112, 112] = 1
    found = score_maps(one, [truth], ADAPTIVE)
    assert found.adaptive == [0]  # no pixel stands above the highest
    assert found.pointing == [1]
    # half of the map ties at 0: the median is 0 and only the peak is above it
    assert found.ciou == [1]
    assert score_maps(one, [truth], EZ_VSL).ciou == [1 / PIXELS]


def test_an_empty_truth_scores_0() -> None:
    for protocol in PROTOCOLS:
        found = score_maps(random_maps(0, 1), [rasterise((), protocol.truth)], protocol)
        assert (found.ciou, found.adaptive, found.pointing) == ([0], [0], [0])
    assert adaptive_rank(rasterise((), "union")) == HALF


@pytest.mark.parametrize(
    ("protocol", "value", "ciou"),
    [
        (SSL_TIE, 0.5, 0.25),  # 1 + 0.5 is saturated: everything is marked
        (SSL_TIE, 0.0, 0.25),
        (SSL_TIE, -0.5, 0.0),  # 1 - 0.5 is not above itself
        (ADAPTIVE, 0.5, 0.0),
        (EZ_VSL, 0.5, 0.25),
        (EZ_VSL, -0.5, 0.25),
        (SLAVC, 0.0, 0.25),  # cosines from 0 on
        (SLAVC, -0.01, 0.0),
        (SSPL, 0.9, 0.0),  # 0 / 0 in the released code: nothing is marked
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_constant_map(protocol: Protocol, value: float, ciou: float) -> None:
    truth = rasterise(((0.0, 0.0, 0.5, 0.5),), "union")
    maps = np.full((1, 14, 14), value, np.float32)
    assert score_maps(maps, [truth], protocol).ciou == [ciou]


def test_hear_the_flow_marks_saturated_pixels_of_a_constant_map() -> None:
    flat = np.full((SIDE, SIDE), 1, np.float32)
    normalise(flat, HTF)
    assert mark(flat, flat[0, 0], HTF).all()
    assert not mark(flat - 0.1, np.float32(0.9), HTF).any()


def test_ties_at_the_threshold() -> None:
    half = np.zeros((1, SIDE, SIDE), np.float32)
    half[0, :140] = 1  # more than half of the canvas is highest: the threshold is 1
    truth = rasterise(((0.0, 0.0, 1.0, 1.0),), "union")
    share = 140 / 224
    assert score_maps(half, [truth], SSL_TIE).ciou == [share]  # saturated pixels stay marked
    assert score_maps(half, [truth], replace(LVS, saturated=False)).ciou == [0]
    assert score_maps(half, [truth], EZ_VSL).ciou == [share]
    assert score_maps(1 - half, [truth], LVS).ciou == [1 - share]
    assert score_maps(1 - half, [truth], EZ_VSL).ciou == [1]


def test_one_map_for_all_truths_is_scored_like_each_alone() -> None:
    for protocol in PROTOCOLS:
        truths = [rasterise(boxes, protocol.truth) for boxes in (*random_boxes(1, 2), ())]
        one = random_maps(9, 1, SIDE)[0]
        fast = score_one_map(one, truths, protocol)
        slow = score_maps(np.repeat(one[None], 3, axis=0), truths, protocol)
        for name in ("ciou", "adaptive", "pointing"):
            assert np.array_equal(getattr(fast, name), getattr(slow, name))


def test_the_blind_disc_marks_as_many_pixels_as_allowed() -> None:
    boxes = [((0.25, 0.25, 0.75, 0.75),)] * 2
    nothing = score_maps(np.zeros((2, 2, 2), np.float32), [rasterise(boxes[0], "union")] * 2, LVS)
    model, (disc, whole, mean), ceiling = make_table(
        "mine", nothing, blind_scores(boxes, ADAPTIVE), ADAPTIVE
    )
    assert model.name == "mine"
    assert model.protocol == "adaptive"
    assert disc.success_rate == 1
    assert disc.adaptive_auc == pytest.approx(0.825, abs=0.03)
    assert whole.pointing == whole.adaptive_auc - 0.025 == pytest.approx(0.25)
    assert mean.adaptive_auc <= ceiling.auc
    assert (ceiling.success_rate, disc.ceiling, ceiling.pointing) == (1, 1, 1)


def test_maps_that_are_not_numbers_are_refused() -> None:
    maps = random_maps(0, 2)
    maps[1, 3, 3] = np.nan
    truths = [rasterise(boxes, "union") for boxes in random_boxes(0, 2)]
    with pytest.raises(ValueError, match="finite"):
        score_maps(maps, truths, LVS)
    with pytest.raises(ValueError, match="shorter"):
        score_maps(random_maps(0, 3), truths, LVS)


def test_normalised_maps_lie_between_0_and_1() -> None:
    for protocol in (LVS, EZ_VSL):
        values = 5 * random_maps(4, 1, SIDE)[0] - 2
        order = np.argsort(values, axis=None)
        normalise(values, protocol)
        assert (values.min(), values.max()) == (0, 1)
        assert (np.diff(values.reshape(-1)[order]) >= 0).all()
        assert mark(values, np.sort(values, axis=None)[HALF], protocol).sum() == protocol.marked


def test_protocols_by_name() -> None:
    assert len({protocol.name for protocol in PROTOCOLS}) == len(PROTOCOLS)
    assert load_protocol("lvs:flickr") == replace(
        LVS, name="lvs:flickr", source=f"{LVS.source}, each box half", truth="consensus"
    )
    with pytest.raises(HearsightError, match=r"'ssltie'.*Did you mean 'ssl-tie'"):
        load_protocol("ssltie")


def test_a_map_of_the_canvas_s_size_is_left_as_it_is() -> None:
    one = random_maps(0, 1, SIDE)[0]
    for kind in WAYS:
        assert np.array_equal(upsampling_matrix(SIDE, kind), np.eye(SIDE))
        assert np.array_equal(upsample(one, kind), one)
        assert upsample(one, kind) is not one


def test_boxes_that_were_whole_pixels_stay_so() -> None:
    for edge in range(1, SIDE + 1):
        box = (0.0, 0.0, edge / SIDE, 1.0)
        assert rasterise((box,), "pixels").pixels == edge * SIDE
    assert rasterise(((0.0, 0.0, 61 / SIDE, 1.0),), "union").pixels == 60 * SIDE
    assert rasterise(((-0.5, 0.0, 0.25, 0.999),), "pixels").pixels == 56 * 223


@pytest.mark.parametrize("name", ["slavc", "sspl"])
def test_a_fixed_threshold_marks_what_reaches_it(name: str) -> None:
    protocol = load_protocol(name)
    truth = rasterise(((0.0, 0.0, 0.25, 1.0),), protocol.truth)
    one = np.full((1, SIDE, SIDE), -0.75, np.float32)
    one[0, :, :56] = 0.0 if name == "slavc" else 0.25
    one[0, 100, 100] = 1.0 if name == "slavc" else 0.75
    # a minimum of -0.75 and a maximum of 0.75 or 1 put half of the range at 0, or at 0.125
    wanted = 56 * SIDE / (56 * SIDE + 1)
    assert score_maps(one, [truth], protocol).ciou == pytest.approx([wanted])
    _, blind, ceiling = make_table(
        "", score_maps(one, [truth], protocol), blind_scores([()], protocol), protocol
    )
    assert ceiling.success_rate == 0
    boxes = [((0.0, 0.0, 0.25, 1.0),), ((0.0, 0.0, 1.0, 1.0),)]
    found = score_maps(np.zeros((2, 2, 2), np.float32), map_truths(boxes, protocol), protocol)
    _, blind, ceiling = make_table("", found, blind_scores(boxes, protocol), protocol)
    assert (ceiling.success_rate, ceiling.auc) == pytest.approx((1, 1), abs=0.02)
    assert blind[0].success_rate == 0.5  # half of the frame lies in the whole one


def map_truths(boxes: list, protocol: Protocol) -> list:
    return [rasterise(one, protocol.truth) for one in boxes]


def test_slavc_s_confidence_is_the_mean_of_the_highest_quarter() -> None:
    maps = random_maps(2, 3, 7) / 4
    for protocol in (SLAVC, RELATIVE):
        for one, found in zip(maps, confidences(maps, protocol), strict=True):
            values = (stretched(one / np.float32(TAU), "cubic corners") + 1 / TAU) / (2 / TAU)
            highest = np.sort(values.flatten())[-(PIXELS // 4) :]
            assert found == pytest.approx(highest.mean(), abs=1e-5)
    assert confidences(np.full((1, 7, 7), -1, np.float32), SLAVC) == pytest.approx([0], abs=1e-6)


def mixed(one: np.ndarray, objects: np.ndarray, share: float, protocol: Protocol) -> np.ndarray:
    """A response map and an object map as the released loops mix them."""
    family = protocol.name.partition(":")[0]
    seen = stretched(objects, protocol.objects)
    if family.startswith("slavc"):
        heard = (stretched(one / np.float32(TAU), "cubic corners") + 1 / TAU) / (2 / TAU)
        both = heard * share + seen / 2.5 * (1 - share)
        return minmax(both) if family == "slavc-relative" else np.asarray(both)
    heard = stretched(one, protocol.upsampling)
    if protocol.reverse:
        heard, seen = 1 - minmax(-heard), 1 - minmax(-seen)
    else:
        heard, seen = minmax(heard), minmax(seen)
    return minmax(heard * share + seen * (1 - share))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_an_object_map_is_mixed_as_released(protocol: Protocol) -> None:
    maps, objects = random_maps(1, 2, 7) / 4, np.abs(random_maps(5, 2, 7))
    share = 0.9 if protocol.name.startswith("slavc") else 0.4
    assert protocol.share == share
    truths = map_truths(random_boxes(3, 2), protocol)
    found = score_maps(maps, truths, protocol, ObjectMaps(maps=objects, share=share))
    for i, truth in enumerate(truths):
        both = mixed(maps[i], objects[i], share, protocol)
        values = stretched(maps[i], protocol.upsampling)
        mix_object_map(values, objects[i], share, protocol)
        assert np.allclose(values, both, atol=2e-5)
        for scores, adaptive in ((found.ciou, False), (found.adaptive, True)):
            wanted = overlap_of(both, truth.weights(), protocol, adaptive)
            assert scores[i] == pytest.approx(wanted, abs=3e-4)


def test_the_whole_share_leaves_the_response_and_none_leaves_the_objects() -> None:
    maps, objects = random_maps(1, 2), np.abs(random_maps(5, 2, 7))
    truths = map_truths(random_boxes(3, 2), EZ_VSL)
    alone = score_maps(maps, truths, EZ_VSL, ObjectMaps(maps=objects, share=1.0))
    assert np.allclose(alone.ciou, score_maps(maps, truths, EZ_VSL).ciou, atol=1e-4)
    seen = score_maps(maps, truths, EZ_VSL, ObjectMaps(maps=objects, share=0.0))
    assert np.allclose(seen.ciou, score_maps(objects, truths, EZ_VSL).ciou, atol=1e-4)
