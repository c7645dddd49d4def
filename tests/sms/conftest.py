"""A Kannel for all tests of a module."""

from collections.abc import Iterator

import pytest

from lab.kannel import Kannel


@pytest.fixture(scope="module")
def kannel() -> Iterator[Kannel]:
    with Kannel() as running:
        yield running
