"""Packets on the disk are those that were written, or an error."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from vidseg.errors import ResumeError
from vidseg.sinks.packet_file import PacketFileWriter, StoredPacket, check_packets, read_packets

PACKETS = [
    StoredPacket(-5, -7, 3, True, b"first"),
    StoredPacket(2**40, 2**40, 0, False, b""),
    StoredPacket(2**40 + 1, 2**40 + 1, 1, False, bytes(range(256))),
]


def written(path: Path) -> Path:
    writer = PacketFileWriter(path, Fraction(1001, 30_000))
    for packet in PACKETS:
        writer.write(packet)
    assert not path.exists()
    writer.close()
    return path


def test_packets_come_back_exactly(tmp_path: Path) -> None:
    time_base, packets = read_packets(written(tmp_path / "00000"))
    assert time_base == Fraction(1001, 30_000) and list(packets) == PACKETS
    assert os.listdir(tmp_path) == ["00000"]


def test_any_changed_or_missing_byte_is_noticed(tmp_path: Path) -> None:
    data = written(tmp_path / "good").read_bytes()
    bad = tmp_path / "bad"
    start = data.index(b"\n") + 1
    for place in range(start, len(data)):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        with pytest.raises(ResumeError, match="cannot be used"):
            check_packets(bad)
        bad.write_bytes(data[:place])
        with pytest.raises(ResumeError, match="cannot be used"):
            check_packets(bad)
    bad.write_bytes(b"{}\n" + data[start:])
    with pytest.raises(ResumeError, match="its header is damaged"):
        check_packets(bad)
    with pytest.raises(ResumeError, match="No such file"):
        check_packets(tmp_path / "none")


def test_abort_leaves_nothing(tmp_path: Path) -> None:
    writer = PacketFileWriter(tmp_path / "00000", Fraction(1, 25))
    writer.write(PACKETS[0])
    writer.abort()
    writer.abort()
    assert os.listdir(tmp_path) == []
