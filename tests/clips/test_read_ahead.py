import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from hearsight.clips.read_ahead import in_batches, one_ahead, read_ahead


def test_results_come_in_the_order_of_the_keys() -> None:
    def read(key: int) -> int:
        time.sleep(0.002 * (key % 3))
        return key * key

    found = list(read_ahead(read, range(50), workers=4, ahead=7))
    assert found == [key * key for key in range(50)]


def test_endless_keys_are_taken_only_so_far_ahead() -> None:
    taken: list[int] = []

    def read(key: int) -> int:
        taken.append(key)
        return key

    reading = read_ahead(read, count(), workers=2, ahead=5)
    assert [next(reading) for _ in range(3)] == [0, 1, 2]
    reading.close()
    assert max(taken) <= 2 + 5


def test_what_a_read_raises_is_raised_in_its_place_and_threads_end() -> None:
    def read(key: int) -> int:
        if key == 3:
            raise ValueError("three")
        return key

    before = threading.active_count()
    reading = read_ahead(read, range(100), workers=3, ahead=10)
    assert [next(reading) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(reading)
    assert threading.active_count() == before


def test_one_ahead_gives_the_same_items_and_gets_no_more_than_one_beforehand() -> None:
    got: list[int] = []

    def items() -> Iterator[int | None]:
        for number in range(5):
            got.append(number)
            yield number or None  # an item may be None

    assert list(one_ahead(items())) == [None, 1, 2, 3, 4]
    got.clear()
    before = threading.active_count()
    reading = one_ahead(items())
    assert next(reading) is None
    reading.close()
    assert got in ([0], [0, 1])
    assert threading.active_count() == before


def test_one_ahead_raises_what_the_items_raise() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    reading = one_ahead(items())
    assert next(reading) == 1
    with pytest.raises(ValueError, match="two"):
        next(reading)


def test_the_last_batch_may_be_shorter() -> None:
    assert list(in_batches(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_batches(iter(()), 3)) == []
