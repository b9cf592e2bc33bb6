"""A core of its own for each process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

CLAIM = """
import os, sys
from loadgen.execution.cores import claim
held = claim(sys.argv[1])
print(*sorted(os.sched_getaffinity(0)), flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1, reason="several cores of Linux"
)


class Claimer:
    """A process that claims a core and keeps it."""

    def __init__(self, realm: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLAIM, realm], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.cores = set(map(int, self._process.stdout.readline().split()))

    def kill(self) -> None:
        with self._process as process:
            process.kill()


@pytest.fixture
def claimers() -> Iterator[list[Claimer]]:
    there: list[Claimer] = []
    yield there
    for each in there:
        each.kill()


def test_each_process_has_a_core_of_its_own_until_it_dies(claimers: list[Claimer]) -> None:
    realm = f"test-{os.getpid()}"
    cores = os.sched_getaffinity(0)
    claimers += [Claimer(realm) for _ in range(len(cores) - 1)]
    assert all(len(each.cores) == 1 for each in claimers)
    assert len(set.union(*(each.cores for each in claimers))) == len(cores) - 1
    one_too_many = Claimer(realm)
    claimers.append(one_too_many)
    assert one_too_many.cores == cores, "the kernel chooses"
    claimers[0].kill()
    heir = Claimer(realm)
    claimers.append(heir)
    assert heir.cores == claimers[0].cores
