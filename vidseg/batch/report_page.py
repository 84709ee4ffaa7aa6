"""One HTML page about a batch that needs nothing but itself: styles, pictures and charts are inside."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from vidseg.names import shown_name

CHART_WIDTH, CHART_HEIGHT = 640, 90

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --dim: #777; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.dim { color: var(--dim); } .name { overflow-wrap: anywhere; }
.state { border-radius: 3px; padding: 0 .45em; background: var(--soft); white-space: nowrap; }
.failed { background: #c22; color: #fff; } .done { background: #2a7d3f; color: #fff; }
.stopped { background: #b36b00; color: #fff; }
article { border-top: 1px solid var(--line); padding: .9rem 0; }
article h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
article p { margin: .2rem 0; overflow-wrap: anywhere; }
img { max-width: 100%; display: block; margin: .5rem 0; border-radius: 3px; }
svg { width: 100%; max-width: 48rem; height: 90px; display: block; background: var(--soft); border-radius: 3px; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 .9em; }
.key:first-child { margin-left: 0; }
"""


@dataclass(frozen=True, slots=True)
class FileSection:
    """What the page says about one input."""

    name: str
    state: str
    reason: str = ""
    outputs: tuple[str, ...] = ()
    """Relative to the page."""
    notes: tuple[str, ...] = ()
    frames: int = 0
    seconds: float = 0.0
    video_seconds: float = 0.0
    strip: bytes = b""
    """JPEG; may be empty."""
    times: tuple[float, ...] = ()
    """Seconds at which the stretches of the curves begin."""
    curves: tuple[tuple[str, tuple[int, int, int], Sequence[float]], ...] = ()
    """Class name, colour, and its share (0..1) in each stretch."""


def page(sections: Sequence[FileSection], *, totals: Mapping[str, int], started: str, seconds: float) -> str:
    """The whole page. Everything that comes from names and messages is escaped."""
    counted = ", ".join(f"{count} {state}" for state, count in totals.items())
    bad = [item for item in sections if item.state not in ("done", "skipped")]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>vidseg batch: {escape(counted)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(counted) or 'nothing to do'}</h1>",
        f'<p class="dim">vidseg batch, started {escape(started)}, took {_duration(seconds)}</p>',
    ]
    if bad:
        rows = "".join(
            f'<tr><td>{_badge(item)}</td><td class="name">{_text(item.name)}</td><td>{_text(item.reason)}</td></tr>'
            for item in bad
        )
        parts.append(f"<h2>Not done</h2><table><tr><th></th><th>File</th><th>Why</th></tr>{rows}</table>")
    parts.append("<h2>All files</h2>")
    parts += [_article(item) for item in sections]
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _article(item: FileSection) -> str:
    facts = []
    if item.frames:
        facts.append(f"{item.frames} frames, {_duration(item.video_seconds)} of video")
        if item.seconds > 0:
            facts.append(f"{item.frames / item.seconds:.1f} fps, took {_duration(item.seconds)}")
    lines = [f"<article><h3>{_badge(item)} {_text(item.name)}</h3>"]
    if item.reason:
        lines.append(f"<p>{_text(item.reason)}</p>")
    if facts:
        lines.append(f'<p class="dim">{escape("; ".join(facts))}</p>')
    if item.outputs:
        links = ", ".join(f'<a href="{_link(path)}">{_text(path)}</a>' for path in item.outputs)
        lines.append(f"<p>{links}</p>")
    lines += [f'<p class="dim">{_text(text)}</p>' for text in item.notes]
    if item.strip:
        data = base64.b64encode(item.strip).decode("ascii")
        lines.append(f'<img alt="pictures from the clip" src="data:image/jpeg;base64,{data}">')
    if item.curves:
        lines.append(_chart(item))
        keys = "".join(
            f'<span class="key" style="background:{_colour(rgb)}"></span>{_text(name)} {100 * _mean(row):.0f}%'
            for name, rgb, row in item.curves
        )
        lines.append(f'<p class="dim">{keys}</p>')
    lines.append("</article>")
    return "\n".join(lines)


def _chart(item: FileSection) -> str:
    """Shares over time as areas on top of each other, each stretch as wide as it is long."""
    starts = item.times
    last_step = starts[-1] - starts[-2] if len(starts) > 1 else 1.0
    end = max(item.video_seconds, starts[-1] + 0.5 * last_step) or 1.0
    edges = [CHART_WIDTH * (start - starts[0]) / max(end - starts[0], 1e-9) for start in (*starts, end)]
    floor = [0.0] * len(starts)
    areas = []
    for name, rgb, row in item.curves:
        top = [low + share for low, share in zip(floor, row, strict=True)]
        points = [*_steps(edges, top), *reversed(_steps(edges, floor))]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        areas.append(f'<polygon fill="{_colour(rgb)}" points="{path}"><title>{_text(name)}</title></polygon>')
        floor = top
    box = f"0 0 {CHART_WIDTH} {CHART_HEIGHT}"
    label = "share of the picture that each class takes over time"
    return f'<svg viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{label}">{"".join(areas)}</svg>'


def _steps(edges: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Corners of a stair from left to right."""
    corners = []
    for index, value in enumerate(values):
        y = CHART_HEIGHT * (1 - min(1.0, value))
        corners += [(edges[index], y), (edges[index + 1], y)]
    return corners


def _mean(row: Sequence[float]) -> float:
    return sum(row) / len(row)


def _badge(item: FileSection) -> str:
    return f'<span class="state {escape(item.state.split()[0])}">{escape(item.state)}</span>'


def _text(text: str) -> str:
    return escape(shown_name(text))


def _link(path: str) -> str:
    return escape(quote(os.fsencode(path)))


def _colour(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02} h" if hours else f"{minutes}:{whole % 60:02} min"
