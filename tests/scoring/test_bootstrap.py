"""Intervals and tests over clips: scores computed anew are those of the drawn clips."""

from itertools import product

import numpy as np
import pytest
from made_evaluations import results_of_every_kind
from scipy import stats  # type: ignore[import-untyped]

from hearsight.scoring.bootstrap import (
    Sample,
    add_intervals,
    as_arrays,
    compare_rows,
    correct_rows,
    draw_counts,
    holm,
    interval,
    measure,
    measured_columns,
    resample,
    swapped_p,
)
from hearsight.scoring.detection import (
    Detections,
    average_precision,
    detection_records,
    detection_row,
    highest_f1,
    released_average_precision,
)
from hearsight.scoring.results import Results

RNG = np.random.default_rng(3)


def sample(name: str, **records: object) -> Sample:
    """A row whose scores are those of its records."""
    arrays = as_arrays(records)  # type: ignore[arg-type]
    count = len(next(iter(arrays.values())))
    row = {name: float(np.nanmean(values)) for name, values in arrays.items()}
    units = tuple(map(str, range(count)))
    return Sample(row={"name": name, **row}, units=units, records=(records,))  # type: ignore[arg-type]


# Every protocol: computed from its records, a row is what it was


@pytest.fixture(scope="module")
def results() -> dict[str, Results]:
    return results_of_every_kind()


def test_a_row_is_what_its_records_say(results: dict[str, Results]) -> None:
    for protocol, found in results.items():
        whole = np.ones((1, len(found.units)))
        unknown = {row["name"] for row in found.rows} - {*found.records}
        ideal = protocol in ("masks", "avsbench-official", "ref-avs")  # there it is 1
        assert unknown == ({"ceiling"} if ideal else set())
        for row in found.rows:
            records = found.records.get(row["name"], {})
            columns = measured_columns(row, records)
            scores = [name for name, value in row.items() if isinstance(value, float)]
            scores = [name for name in scores if name != "mAP"]  # of pooled pixels
            if records:
                assert columns == scores, (protocol, row["name"])
            for name, values in measure(as_arrays(records), columns, whole).items():
                assert values[0] == pytest.approx(row[name], abs=2e-5), (protocol, name)


def test_a_draw_of_every_clip_twice_changes_no_mean(results: dict[str, Results]) -> None:
    for found in results.values():
        row = found.own_rows()[0]
        records = found.records[row["name"]]
        arrays = as_arrays(records)
        columns = [one for one in measured_columns(row, records) if one in records]
        once, twice = np.ones((1, len(found.units))), np.full((1, len(found.units)), 2.0)
        for name, values in measure(arrays, columns, twice).items():
            assert values == pytest.approx(measure(arrays, columns, once)[name])


@pytest.mark.parametrize("levels", [3, 1000])
def test_detections_of_a_draw_are_those_of_its_clips(levels: int) -> None:
    """With and without ties, against the functions that score one set of clips."""
    n = 60
    found = Detections(
        sounding=RNG.random(n) < 0.6,
        ciou=RNG.random(n),
        confidence=RNG.integers(levels, size=n) / levels,
    )
    sizes = RNG.random(n) * 40_000
    records = as_arrays(detection_records(found, sizes))
    counts = np.concatenate(list(draw_counts(n, 20, seed=1)))
    row = detection_row("", "", found, sizes)
    columns = [name for name, value in row.items() if isinstance(value, float)]
    assert len(columns) == 11
    values = measure(records, columns, counts)
    for i, drawn in enumerate(counts):
        which = np.repeat(np.arange(n), drawn.astype(int))
        chosen = Detections(
            sounding=found.sounding[which],
            ciou=found.ciou[which],
            confidence=found.confidence[which],
        )
        expected = detection_row("", "", chosen, sizes[which])
        for name in columns:
            told = np.nan if expected[name] is None else expected[name]
            assert values[name][i] == pytest.approx(told, abs=2e-5, nan_ok=True), name
    assert {average_precision(found), highest_f1(found), released_average_precision(found)}


# Intervals


