"""A command line of its own for each test, and a target that keeps count."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Cli, Target


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    it = Cli(tmp_path)
    yield it
    it.close()


@pytest.fixture(scope="module")
def shared_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    it = Cli(tmp_path_factory.mktemp("shared"))
    yield it
    it.close()


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as it:
        yield it


@pytest.fixture(scope="module")
def shared_target() -> Iterator[Target]:
    with Target() as it:
        yield it
