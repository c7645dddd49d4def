"""SQLite in a file of its own for each test: its faults are the ones that are played here."""

from pathlib import Path

import pytest

from lab.installation import environment_of


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    instance = tmp_path / "instance"
    return environment_of(instance, f"sqlite:///{instance / 'postern.db'}")
