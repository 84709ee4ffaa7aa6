"""H.264 whose fields are coded one by one, as broadcast cameras write it; no encoder at hand does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

WIDTH, HEIGHT = 48, 32
_MACROBLOCKS = WIDTH // 16
_BOTTOM_BYTES = 384


class _Bits:
    def __init__(self) -> None:
        self.text = ""

    def u(self, value: int, count: int) -> _Bits:
        self.text += f"{value:0{count}b}"
        return self

    def ue(self, *values: int) -> _Bits:
        for value in values:
            digits = f"{value + 1:b}"
            self.text += "0" * (len(digits) - 1) + digits
        return self

    def align(self) -> _Bits:
        self.text += "0" * (-len(self.text) % 8)
        return self

    def nal(self, header: int) -> bytes:
        """With the stop bit, the start code, and bytes in between where zeros would look like one."""
        self.u(1, 1).align()
        body = int(self.text, 2).to_bytes(len(self.text) // 8, "big")
        out = bytearray([header])
        zeros = 0
        for byte in body:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes(out)


def _parameter_sets() -> bytes:
    sps = _Bits().u(77, 8).u(0, 8).u(30, 8).ue(0, 0, 0, 0, 1).u(0, 1).ue(_MACROBLOCKS - 1, HEIGHT // 32 - 1)
    sps.u(0, 1).u(0, 1).u(1, 1).u(0, 1).u(0, 1)  # fields and frames, no mixture in one; no cropping, no more
    pps = _Bits().ue(0, 0).u(0, 1).u(0, 1).ue(0, 0, 0).u(0, 1).u(0, 2).ue(0, 0, 0).u(1, 1).u(0, 1).u(0, 1)
    return sps.nal(0x67) + pps.nal(0x68)


def _field(number: int, *, bottom: bool) -> bytes:
    bits = _Bits().ue(0, 7, 0).u(0, 4).u(1, 1).u(bottom, 1)
    if not bottom:
        bits.ue(number % 2)
    bits.u(int(bottom), 4)
    bits.u(0, 1 if bottom else 2)
    bits.ue(0, 1)
    for _ in range(_MACROBLOCKS):  # samples as they are
        bits.ue(25).align()
        bits.text += f"{40 + 10 * number % 160:08b}" * _BOTTOM_BYTES
    return bits.nal(0x61 if bottom else 0x65)


def write_field_coded(path: Path, *, frames: int, rate: int = 25) -> Path:
    """A Matroska file with two packets for each frame."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.extradata = _parameter_sets()
        for number in range(2 * frames):
            data = _field(number // 2, bottom=bool(number % 2))
            packet = av.Packet((b"" if number % 2 else _parameter_sets()) + data)
            packet.stream, packet.time_base = stream, Fraction(1, 2 * rate)
            packet.pts = packet.dts = number
            packet.is_keyframe = number % 2 == 0
            output.mux(packet)
    return path
