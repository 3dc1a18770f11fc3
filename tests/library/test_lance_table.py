"""The table of a library: search against the definition, writing, damage, locks."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from threading import Barrier, Thread
from threading import enumerate as enumerate_threads
from time import sleep
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hearsight.errors import HearsightError
from hearsight.library import lance_calls, lance_table
from hearsight.library.lance_calls import run
from hearsight.library.lance_table import (
    FORMAT,
    MODALITIES,
    LibraryInfo,
    Modality,
    MomentFilter,
    MomentTable,
    sole_writer,
)
from hearsight.library.library import Library, Query, ShownMoment

CHANNELS = 32


def info(**changes: object) -> LibraryInfo:
    facts = {
        "model": "ssl_tie:small",
        "recipe": "ssl_tie:small",
        "fingerprint": "0" * 32,
        "channels": CHANNELS,
        "every": 3.0,
        "seconds": 3.0,
    }
    return LibraryInfo(**(facts | changes))


def units(count: int, seed: int = 0, groups: int | None = None) -> np.ndarray:
    """Vectors of length 1, around so many random centres, if given."""
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, CHANNELS))
    if groups is not None:
        centres = np.random.default_rng(1).normal(size=(groups, CHANNELS))
        vectors = centres[generator.integers(groups, size=count)] + 0.4 * vectors
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rows(table: MomentTable, file: str, sounds: np.ndarray, images: np.ndarray) -> pa.RecordBatch:
    count = len(sounds)
    values = {
        "file": [file] * count,
        "size": [7] * count,
        "modified": [1] * count,
        "digest": ["d"] * count,
        "kind": ["video"] * count,
        "number": list(range(count)),
        "time": [3.0 * number for number in range(count)],
        "level": [-20.0] * count,
        "sound": list(sounds),
        "image": list(images),
        "box": [None] * count,
        "heatmap": [None] * count,
        "confidence": [0.1] * count,
        "thumbnail": [b"jpeg"] * count,
    }
    return pa.RecordBatch.from_pydict(values, schema=table.schema)


def found(table: pa.Table) -> Sequence[tuple[str, float]]:
    return list(zip(table["file"].to_pylist(), table["time"].to_pylist(), strict=True))


@pytest.fixture
def table(tmp_path: Path) -> MomentTable:
    return MomentTable.create(str(tmp_path / "library"), info())


def test_a_table_keeps_what_its_rows_share(table: MomentTable) -> None:
    again = MomentTable.open(table.library)
    assert again is not None
    assert again.info == info()
    assert len(again) == 0
    assert MomentTable.open(table.library + "x") is None


def test_the_nearest_are_those_of_the_definition(table: MomentTable) -> None:
    sounds, images = units(300), units(300, seed=1)
    table.append([rows(table, f"/{i}", sounds[i::3], images[i::3]) for i in range(3)], [])
    for modality, vectors in zip(MODALITIES, (sounds, images), strict=True):
        query = units(1, seed=5)[0]
        cosines = vectors @ query
        best = np.argsort(-cosines)[:7]
        result = table.nearest(query, modality, 7)
        assert found(result) == [(f"/{i % 3}", 3.0 * (i // 3)) for i in best]
        assert result["score"].to_numpy() == pytest.approx(cosines[best], abs=1e-6)
    assert len(table.nearest(query, "sound", 1000)) == 300
    others = table.nearest(query, "sound", 1000, without=["/1"])
    assert len(others) == 200
    assert "/1" not in others["file"].to_pylist()


def test_only_files_and_times_that_are_asked_for_are_found(table: MomentTable) -> None:
    vectors = units(12)
    for number, file in enumerate(("/a/Sea.mp4", "/b/sea's 100%_x.wav", "/b/hill.mp4")):
        part = vectors[4 * number : 4 * number + 4]
        table.append([rows(table, file, part, part)], [])
    whole = set(found(table.nearest(vectors[0], "sound", 12)))
    for only, wanted in (
        (MomentFilter(), lambda file, time: True),
        (MomentFilter(name="SEA"), lambda file, time: "sea" in file.lower()),
        (MomentFilter(name="sea's 100%_"), lambda file, time: "100%" in file),
        (MomentFilter(name="%"), lambda file, time: "%" in file),
        (MomentFilter(start=1.0), lambda file, time: time >= 1.0),
        (MomentFilter(name="/b/", end=1.0), lambda file, time: "/b/" in file and time <= 1.0),
        (MomentFilter(name="nowhere"), lambda file, time: False),
    ):
        got = set(found(table.nearest(vectors[0], "sound", 12, only=only)))
        assert got == {one for one in whole if wanted(*one)}, only


def test_equal_scores_are_sorted_by_file_and_time(table: MomentTable) -> None:
    same = np.repeat(units(1), 4, axis=0)
    table.append([rows(table, "/b", same, same), rows(table, "/a", same, same)], [])
    times = [0.0, 3.0, 6.0, 9.0]
    expected = [(name, time) for name in ("/a", "/b") for time in times]
    assert found(table.nearest(same[0], "image", 8)) == expected


def test_files_with_any_name_are_replaced_and_removed(table: MomentTable) -> None:
    names = ["/it's", '/"quoted"', "/100%_\\", "/новый\nfile", "/plain"]
    vectors = units(2)
    table.append([rows(table, name, vectors, vectors) for name in names], [])
    assert sorted(table.files()) == sorted(names)
    assert table.files()["/it's"].size == 7
    table.append([rows(table, names[0], vectors[:1], vectors[:1])], [names[0]])
    assert len(table.moments(names[0], ["time"])) == 1
    for name in names:
        table.remove([name])
        assert name not in table.files()
    assert len(table) == 0


def test_a_failure_while_rows_come_leaves_the_table_as_it_was(table: MomentTable) -> None:
    vectors = units(2)
    table.append([rows(table, "/a", vectors, vectors)], [])

    def torn() -> object:
        yield rows(table, "/b", vectors, vectors)
        raise OSError("torn")

    with pytest.raises(HearsightError, match="cannot be written"):
        table.append(torn(), [])
    assert list(table.files()) == ["/a"]
    table.append([rows(table, "/b", vectors, vectors)], [])
    assert len(table) == 4


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[MomentTable, np.ndarray]:
    """12,000 moments around 300 centres, in the vector index."""
    table = MomentTable.create(str(tmp_path_factory.mktemp("large")), info())
    vectors = units(12_000, groups=300)
    for part in range(6):
        some = vectors[part::6]
        table.append([rows(table, f"/{part}", some, some[::-1])], [])
    assert not table.needs_vector_index(index_from=12_001)
    assert table.needs_vector_index(index_from=12_000)
    table.build_vector_index()
    return table, vectors


def test_the_vector_index_finds_nearly_all_that_an_exact_search_finds(
    large: tuple[MomentTable, np.ndarray],
) -> None:
    table, vectors = large
    queries = units(60, seed=9, groups=300)
    hits = 0
    for query in queries:
        exact = found(table.nearest(query, "sound", 10, exact=True))
        best = np.argsort(-(vectors @ query))[:10]
        assert {(f"/{i % 6}", 3.0 * (i // 6)) for i in best} == set(exact)
        quick = table.nearest(query, "sound", 10)
        hits += len(set(exact) & set(found(quick)))
        assert (np.diff(quick["score"].to_numpy()) <= 0).all()
    assert hits >= 0.95 * 10 * len(queries)


def test_an_index_that_was_loaded_ahead_finds_the_same(
    large: tuple[MomentTable, np.ndarray], table: MomentTable
) -> None:
    table.warm()  # without an index
    indexed, _ = large
    queries = units(5, seed=12, groups=100)
    before = [indexed.nearest(query, "sound", 10) for query in queries]
    again = MomentTable.open(indexed.library)
    assert again is not None
    again.warm()
    assert [again.nearest(query, "sound", 10) for query in queries] == before


def test_an_index_is_loaded_or_not_while_another_process_drops_and_builds_it(
    table: MomentTable,
) -> None:
    vectors = units(1000)
    table.append([rows(table, "/a", vectors, vectors)], [])
    table.build_vector_index()
    reader = MomentTable.open(table.library)
    assert reader is not None
    best = found(reader.nearest(vectors[0], "sound", 3))
    table.drop_vector_index()
    table.compact()
    reader.warm()
    assert found(reader.nearest(vectors[0], "sound", 3)) == best
    table.build_vector_index()
    reader.warm()


def test_sounds_without_images_and_pictures_without_sounds_are_in_the_vector_index(
    tmp_path: Path,
) -> None:
    table = MomentTable.create(str(tmp_path), info())
    sounds, images = units(3000, groups=100), units(3000, seed=3, groups=100)
    for part in range(3):
        batch = rows(table, f"/{part}", sounds[part::3], images[part::3])
        empty = pa.nulls(len(batch), table.schema.field("sound").type)
        if part:  # /1 holds sounds alone, /2 pictures
            place = table.schema.get_field_index("image" if part == 1 else "sound")
            batch = batch.set_column(place, table.schema.field(place), empty)
        kinds = pa.array([("video", "sound", "picture")[part]] * 1000)
        batch = batch.set_column(batch.schema.get_field_index("kind"), "kind", kinds)
        levels = pa.array([None if part == 2 else -20.0 - 50 * (n % 2) for n in range(1000)])
        place = table.schema.get_field_index("level")
        batch = batch.set_column(place, table.schema.field(place), levels.cast(pa.float32()))
        table.append([batch], [])
    table.build_vector_index()
    assert not table.needs_vector_index(index_from=1000)
    for modality, vectors, without in (("sound", sounds, 2), ("image", images, 1)):
        query = units(1, seed=9, groups=100)[0]
        held = [i for i in range(3000) if i % 3 != without]
        best = sorted(held, key=lambda i: -float(vectors[i] @ query))
        for exact in (True, False):
            result = table.nearest(query, modality, 10, exact=exact)
            assert found(result) == [(f"/{i % 3}", 3.0 * (i // 3)) for i in best[:10]]
            kinds = [("video", "sound", "picture")[i % 3] for i in best[:10]]
            assert result["kind"].to_pylist() == kinds
            for silent in (True, False):
                some = [i for i in best if (i % 3 == 2 or i // 3 % 2 == 1) == silent]
                wanted = [(f"/{i % 3}", 3.0 * (i // 3)) for i in some[:10]]
                quick = table.nearest(query, modality, 10, exact=exact, silent=silent)
                assert len(set(found(quick)) & set(wanted)) >= (10 if exact else 9)
    assert len(table.nearest(query, "sound", 5000, exact=True)) == 2000
    assert table.kinds() == {"video": 1, "sound": 1, "picture": 1}


def test_moments_outside_the_vector_index_are_found_until_a_quarter_needs_it_anew(
    large: tuple[MomentTable, np.ndarray],
) -> None:
    table, _ = large
    assert not table.needs_vector_index(index_from=1000)
    fresh = units(5, seed=77)
    table.append([rows(table, "/fresh", fresh, fresh)], [])
    assert found(table.nearest(fresh[2], "sound", 1)) == [("/fresh", 6.0)]
    assert not table.needs_vector_index(index_from=1000)
    more = units(5000, seed=78)
    table.append([rows(table, "/more", more, more)], [])
    assert table.needs_vector_index(index_from=1000)


def test_compacting_keeps_every_row_and_frees_the_disk(table: MomentTable) -> None:
    vectors = units(50)
    for part in range(12):
        table.append([rows(table, f"/{part % 4}", vectors, vectors)], [f"/{part % 4}"])
    folder = Path(table.library)
    before = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    table.compact()
    after = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert after < before / 2
    again = MomentTable.open(table.library)
    assert again is not None
    assert len(again) == 200
    assert sorted(again.files()) == ["/0", "/1", "/2", "/3"]


def test_who_reads_while_the_table_is_compacted_is_answered(table: MomentTable) -> None:
    vectors = units(50)
    for part in range(6):
        table.append([rows(table, f"/{part}", vectors, vectors)], [])
    readers = [MomentTable.open(table.library) for _ in range(3)]
    table.compact()
    one, two, three = (reader for reader in readers if reader is not None)
    assert len(one.files()) == 6
    assert len(two.moments("/5", ["time"])) == 50
    assert found(three.nearest(vectors[7], "sound", 1)) == [("/0", 21.0)]
    assert len(three) == 300


WRITES: dict[str, Callable[[MomentTable], None]] = {
    "compact": MomentTable.compact,
    "remove": lambda table: table.remove(["/new 0"]),
    "append": lambda table: table.append([rows(table, "/last", units(5), units(5))], ["/new 0"]),
    "build_vector_index": MomentTable.build_vector_index,
    "needs_vector_index": lambda table: table.needs_vector_index(1) and None,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_table_whose_files_another_process_compacted_away_can_be_written(
    table: MomentTable, write: Callable[[MomentTable], None]
) -> None:
    for number in range(4):
        table.append([rows(table, f"/old {number}", units(80), units(80))], [])
    behind = MomentTable.open(table.library)
    assert behind is not None
    for number in range(4):
        table.append([rows(table, f"/new {number}", units(80), units(80))], [f"/old {number}"])
    sleep(0.01)  # compacting deletes what is older than a millisecond
    table.compact()
    write(behind)
    behind.compact()
    kept = {f"/new {number}" for number in range(1, 4)}
    assert behind.files().keys() >= kept
    fresh = MomentTable.open(table.library)
    assert fresh is not None
    assert fresh.files() == behind.files()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    place = str(tmp_path / "library")
    with (
        sole_writer(place),
        pytest.raises(HearsightError, match="another process is writing"),
        sole_writer(place),
    ):
        pass
    with sole_writer(place):
        pass


def test_a_folder_with_other_things_is_not_a_library(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with (
        pytest.raises(HearsightError, match=r"is not a library: it holds 'letter\.txt'"),
        sole_writer(str(tmp_path)),
    ):
        pass


def test_a_table_that_was_never_committed_is_ignored(tmp_path: Path) -> None:
    data = tmp_path / "moments.lance" / "data"
    data.mkdir(parents=True)
    (data / "torn.lance").write_bytes(b"x" * 100)
    assert MomentTable.open(str(tmp_path)) is None
    with sole_writer(str(tmp_path)):
        table = MomentTable.create(str(tmp_path), info())
    assert len(table) == 0


@pytest.mark.parametrize("part", ["_versions", "data"])
@pytest.mark.parametrize("damage", ["cut", "garbage"])
def test_a_damaged_table_is_reported_in_one_sentence(
    table: MomentTable, part: str, damage: str
) -> None:
    vectors = units(200)
    table.append([rows(table, "/a", vectors, vectors)], [])
    for path in (Path(table.library) / "moments.lance" / part).iterdir():
        held = path.read_bytes()
        path.write_bytes(held[: len(held) // 2] if damage == "cut" else b"\xff" * len(held))

    def use() -> None:
        again = MomentTable.open(table.library)
        assert again is not None
        again.files()
        again.nearest(vectors[0], "sound", 3)

    with pytest.raises(HearsightError) as said:
        use()
    assert table.library in str(said.value)
    assert "index its videos into a new one" in str(said.value)
    assert "\n" not in str(said.value)


def test_a_table_of_another_program_is_refused(tmp_path: Path) -> None:
    import lancedb

    lancedb.connect(tmp_path).create_table("moments", [{"a": 1}])
    with pytest.raises(HearsightError, match="hearsight did not make"):
        MomentTable.open(str(tmp_path))


def test_a_newer_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match="newer hearsight"):
        MomentTable.create(str(tmp_path), info(format=FORMAT + 1))
    with pytest.raises(HearsightError, match="newer hearsight"):
        MomentTable.open(str(tmp_path))


def test_a_table_in_memory_stands_for_an_object_store() -> None:
    place = "memory://library"
    with sole_writer(place), sole_writer(place):
        table = MomentTable.create(place, info())
    vectors = units(20)
    table.append([rows(table, "/a", vectors, vectors)], [])
    assert found(table.nearest(vectors[3], "image", 1)) == [("/a", 9.0)]
    table.compact()
    assert MomentTable.open("memory://elsewhere") is None


def with_levels(batch: pa.RecordBatch, levels: Sequence[float | None]) -> pa.RecordBatch:
    place = batch.schema.get_field_index("level")
    return batch.set_column(place, batch.schema.field(place), pa.array(levels, pa.float32()))


@pytest.fixture(scope="module")
def partly_silent(tmp_path_factory: pytest.TempPathFactory) -> MomentTable:
    """12,000 moments of 24 files in the vector index; a third is silent or without sound."""
    table = MomentTable.create(str(tmp_path_factory.mktemp("silent")), info())
    vectors = units(12_000, groups=300)
    for part in range(24):
        some = vectors[part::24]
        levels = [(-20.0, -80.0, -20.0, None, -20.0, -20.0)[n % 6] for n in range(len(some))]
        table.append([with_levels(rows(table, f"/{part}", some, some[::-1]), levels)], [])
    table.build_vector_index()
    return table


@pytest.mark.parametrize(
    "options",
    [
        {"only": MomentFilter(name="/17")},
        {"only": MomentFilter(name="/1", start=30.0, end=33.0)},
        {"only": MomentFilter(start=1497.0)},
        {"without": [f"/{part}" for part in range(23)]},
        {"without": ["/3"], "silent": False},
        {"silent": False},
        {"silent": True},
        {"only": MomentFilter(end=6.0), "silent": True},
        {},
    ],
    ids=str,
)
@pytest.mark.parametrize("k", [10, 700])
def test_what_is_left_out_never_hides_what_is_asked_for(
    partly_silent: MomentTable,
    options: dict[str, Any],
    k: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a single partition searched: it holds some hundred of the 12,000 moments."""
    monkeypatch.setattr(lance_table, "PROBES", 1)
    hits = wanted = 0
    for query in units(2, seed=9, groups=300):
        quick = partly_silent.nearest(query, "sound", k, **options)
        exact = partly_silent.nearest(query, "sound", k, exact=True, **options)
        assert len(quick) == len(exact)
        assert (np.diff(quick["score"].to_numpy()) <= 0).all()
        assert len(set(found(quick))) == len(quick)
        for row in quick.select(["file", "level"]).to_pylist():
            quiet = row["level"] is None or row["level"] < -60
            assert options.get("silent", quiet) == quiet
            assert row["file"] not in options.get("without", ())
        hits += len(set(found(quick)) & set(found(exact)))
        wanted += len(exact)
    assert hits >= (0.95 if options.get("only") and k < 700 else 0.6) * wanted


