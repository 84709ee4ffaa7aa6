"""A misbehaving server and a client that pulls from it into a fresh folder."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.zoo.server import Loopback
from vidseg import zoo
from vidseg.errors import DownloadError
from vidseg.zoo.download import pull

NAME = "fai-m2f-m-ade"


def weights(seed: int, numbers: int = 200_000) -> bytes:
    """A small checkpoint, about 4 bytes a number."""
    buffer = io.BytesIO()
    torch.save({"model": {"w": torch.arange(float(numbers)) + seed}}, buffer)
    return buffer.getvalue()


GOOD = weights(0)
OTHER = weights(1, 230_000)
SAME_SIZE = weights(2)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Loopback]:
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def server(shared_server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    monkeypatch.setenv("no_proxy", "*")
    shared_server.play()
    return shared_server


class Client:
    """Pulls from the loopback server into a fresh folder and keeps what was said and slept."""

    def __init__(self, server: Loopback, folder: Path) -> None:
        self.entry = dataclasses.replace(zoo.entry(NAME), url=server.url)
        self.folder = folder
        self.path = folder / f"{NAME}.pth"
        self.part = folder / f"{NAME}.pth.part"
        self.said: list[str] = []
        self.slept: list[float] = []
        self.steps: list[tuple[int, int | None]] = []

    def knows(self, **facts: Any) -> None:
        """Put facts into the registry entry."""
        self.entry = dataclasses.replace(self.entry, **facts)

    def pull(self, **options: Any) -> Path:
        options = {"attempts": 3, "progress": lambda *step: self.steps.append(step), **options}
        return pull(self.entry, cache_dir=self.folder, announce=self.said.append, sleep=self.slept.append, **options)

    def fails(self, text: str, **options: Any) -> None:
        """Assert that a pull fails with one line that has `text` and the advice, and leaves no file."""
        with pytest.raises(DownloadError, match=re.escape(text)) as caught:
            self.pull(**options)
        message = str(caught.value)
        assert message.startswith(f"{NAME}: ") and "\n" not in message
        assert "--weights FILE" in message
        assert not self.path.exists()

    def leftovers(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir() if file != self.path)


@pytest.fixture
def client(server: Loopback, tmp_path: Path) -> Client:
    return Client(server, tmp_path / "cache")
