"""One self-contained HTML page about a batch, with its styles, pictures and charts."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any
from urllib.parse import quote

from vidseg.labels import LabelSet
from vidseg.names import counted, shown_name
from vidseg.shares_over_time import edges_of, time_ticks

CHART_WIDTH, CHART_HEIGHT = 640, 90

STATES = ("done", "skipped", "failed", "stopped", "not started")

ORDERS = (
    ("as given", ""),
    ("name", "name"),
    ("state", "state"),
    ("length", "-video"),
    ("time it took", "-took"),
    ("frames per second", "fps"),
)
"""Ways to sort: words, and the number or text of an article that it goes by; "-": the largest first."""

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --dim: #777; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.dim { color: var(--dim); } .name { overflow-wrap: anywhere; min-width: 8rem; }
.state { border-radius: 3px; padding: 0 .45em; background: var(--soft); white-space: nowrap; }
.failed { background: #c22; color: #fff; } .done { background: #2a7d3f; color: #fff; }
.stopped { background: #b36b00; color: #fff; }
article { border-top: 1px solid var(--line); padding: .9rem 0; }
article { content-visibility: auto; contain-intrinsic-size: auto 14rem; }
article[hidden] { display: none; }
.brief article { padding: .3rem 0; contain-intrinsic-size: auto 3rem; }
.brief article :is(img, .chart, .keys) { display: none; }
#tools { position: sticky; top: 0; z-index: 1; background: Canvas; padding: .5rem 0; }
#tools { display: flex; flex-wrap: wrap; gap: .4rem 1rem; }
#tools[hidden] { display: none; }
#tools input[type=search] { min-width: 12rem; flex: 1; max-width: 24rem; } #tools :is(input, select) { font: inherit; }
details { margin: .5rem 0; } details td { padding-right: 2rem; } details table { width: auto; }
article h3 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
article p { margin: .2rem 0; overflow-wrap: anywhere; }
img { max-width: 100%; display: block; margin: .5rem 0; border-radius: 3px; }
.chart { max-width: 51rem; padding: .3rem 0 1.4rem 3rem; position: relative; font-size: .8rem; color: var(--dim); }
.chart .plot { position: relative; }
.chart span { position: absolute; white-space: nowrap; line-height: 1; }
.chart .share { right: calc(100% + .4rem); transform: translateY(-50%); }
.chart .time { top: calc(100% + .3rem); transform: translateX(-50%); }
svg { width: 100%; height: 90px; display: block; background: var(--soft); border-radius: 3px; }
svg line { stroke: #fff8; vector-effect: non-scaling-stroke; pointer-events: none; }
.named { white-space: nowrap; margin-right: .7em; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
"""

_SCRIPT = """
const $ = id => document.getElementById(id), list = $('files'), files = [...list.children];
const shares = files.map(file => JSON.parse(file.dataset.shares || '{}'));
const names = [...new Set(shares.flatMap(row => Object.keys(row)))].sort();
for (const name of names) $('order').add(new Option('share of ' + name, 'share ' + name));
const text = new Intl.Collator(undefined, {numeric: true}).compare;
function key(file, index, order) {
  if (order.startsWith('share ')) return shares[index][order.slice(6)] || 0;
  const name = order.replace('-', ''), value = file.dataset[name];
  return name === 'name' || name === 'state' ? value : Number(value || 0);
}
function show() {
  const wanted = $('find').value.toLowerCase(), state = $('state').value, chosen = $('order').value;
  let shown = 0;
  for (const file of files) {
    const fits = (!state || file.dataset.state === state) && file.textContent.toLowerCase().includes(wanted);
    file.hidden = !fits;
    shown += fits;
  }
  const down = chosen[0] === '-' || chosen.startsWith('share ');
  const order = files.map((file, index) => [chosen ? key(file, index, chosen) : index, index, file]);
  order.sort((a, b) => (typeof a[0] === 'string' ? text(a[0], b[0]) : down ? b[0] - a[0] : a[0] - b[0]) || a[1] - b[1]);
  list.append(...order.map(entry => entry[2]));
  list.classList.toggle('brief', $('brief').checked);
  $('count').textContent = shown + ' of ' + files.length;
}
for (const id of ['find', 'state', 'order', 'brief']) $(id).addEventListener('input', show);
$('tools').hidden = false;
show();
"""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one input."""

    name: str
    state: str
    """One of `STATES`."""
    reason: str = ""
    outputs: tuple[str, ...] = ()
    """Relative to the output folder."""
    details: dict[str, Any] = field(default_factory=dict)
    """frames, seconds, video_seconds, notes, counters, shares (class id to its share over time), trace: as known."""
    strip: bytes = b""
    """JPEG; empty where there is none."""

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain values without the picture; classes by their `names`."""
        plain: dict[str, Any] = asdict(self)
        del plain["strip"]
        details: dict[str, Any] = plain.pop("details")
        shares = details.get("shares") or {}
        by_name = {names[int(key)]: row for key, row in shares.get("shares", {}).items()}
        return plain | details | {"shares": {"seconds": shares.get("seconds", []), "classes": by_name}}


