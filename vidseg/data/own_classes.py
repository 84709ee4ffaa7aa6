"""What the classes that a format names are among those of a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from vidseg.data.formats.layout import Layout
from vidseg.data.label_sets import FILE, ClassSet, LabelSets, read_sets
from vidseg.errors import ConfigError
from vidseg.frames import NO_LABEL
from vidseg.labels import LabelSet

_SHOWN = 5
"""Classes named in a message; of more the others are counted."""


def meaning(layout: Layout, num_classes: int, labels: LabelSet | None, ignore: Sequence[str] = ()) -> LabelSets:
    """What the numbers in a data set's label maps mean to a network.

    The classes of the format are found by their names, also a group of several; `sets.csv` overrides that. Where the
    network's classes have no names, as many classes of the format are the same in order.

    Args:
        num_classes: K, of the network.
        labels: its classes; None: they have no names.
        ignore: classes that are unknown; of the format where it names some, else of the network. Others are left out.
    Raises:
        ConfigError: a class of the format is none of the network's, or `sets.csv` is wrong.
    """
    own = layout.classes
    ignored = set(known_words(own or labels, ignore))
    if own is None:
        found = read_sets(layout.root, num_classes)
        if ignored:
            found.table[list(ignored)] = NO_LABEL
        return found
    if labels is not None and labels.names == tuple(str(number) for number in range(num_classes)):
        labels = None
    named = _by_name(own, num_classes, labels)
    named.update({number: () for number in ignored})
    found = read_sets(layout.root, num_classes, named)
    lost = [name for number, name in enumerate(own.names) if found.table[number] < 0]
    if lost:
        listed = ", ".join(lost[:_SHOWN]) + (f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
        network = (
            f"among the {num_classes} classes of the network" if labels is not None else f"in {num_classes} classes"
        )
        words, them = (
            ",".join(lost[:_SHOWN]) + (",..." if len(lost) > _SHOWN else ""),
            "it" if len(lost) == 1 else "them",
        )
        raise ConfigError(
            f"{layout.root}: {layout.format} names {listed}, which {'is' if len(lost) == 1 else 'are'} not {network}; "
            f'leave {them} out with --ignore "{words}", '
            f"or say in {FILE} which class ids they are"
        )
    return found


def own_classes(layouts: Iterable[Layout], ignore: Sequence[str] = ()) -> LabelSet | None:
    """The classes that several data sets name, each once, without those to ignore; None where none names any.

    A data set with `sets.csv` does not count: that says what its labels are among other classes.
    """
    names: list[str] = []
    colours: list[list[int]] = []
    full_names: list[str] = []
    listed_by = ""
    for layout in layouts:
        own = layout.classes
        if own is None or (layout.root / FILE).exists():
            continue
        ignored = set(known_words(own, ignore))
        for number, name in enumerate(own.names):
            if number not in ignored and name not in names:
                names.append(name)
                full_names.append(own.full_names[number])
                colours.append(own.palette[number].tolist())
        listed_by = own.listed_by
    if not names:
        return None
    palette = np.array(colours, dtype=np.uint8)
    palette.setflags(write=False)
    return LabelSet(tuple(names), tuple(full_names), palette, listed_by)


def parse_ignore(text: str | None) -> tuple[str, ...]:
    """The words between the commas of --ignore. Raises ConfigError where there are none."""
    words = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    if text is not None and text != "" and not words:
        raise ConfigError(f"--ignore is {text!r}; accepted: names of classes, separated by commas")
    return words


def check_ignore(ignore: Sequence[str], layouts: Iterable[Layout], labels: LabelSet | None) -> None:
    """Raises ConfigError for a class that no data set names."""
    tables = [layout.classes or labels for layout in layouts]
    for word in ignore:
        if not any(known_words(table, [word]) for table in tables):
            names = [name for table in tables if table is not None for name in table.names]
            listed = ", ".join(dict.fromkeys(names[:20])) + (", ..." if len(names) > 20 else "")
            raise ConfigError(
                f"--ignore: no class '{word}'; known: {listed or 'class ids, as the labels have no names'}"
            )


def known_words(labels: LabelSet | None, words: Sequence[str]) -> list[int]:
    """The numbers of the classes that words name, without those that are none."""
    numbers: list[int] = []
    for word in words:
        if labels is None:
            numbers += [int(word)] if word.isascii() and word.isdigit() and int(word) < NO_LABEL else []
            continue
        exact = [number for number, name in enumerate(labels.names) if name.casefold() == word.casefold()]
        try:
            numbers += exact or labels.find_all([word])
        except ConfigError:
            continue
    return numbers


def _by_name(own: LabelSet, num_classes: int, labels: LabelSet | None) -> dict[int, ClassSet]:
    """Of each class of a format that is found, its classes of the network."""
    if labels is None:
        return {number: (number,) for number in range(len(own))} if len(own) == num_classes else {}
    if own.names == labels.names:
        return {number: (number,) for number in range(len(own))}
    found: dict[int, ClassSet] = {}
    for number, name in enumerate(own.names):
        members = known_words(labels, [name])
        if members:
            found[number] = tuple(sorted(members))
    return found
