"""One browser for all pages."""

from collections.abc import Iterator
from typing import Any

import pytest
from made_server import browsing


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with browsing() as started:
        yield started