Curve = tuple[str, str, Sequence[float]]
"""Class name, colour, and its share (0..1) in each stretch."""


def page(
    files: Sequence[FileReport],
    labels: LabelSet,
    *,
    totals: Mapping[str, int],
    started: str,
    seconds: float,
    settings: Mapping[str, str] | None = None,
) -> str:
    """The whole page. Everything that comes from names and messages is escaped.

    Args:
        labels: of the network, in the colours of its classes.
        settings: options that were given, each with its value.
    """
    counted = ", ".join(f"{count} {state}" for state, count in totals.items())
    bad = [item for item in files if item.state not in ("done", "skipped")]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>vidseg batch: {escape(counted)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(counted) or 'nothing to do'}</h1>",
        f'<p class="dim">vidseg batch, started {escape(started[:16].replace("T", " "))}, took {_duration(seconds)}</p>',
    ]
    if settings:
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{_text(value)}</td></tr>" for name, value in settings.items())
        parts.append(f"<details><summary>Settings</summary><table>{rows}</table></details>")
    if bad:
        rows = "".join(
            f'<tr><td>{_badge(item)}</td><td class="name">{_text(item.name)}</td><td>{_text(item.reason)}</td></tr>'
            for item in bad
        )
        parts.append(f"<h2>Not done</h2><table><tr><th></th><th>File</th><th>Why</th></tr>{rows}</table>")
    parts += ["<h2>All files</h2>", _tools(totals), '<div id="files">']
    parts += [_article(item, labels) for item in files]
    parts.append(f"</div><script>{_SCRIPT}</script></body></html>\n")
    return "\n".join(parts)


def _tools(totals: Mapping[str, int]) -> str:
    """What chooses and sorts the files; of no use, and not to be seen, where scripts are off."""
    states = "".join(
        f'<option value="{escape(state)}">{escape(state)} ({count})</option>' for state, count in totals.items()
    )
    orders = "".join(f'<option value="{key}">{words}</option>' for words, key in ORDERS)
    return (
        '<div id="tools" hidden><input id="find" type="search" placeholder="find" aria-label="find">'
        f'<label>state <select id="state"><option value="">any</option>{states}</select></label>'
        f'<label>sort by <select id="order">{orders}</select></label>'
        '<label><input id="brief" type="checkbox"> brief</label><span id="count" class="dim"></span></div>'
    )