def test_the_interval_is_scipys() -> None:
    values = RNG.normal(0.4, 0.2, 80)
    (row,) = add_intervals([sample("m", score=values.tolist())], draws=9999)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    assert row["score low"] == pytest.approx(expected.low, abs=3e-3)
    assert row["score high"] == pytest.approx(expected.high, abs=3e-3)
    assert row["score low"] < row["score"] < row["score high"]


def test_nineteen_intervals_of_twenty_hold_the_truth() -> None:
    covered = 0
    for trial in range(120):
        values = np.random.default_rng(trial).random(60) < 0.3
        (row,) = add_intervals([sample("m", score=values.tolist())], draws=400)
        covered += row["score low"] <= 0.3 <= row["score high"]
    assert 0.90 <= covered / 120 <= 0.98


def test_draws_are_with_replacement_and_the_same_for_the_same_seed() -> None:
    counts = np.concatenate(list(draw_counts(7, 3000, seed=5)))
    assert counts.shape == (3000, 7)
    assert set(counts.sum(1)) == {7.0}
    assert counts.mean(0) == pytest.approx(1, abs=0.05)
    assert counts.var(0) == pytest.approx(6 / 7, abs=0.1)
    assert np.array_equal(counts, np.concatenate(list(draw_counts(7, 3000, seed=5))))


def test_what_does_not_count_is_left_out_of_a_mean_and_members_stay_together() -> None:
    one = sample("m", score=[[1.0, 0.0], [1.0, None], [None, None]])
    assert one.row["score"] == pytest.approx(2 / 3)
    counts = np.array([[1.0, 1, 1], [2, 1, 0], [0, 0, 3]])
    found = measure(as_arrays(one.records[0]), ["score"], counts)["score"]
    assert found[:2] == pytest.approx([2 / 3, 3 / 5])
    assert np.isnan(found[2])
    assert interval(found) == pytest.approx((0.6 + 0.025 / 15, 2 / 3 - 0.025 / 15))
    assert interval(found[2:]) == (None, None)


def test_a_row_without_records_or_of_one_clip_has_no_interval() -> None:
    bare = Sample(row={"name": "m", "score": 0.5}, units=(), records=())
    assert add_intervals([bare]) == [bare.row]
    single = sample("m", score=[0.5])
    assert add_intervals([single]) == [single.row]
    assert compare_rows(bare, single) is None
    assert compare_rows(single, single) is None
    assert compare_rows(sample("a", score=[0.1, 0.2]), sample("b", score=[0.1, 0.2, 0.3])) is None


def test_seeds_are_averaged_in_every_draw() -> None:
    first, second = RNG.random(9).tolist(), RNG.random(9).tolist()
    apart = [sample("m", score=each) for each in (first, second)]
    both = Sample(
        row={"name": "m", "score": float(np.mean([first, second]))},
        units=apart[0].units,
        records=({"score": first}, {"score": second}),
    )
    a, b, mean = (resample([one], draws=50, seed=2)[0]["score"] for one in (*apart, both))
    assert mean == pytest.approx((a + b) / 2)


# The paired test


def test_a_row_without_seeds_is_compared_with_the_mean_over_seeds() -> None:
    blind = sample("blind", score=(RNG.random(40) / 2).tolist())
    seeds = [RNG.random(40) + 0.2 for _ in range(2)]
    own = Sample(
        row={"name": "own", "score": float(np.mean(seeds))},
        units=blind.units,
        records=tuple({"score": each.tolist()} for each in seeds),
    )
    row = compare_rows(blind, own)
    assert row is not None
    assert row["difference score"] == pytest.approx(own.row["score"] - blind.row["score"], abs=1e-5)
    assert row["difference score low"] > 0
    assert row["p score"] == pytest.approx(1 / 1001, abs=1e-5)
    alone = compare_rows(blind, sample("own", score=np.mean(seeds, axis=0).tolist()))
    assert alone is not None
    assert {name: row[name] for name in row if "p " not in name} == pytest.approx(
        {name: alone[name] for name in alone if "p " not in name}
    )


