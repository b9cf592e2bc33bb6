"""A sandbox for each file of tests, and a project of its own for each test."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest
from sandbox_client import Client

from loadgen.sandbox import running


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with closing(Client(url)) as client:
        yield client


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    return (f"project{number}" for number in count())


@pytest.fixture
def project(client: Client, names: Iterator[str]) -> str:
    name = next(names)
    assert client.create(name).json()["status"] == "success"
    return name
