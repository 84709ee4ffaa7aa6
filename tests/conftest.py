from collections.abc import Iterator

import pytest

from tests.screen import Screen, run_screen


@pytest.fixture
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """A virtual X screen; the test carries `needs_screen`."""
    yield from run_screen(tmp_path_factory.mktemp("xvfb"))