@pytest.mark.parametrize("k", [5, 20, 24, 60])
@pytest.mark.parametrize("to", MODALITIES)
def test_one_film_does_not_flood_what_the_index_finds(
    partly_silent: MomentTable, to: Modality, k: int
) -> None:
    """As in an exact search; some of what lies beyond the k nearest is taken in passing."""
    library = Library(partly_silent, model=None, device=None)
    hits = 0
    for at in (0.0, 30.0, 600.0, 1200.0):
        query = library.query_by_moment("/7", at, to)
        quick, exact = (library.nearest(query, k, exact=exact) for exact in (False, True))
        files = [one.file for one in quick]
        assert len(quick) == len(exact) == min(k, 24 + 3 - len(set(files[:3])))
        assert all(file not in files[:place] for place, file in enumerate(files) if place >= 3)
        assert "/7" in map(str, files) or k < 24  # whose moment was asked by
        scores = [(to == "sound" and one.silent, -one.score) for one in quick]
        assert scores == sorted(scores)
        hits += len({(one.file, one.time) for one in quick} & {(o.file, o.time) for o in exact})
    assert hits >= 0.9 * 4 * min(k, 24)


@pytest.mark.parametrize("indexed", [False, True])
def test_films_that_follow_each_other_take_few_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed: bool
) -> None:
    """All moments of a film lie nearer than those of the next one."""
    table = MomentTable.create(str(tmp_path), info())
    angles = np.repeat(0.02 * np.arange(40), 30) + np.tile(1e-4 * np.arange(30), 40)
    vectors = np.zeros((len(angles), CHANNELS), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    parts = [
        rows(table, f"/{film:02}", each, each)
        for film, each in enumerate(vectors.reshape(40, 30, -1))
    ]
    table.append([with_levels(part, [-20.0] * 30) for part in parts], [])
    if indexed:
        table.build_vector_index()
    asked: list[int] = []
    nearest = table.nearest

    def count(*given: Any, **options: Any) -> pa.Table:
        asked.append(given[2])
        return nearest(*given, **options)

    monkeypatch.setattr(table, "nearest", count)
    library = Library(table, model=None, device=None)
    shown = ShownMoment(file=Path("/query"), time=0.0, level=-20.0, thumbnail=b"")
    query = Query(vector=vectors[0], to="sound", shown=shown)
    for k in (4, 24, 40):
        asked.clear()
        files = [one.file.name for one in library.nearest(query, k)]
        assert files == ["00", "00", "00", *(f"{film:02}" for film in range(1, k - 2))]
        assert len(asked) <= 4


@pytest.mark.parametrize("missed", range(6))
def test_what_an_index_missed_at_first_takes_its_place_when_it_is_found(
    tmp_path: Path, missed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A further search, for other files than those found, finds one that the first one missed."""
    table = MomentTable.create(str(tmp_path), info())
    vectors = units(6 * 8)
    for part in range(6):
        some = vectors[part::6]
        table.append([with_levels(rows(table, f"/{part}", some, some), [-20.0] * 8)], [])
    complete = table.nearest

    def nearest(
        vector: np.ndarray, to: Modality, k: int, *, without: Sequence[str], **options: Any
    ) -> pa.Table:
        if without:
            return complete(vector, to, k, without=without, **options)
        ranked = complete(vector, to, len(vectors), **options)
        return ranked.filter(pa.array(name != f"/{missed}" for name in ranked["file"].to_pylist()))[
            :k
        ]

    monkeypatch.setattr(table, "nearest", nearest)
    library = Library(table, model=None, device=None)
    shown = ShownMoment(file=Path("/query"), time=0.0, level=-20.0, thumbnail=b"")
    times_found = 0
    for vector, to in product(units(20, seed=9), MODALITIES):
        found = library.nearest(Query(vector=vector, to=to, shown=shown), 6)
        scores = [one.score for one in found]
        files = [str(one.file) for one in found]
        assert len(found) == 6
        assert scores == sorted(scores, reverse=True)
        assert all(file not in files[:place] for place, file in enumerate(files) if place >= 3)
        times_found += f"/{missed}" in files
    assert times_found >= 5


def test_a_library_with_an_older_vector_index_is_searched_and_added_to(tmp_path: Path) -> None:
    from lancedb.index import IvfPq

    table = MomentTable.create(str(tmp_path), info())
    vectors = units(6000, groups=200)
    table.append([rows(table, "/a", vectors, vectors)], [])
    older = IvfPq(distance_type="l2", num_partitions=6, num_sub_vectors=CHANNELS // 8)
    for modality in MODALITIES:
        run(table._table.create_index(modality, config=older))
    again = MomentTable.open(str(tmp_path))
    assert again is not None
    assert not again.needs_vector_index(index_from=6000)

    def share() -> float:
        hits = 0
        for query in units(20, seed=9, groups=200):
            best = np.argsort(-(vectors @ query))[:10]
            hits += len(
                {3.0 * i for i in best} & set(again.nearest(query, "image", 10)["time"].to_pylist())
            )
        return hits / 200

    assert share() >= 0.95
    fresh = units(3, seed=77)
    again.append([rows(again, "/fresh", fresh, fresh)], [])
    assert found(again.nearest(fresh[2], "sound", 1)) == [("/fresh", 6.0)]
    again.build_vector_index()
    assert share() >= 0.95


@pytest.mark.parametrize("channels", [12, 20, 28])
def test_any_number_of_channels_has_a_vector_index(tmp_path: Path, channels: int) -> None:
    table = MomentTable.create(str(tmp_path), info(channels=channels))
    vectors = np.random.default_rng(0).normal(size=(2000, channels)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table.append([rows(table, "/a", vectors, vectors)], [])
    table.build_vector_index()
    hits = 0
    for query in vectors[:20]:
        best = np.argsort(-(vectors @ query))[:10]
        times = table.nearest(query, "sound", 10)["time"].to_pylist()
        hits += len({3.0 * i for i in best} & set(times))
    assert hits >= 0.95 * 200


@pytest.mark.parametrize("channels", [32, 384, 512, 2048, 4_000_000])
def test_partitions_hold_a_thousand_moments_as_long_as_their_centres_are_few_numbers(
    channels: int,
) -> None:
    """From a million numbers on LanceDB puts moments where they are not looked for."""
    counts = [0, 1, 1999, 2000, 100_000, 999_999, 1_000_000, 3_814_209, 5_000_000, 10**8]
    made = [lance_table._partitions(count, channels) for count in counts]
    assert made == sorted(made)
    for count, partitions in zip(counts, made, strict=True):
        assert partitions == 1 or partitions * channels < 1_000_000
        wanted = count // 1000 if count < 1_000_000 else int(count**0.5)
        if partitions < max(1, wanted):  # one more would be too many
            assert (partitions + 1) * channels >= 1_000_000
        else:
            assert partitions == max(1, wanted)


WITHOUT_LOOP = """
import sys
import lancedb
import lancedb.background_loop
del lancedb.background_loop.LOOP
sys.modules["lancedb.background_loop"] = None
sys.path[:0] = sys.argv[2:]
from test_lance_table import info, rows, units
from hearsight.library.lance_table import MomentTable

table = MomentTable.create(sys.argv[1], info())
vectors = units(40)
table.append([rows(table, "/a", vectors[:20], vectors[20:])], [])
again = MomentTable.open(sys.argv[1])
print(again.nearest(vectors[3], "sound", 3)["time"].to_pylist(), len(again))
"""


def test_a_library_asks_for_no_part_of_lancedb_that_is_its_own(
    table: MomentTable, tmp_path: Path
) -> None:
    vectors = units(40)
    table.append([rows(table, "/a", vectors[:20], vectors[20:])], [])
    times = table.nearest(vectors[3], "sound", 3)["time"].to_pylist()
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LOOP, str(tmp_path / "other"), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{times} 20\n", "")


def test_calls_are_answered_beside_a_loop_of_the_callers_and_after_a_fork() -> None:
    async def answer(value: int) -> int:
        await asyncio.sleep(0)
        return value

    async def fail() -> int:
        raise KeyError("later")

    async def beside() -> int:
        return run(answer(2))  # as in a notebook, whose loop is at work

    assert run(answer(1)) == 1
    assert asyncio.run(beside()) == 2
    with pytest.raises(KeyError, match="later"):
        run(fail())
    code = (
        "import os, warnings\n"
        "warnings.simplefilter('ignore')\n"  # of LanceDB and Python: they warn of forks
        "from hearsight.library.lance_calls import run\n"
        "async def answer():\n    return 7\n"
        "assert run(answer()) == 7\n"
        "child = os.fork()\n"
        "if child == 0:\n    os._exit(run(answer()))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_threads_that_begin_at_once_share_one_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_calls, "_LOOPS", {})
    begin = Barrier(16)

    def call(_: int) -> int:
        begin.wait()

        async def loop() -> int:
            return id(asyncio.get_running_loop())

        return run(loop())

    before = set(enumerate_threads())
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(call, range(16)))) == 1
    [begun] = set(enumerate_threads()) - before
    [loop] = lance_calls._LOOPS.values()
    loop.call_soon_threadsafe(loop.stop)
    begun.join()
    loop.close()


@pytest.mark.timeout(60)
def test_a_loop_whose_thread_could_not_begin_is_begun_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def answer() -> int:
        return 5

    monkeypatch.setattr(lance_calls, "_LOOPS", {})
    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", refuse)
        unanswered = answer()
        with pytest.raises(RuntimeError, match="new thread"):
            run(unanswered)
        unanswered.close()
    before = set(enumerate_threads())
    assert run(answer()) == 5
    [begun] = set(enumerate_threads()) - before
    [loop] = lance_calls._LOOPS.values()
    loop.call_soon_threadsafe(loop.stop)
    begun.join()
    loop.close()