def test_p_is_that_of_all_exchanges() -> None:
    first, second = RNG.random(9), RNG.random(9) + 0.15
    gaps = second - first
    every = [abs(np.mean(gaps * signs)) for signs in product((1, -1), repeat=9)]
    exact = np.mean(np.array(every) >= abs(gaps.mean()) - 1e-12)
    found = swapped_p(
        sample("a", score=first.tolist()), sample("b", score=second.tolist()), draws=20_000, seed=1
    )
    assert found["score"] == pytest.approx(exact, abs=0.01)
    assert exact == pytest.approx(
        stats.permutation_test(
            (first, second), lambda a, b: np.mean(a - b), permutation_type="samples"
        ).pvalue
    )


def test_rows_that_do_not_differ_are_rarely_told_apart() -> None:
    called = 0
    for trial in range(120):
        rng = np.random.default_rng(trial)
        easy = rng.random(40)
        a, b = ((easy + rng.normal(0, 0.2, 40)).tolist() for _ in range(2))
        p = swapped_p(sample("a", score=a), sample("b", score=b), draws=199, seed=trial)["score"]
        called += p <= 0.05
    assert called / 120 <= 0.09


def test_a_difference_on_the_same_clips_is_seen_though_intervals_overlap() -> None:
    hard = RNG.random(200)
    first = sample("a", score=hard.tolist())
    second = sample("b", score=(hard + 0.03 + RNG.normal(0, 0.02, 200)).tolist())
    one, two = add_intervals([first, second])
    assert one["score high"] > two["score low"]
    row = compare_rows(first, second)
    assert row is not None
    assert (row["name"], row["against"]) == ("b", "a")
    assert row["difference score"] == pytest.approx(0.03, abs=0.005)
    assert 0 < row["difference score low"] < row["difference score"] < row["difference score high"]
    assert row["p score"] == pytest.approx(1 / 1001, abs=1e-5)
    back = compare_rows(second, first)
    assert back is not None
    assert back["difference score low"] == pytest.approx(-row["difference score high"])
    same = compare_rows(first, first)
    assert same is not None
    assert (same["difference score"], same["p score"]) == (0, 1)


def test_equal_scores_of_detections_have_p_1_and_better_ones_a_small_p() -> None:
    n = 80
    sounding, sizes = np.arange(n) < 40, np.full(n, 5000.0)
    good = Detections(sounding=sounding, ciou=np.full(n, 0.9), confidence=1.0 * sounding)
    poor = Detections(sounding=sounding, ciou=np.full(n, 0.9), confidence=RNG.random(n))
    samples = [
        Sample(
            row=detection_row(name, "", one, sizes),
            units=tuple(map(str, range(n))),
            records=(detection_records(one, sizes),),
        )
        for name, one in (("good", good), ("poor", poor))
    ]
    row = compare_rows(samples[1], samples[0], draws=300)
    assert row is not None
    assert row["p AP full"] < 0.01
    assert row["difference AP full low"] > 0
    assert row["p LocAcc"] == 1


# Many pairs


def test_holm_is_the_loop_of_its_definition() -> None:
    def by_loop(chances: list[float]) -> list[float]:
        """The smallest level at which each is still rejected, when the smallest are tried first."""
        return [
            max(
                min(1.0, (len(chances) - rank) * other)
                for rank, other in enumerate(sorted(chances))
                if other <= own
            )
            for own in chances
        ]

    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    generator = np.random.default_rng(0)
    for count in (2, 5, 20):
        chances = [*generator.random(count), 0.5]
        assert holm(chances) == pytest.approx(by_loop(chances))


def test_of_twenty_pairs_without_a_difference_a_table_seldom_has_a_small_p() -> None:
    tables = np.random.default_rng(1).random((400, 20))  # p of what does not differ
    assert np.mean([min(holm([*one])) < 0.05 for one in tables]) == pytest.approx(0.05, abs=0.025)
    assert np.mean(tables.min(axis=1) < 0.05) > 0.5


def test_each_score_is_corrected_over_the_rows_that_have_it() -> None:
    rows = correct_rows(
        [{"name": "a", "p x": 0.01, "p y": 0.2}, {"name": "b", "p x": 0.03}, {"name": "c"}]
    )
    assert [one.get("Holm x") for one in rows] == [0.02, 0.03, None]
    assert list(rows[0]) == ["name", "p x", "Holm x", "p y", "Holm y"]
    assert rows[0]["Holm y"] == 0.2
    assert rows[2] == {"name": "c"}