def _article(item: FileReport, labels: LabelSet) -> str:
    facts = []
    frames, seconds, video_seconds = (item.details.get(name, 0) for name in ("frames", "seconds", "video_seconds"))
    fps = frames / seconds if seconds > 0 else 0.0
    if frames:
        facts.append(f"{counted(frames, 'frame')}, {_duration(video_seconds)} of video")
        if seconds > 0:
            facts.append(f"{fps:.1f} fps, took {_duration(seconds)}")
    known = item.details.get("shares") or {}
    curves: list[Curve] = [
        (labels.names[int(key)], "#{:02x}{:02x}{:02x}".format(*labels.palette[int(key)].tolist()), row)
        for key, row in known.get("shares", {}).items()
    ]
    shares = json.dumps({shown_name(name): round(_mean(row), 4) for name, _, row in curves})
    told = {
        "name": shown_name(item.name),
        "state": item.state,
        "video": f"{video_seconds:g}",
        "took": f"{seconds:g}",
        "fps": f"{fps:g}",
        "shares": shares,
    }
    data = " ".join(f'data-{key}="{escape(value)}"' for key, value in told.items())
    lines = [f"<article {data}><h3>{_badge(item)} {_text(item.name)}</h3>"]
    if item.reason:
        lines.append(f"<p>{_text(item.reason)}</p>")
    if facts:
        lines.append(f'<p class="dim">{escape("; ".join(facts))}</p>')
    if item.outputs:
        links = ", ".join(f'<a href="{_link(path)}">{_text(path)}</a>' for path in item.outputs)
        lines.append(f"<p>{links}</p>")
    lines += [f'<p class="dim">{_text(text)}</p>' for text in item.details.get("notes", ())]
    if item.strip:
        picture = base64.b64encode(item.strip).decode("ascii")
        lines.append(f'<img alt="pictures from the clip" src="data:image/jpeg;base64,{picture}">')
    if curves:
        lines.append(_chart(curves, known["seconds"], video_seconds))
        keys = " ".join(
            f'<span class="named"><span class="key" style="background:{colour}"></span>{_text(name)} '
            f"{_percent(_mean(row))}</span>"
            for name, colour, row in curves
        )
        lines.append(f'<p class="dim keys">{keys}</p>')
    lines.append("</article>")
    return "\n".join(lines)


def _chart(curves: Sequence[Curve], times: Sequence[float], video_seconds: float) -> str:
    """Shares over time as areas on top of each other, each stretch as wide as it is long, with scales.

    Args:
        times: seconds at which the stretches of the curves begin.
    """
    places = edges_of(times, video_seconds)
    edges = [CHART_WIDTH * place for place in places]
    floor = [0.0] * len(times)
    areas = []
    for name, colour, row in curves:
        top = [low + share for low, share in zip(floor, row, strict=True)]
        points = [*_steps(edges, top), *reversed(_steps(edges, floor))]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        areas.append(f'<polygon fill="{colour}" points="{path}"><title>{_text(name)}</title></polygon>')
        floor = top
    first, end = times[0], max(video_seconds, times[-1])
    ticks = [((seconds - first) / max(end - first, 1e-9), words) for seconds, words in time_ticks(first, end)]
    lines = [f'<line x1="0" x2="{CHART_WIDTH}" y1="{CHART_HEIGHT / 2:g}" y2="{CHART_HEIGHT / 2:g}"></line>']
    lines += [
        f'<line x1="{CHART_WIDTH * place:.1f}" x2="{CHART_WIDTH * place:.1f}" y1="0" y2="{CHART_HEIGHT}"></line>'
        for place, _ in ticks
    ]
    words = [f'<span class="share" style="top:{100 - share}%">{share}%</span>' for share in (0, 50, 100)]
    words += [f'<span class="time" style="left:{100 * place:.1f}%">{escape(text)}</span>' for place, text in ticks]
    box = f"0 0 {CHART_WIDTH} {CHART_HEIGHT}"
    label = "share of the picture that each class takes over time"
    svg = f'<svg viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{label}">'
    return f'<div class="chart"><div class="plot">{svg}{"".join(areas + lines)}</svg>{"".join(words)}</div></div>'


def _steps(edges: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    """Corners of a stair from left to right."""
    corners = []
    for index, value in enumerate(values):
        y = CHART_HEIGHT * (1 - min(1.0, value))
        corners += [(edges[index], y), (edges[index + 1], y)]
    return corners


def _mean(row: Sequence[float]) -> float:
    return sum(row) / len(row)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "&lt;1%"


def _badge(item: FileReport) -> str:
    return f'<span class="state {escape(item.state.split()[0])}">{escape(item.state)}</span>'


def _text(text: str) -> str:
    return escape(shown_name(text))


def _link(path: str) -> str:
    return escape(quote(os.fsencode(path)))


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02} h" if hours else f"{minutes}:{whole % 60:02} min"
