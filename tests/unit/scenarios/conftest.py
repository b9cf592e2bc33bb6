"""What the tests of scenarios share: the scenario of a file, and a Session for its functions."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from loadgen import Session
from loadgen.testing import session


@pytest.fixture(scope="module")
def imported() -> Iterator[Callable[[Path], ModuleType]]:
    """Import a scenario from its file; it, and the modules beside it, are forgotten in the end."""

    def from_file(file: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(file.stem, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.syspath_prepend(str(file.parent))
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    with pytest.MonkeyPatch.context() as patch:
        yield from_file
    for name in ("azkaban", "azkaban_plan"):
        sys.modules.pop(name, None)


@pytest.fixture
def http(request: pytest.FixtureRequest) -> Iterator[Session]:
    """For the URL of the test's module."""
    with session(request.module.URL) as it:
        yield it
