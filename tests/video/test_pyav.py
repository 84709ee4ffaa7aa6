"""PyAV 18 and 19 look the same behind this door; `make test-newest` runs the other tests with 19."""

from __future__ import annotations

from fractions import Fraction
from numbers import Rational
from pathlib import Path
from types import SimpleNamespace

import pytest

import vidseg.video
from tests.video.clips import make_clip
from vidseg.video.pyav import exact, open_input, size_bytes, tags


class AVRational:
    """As PyAV 19 has it: no Fraction, and falsy where it is not set."""

    def __init__(self, numerator: int, denominator: int) -> None:
        self.numerator, self.denominator = numerator, denominator

    def __bool__(self) -> bool:
        return self.numerator != 0 and self.denominator != 0


Rational.register(AVRational)


@pytest.mark.parametrize("value", [Fraction(1001, 30000), AVRational(1001, 30000)])
def test_a_rational_of_either_version_is_a_fraction(value):
    assert type(exact(value)) is Fraction
    assert exact(value) == Fraction(1001, 30000)


@pytest.mark.parametrize("value", [None, Fraction(0), AVRational(0, 1), AVRational(0, 0), AVRational(1, 0)])
def test_what_is_not_set_is_0_in_either_version(value):
    assert exact(value) == 0


@pytest.mark.parametrize(("size", "known"), [(None, None), (-1, None), (0, None), (7, 7)])
def test_an_unknown_size_is_none_in_either_version(size, known):
    assert size_bytes(SimpleNamespace(size=size)) == known


def test_a_tag_that_is_not_utf8_does_not_keep_a_file_from_being_read(tmp_path):
    path = tmp_path / "latin.mkv"
    make_clip(path, frames=2)
    data = path.read_bytes().replace(b"Lavf", b"L\xe4vf")
    assert b"L\xe4vf" in data
    path.write_bytes(data)
    with open_input(str(path)) as container:
        assert any("�" in value for value in tags(container).values())
        assert len(list(container.decode(video=0))) == 2


def test_no_other_file_opens_an_input_with_what_one_version_lacks():
    for path in Path(vidseg.video.__file__).parents[1].rglob("*.py"):
        assert path.name == "pyav.py" or "metadata_errors" not in path.read_text(encoding="utf-8"), path
