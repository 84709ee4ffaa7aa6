"""`vidseg models`, `vidseg models info`, `vidseg models pull`, and `vidseg classes`."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from vidseg.cli.help import Command, Group, help_width
from vidseg.names import printable

if TYPE_CHECKING:
    from vidseg.zoo import ModelEntry

app = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    help="""List models, show one, or download its weights.

    Examples: `vidseg models`, `vidseg models info m2f-mobile-ade`, `vidseg models pull fai-m2f-m-ade`.
    """,
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="A name from `vidseg models`.")]


@app.callback()
def list_models(context: typer.Context) -> None:
    """List models, or run the subcommand."""
    if context.invoked_subcommand is not None:
        return
    from vidseg import zoo

    rows = [("name", "params", "mIoU", "weights", "what")]
    for entry in zoo.entries():
        miou = f"{entry.miou:.1f}" if entry.miou is not None else "-"
        also = [f"also {alias}" for alias in entry.aliases]
        what = "; ".join((entry.description, *also))
        rows.append((entry.name, f"{entry.parameters / 1e6:.1f} M", miou, _state(entry), what))
    name, state = (max(len(row[column]) for row in rows) for column in (0, 3))
    for row in rows:
        left = f"{row[0]:{name}}  {row[1]:>6}  {row[2]:>4}  {row[3]:{state}}  "
        first, *more = textwrap.wrap(row[4], max(20, help_width() - len(left)), break_on_hyphens=False)
        typer.echo("\n".join((left + first, *(" " * len(left) + line for line in more))))
    typer.echo("\nmIoU: ADE20K validation, short side 640, as published; not measured here.")


@app.command("info", cls=Command)
def info(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `vidseg models`, or a network file.")],
    trust_model: Annotated[bool, typer.Option("--trust-model", help="As in `vidseg run`.")] = False,
    label_set: Annotated[
        str | None, typer.Option("--label-set", metavar="NAME|FILE", help="As in `vidseg run`.")
    ] = None,
) -> None:
    """Show what is known about a model and its weights, or about a network file."""
    from rich.markdown import Markdown
    from rich.text import Text

    from vidseg import zoo
    from vidseg.cli.console import output
    from vidseg.runtimes.model_format import is_model_file

    if is_model_file(name):
        from vidseg.commands.model_info import model_file_facts

        facts = model_file_facts(name, trusted=trust_model, label_set=label_set)
        output().print(Text(printable(name), style="bold"))
        for key, value in facts.items():
            if value:
                output().print(Text(f"{key:>14}  {printable(str(value))}"), soft_wrap=True)
        return
    entry = zoo.entry(name)
    out = output()
    out.print(f"[bold]{entry.name}[/]  {entry.description}")
    rows = {
        "aliases": ", ".join(entry.aliases),
        "parameters": f"{entry.parameters:,}",
        "mIoU": _miou(entry),
        "size": _size(entry),
        "weights": _state(entry),
        "from": entry.url or "",
        "sha256": _sha256(entry),
        "licence": f"{entry.licence}; {entry.licence_note}",
    }
    for key, value in rows.items():
        if value:
            out.print(f"{key:>10}  {value}", markup=False, soft_wrap=True)
    card = zoo.card(entry.name)
    if card:
        out.print()
        if out.is_terminal:
            out.print(Markdown(card))
        else:
            out.print(re.sub(r"<!--.*?-->\n\n?", "", card), markup=False, soft_wrap=True)


@app.command("pull", cls=Command)
def pull(
    name: _Name,
    force: Annotated[bool, typer.Option("--force", help="Download even if the weights are cached.")] = False,
    accept_change: Annotated[
        bool,
        typer.Option("--accept-change", help="Download, and accept a file with another checksum than the known one."),
    ] = False,
) -> None:
    """Download the weights of a model into the cache."""
    from vidseg import zoo
    from vidseg.cli.console import RunConsole

    entry = zoo.entry(name)
    with RunConsole() as console:
        path = zoo.pull(
            entry,
            force=force or accept_change,
            accept_change=accept_change,
            progress=console.download,
            announce=console.note,
        )
    print(path)


def classes(
    word: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="List only classes and groups whose name contains this.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="List the classes of this model or network file.")
    ] = "m2f-mobile-ade",
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="FILE", help="List the classes of your own weights.")
    ] = None,
    label_set: Annotated[
        str | None, typer.Option("--label-set", metavar="NAME|FILE", help="As in `vidseg run`.")
    ] = None,
) -> None:
    """List the ids and names of the classes, by default those of ADE20K.

    Examples: `vidseg classes`, `vidseg classes fence`, `vidseg classes -m net.onnx`.
    """
    from vidseg.labels import GROUPS, ade20k

    wanted = (word or "").casefold()
    labels = ade20k()
    if weights is not None or label_set is not None or model != "m2f-mobile-ade":
        from vidseg.configure import merge
        from vidseg.runtimes.model_format import is_model_file
        from vidseg.wiring import engine

        config = merge(("command line", {"model": model, "weights": weights, "label_set": label_set}))
        if not is_model_file(model):
            engine.check_engine(config)  # a --label-set that means nothing
        labels = engine.label_set(config)
    found = [class_id for class_id, name in enumerate(labels.full_names) if wanted in name.casefold()]
    groups = [group for group in GROUPS if wanted and wanted in group and labels.group(group)]
    if not (found or groups):
        found = labels.find_all([wanted])  # an id or a plural, as --classes takes it, or an error
    for class_id in found:
        print(f"{class_id:3}  {printable(labels.full_names[class_id])}")
    for group in groups:
        members = ", ".join(labels.names[class_id] for class_id in labels.group(group))
        print(f"     {group} means: {printable(members)}")


def _state(entry: ModelEntry) -> str:
    from vidseg import zoo

    if entry.bundled:
        return "bundled"
    if zoo.cached_path(entry) is not None:
        return "cached"
    return "download" if entry.url else "not published"


def _miou(entry: ModelEntry) -> str:
    if entry.miou is None:
        return "not measured on ADE20K val"
    return (
        f"{entry.miou} % on ADE20K val with the short side {entry.short_side}, as published ({entry.miou_source}); "
        "not measured here"
    )


def _size(entry: ModelEntry) -> str:
    if entry.short_side is None:
        return f"long side {entry.imgsz['cpu']}"
    return f"short side {entry.short_side}; for video on a CPU long side {entry.imgsz['cpu']}"


def _sha256(entry: ModelEntry) -> str:
    from vidseg import zoo

    if entry.sha256:
        return entry.sha256
    record = next((cached.record for cached in zoo.cached_entries() if cached.entry is entry), None)
    return f"{record.sha256} (of the file downloaded on {record.date})" if record else ""
