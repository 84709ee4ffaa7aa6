"""`vidseg doctor`: what this machine has, on one screen."""

from __future__ import annotations


def doctor() -> None:
    """Show versions, devices, encoders, cameras, display and cached models."""
    from rich.table import Table

    from vidseg.cli.console import output
    from vidseg.commands.doctor import examine

    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in examine():
        mark = {True: "[green]ok[/]", False: "[red]missing[/]", None: ""}[finding.good]
        table.add_row(finding.topic, mark, finding.text.replace("[", r"\["))
    output().print(table)
