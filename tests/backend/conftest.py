"""Real servers for the backend's own tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import Server, launch

Starter = Callable[..., Server]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module."""
    running = launch(tmp_path_factory.mktemp("home"), ping_interval=0.1, grace=1.0)
    yield running
    running.end()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts servers for one test, on a folder of its own; ends those that still run."""
    started: list[Server] = []

    def starter(**options: Any) -> Server:
        started.append(launch(tmp_path, **options))
        return started[-1]

    yield starter
    for running in started:
        running.end()
