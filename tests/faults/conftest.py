"""SQLite in a file of its own for each test: its faults are the ones that are played here."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.installation import environment_of


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    instance = tmp_path / "instance"
    return environment_of(instance, f"sqlite:///{instance / 'postern.db'}")


class BeforeCommit:
    """In place of the breached passwords: asked when all is judged and nothing is written yet, it does something."""

    def __init__(self, act: Callable[[], object]):
        self._act = act

    def contain(self, password: str) -> bool:
        self._act()
        return False
