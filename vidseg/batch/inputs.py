"""From the words of a command line to the files of a batch: files, folders, globs, URLs, lists, standard input."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from vidseg.batch.identity import is_remote, known_as
from vidseg.batch.remote_files import find_files
from vidseg.errors import ConfigError, SourceError, short_reason
from vidseg.names import counted, expand_user, shown_name, url_scheme, without_file_scheme
from vidseg.sources.image_source import IMAGE_SUFFIXES
from vidseg.wildcards import is_glob, matching_paths
from vidseg.wiring.input_files import Identity, identity_of

VIDEO_ENDINGS = (
    *(".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265", ".hevc"),
    *(".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf"),
    *(".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"),
)
"""What is taken from a folder. A file named by itself may have any ending."""

COMMENT = "#"


@dataclass(frozen=True, slots=True)
class Input:
    """One file to be done."""

    path: str
    """Absolute, or a URL."""
    name: str
    """As it was given or found; for people."""
    folder: str = ""
    """Where below the searched folder it was found, relative; empty for a file named by itself."""
    identity: Identity | None = None
    """When it was found; None where it is not there."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something given that no job can be made of, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Found:
    """All inputs in the order in which they were given, those of a folder by name."""

    inputs: list[Input] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_inputs(
    words: Iterable[str],
    *,
    lists: Iterable[str] = (),
    patterns: Sequence[str] = (),
    null: bool = False,
    out_dir: str | None = None,
    stdin: Callable[[], bytes],
) -> Found:
    """All files that the words and lists name, each once.

    Args:
        words: files, folders (searched to the bottom) and globs, also as URLs, and `-` for a list on standard input.
        lists: files with one such word a line; empty lines and those that begin with # are skipped. A relative name
            is looked for in the working directory, then beside the list.
        patterns: which files of a folder are taken, e.g. "*.mp4"; empty takes those with a video's ending. Hidden
            files and folders, and unfinished `.part` files, are left out in any case.
        null: words of lists end with NUL instead of a line break, and have no comments.
        out_dir: not searched when it lies inside a searched folder.
        stdin: reads all of standard input.
    Raises:
        ConfigError: a list cannot be read, or a package for a URL is missing.
    """
    search = _Search([pattern.casefold() for pattern in patterns], out_dir)
    for word in words:
        if word == "-":
            search.add_all(list_words(stdin(), null=null), None)
        else:
            search.add(word, None)
    for name in lists:
        try:
            data = stdin() if name == "-" else Path(expand_user(name)).read_bytes()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{shown_name(name)}: cannot read the list ({short_reason(error)}); give a text file"
            ) from None
        base = None if name == "-" else os.path.dirname(os.path.abspath(expand_user(name)))
        search.add_all(list_words(data, null=null), base)
    if search.repeats:
        inputs = "1 input was" if search.repeats == 1 else f"{search.repeats} inputs were"
        search.found.notes.append(f"{inputs} given more than once; each is processed once")
    return search.found


def list_words(data: bytes, *, null: bool = False) -> list[str]:
    """The words of a list: lines without the spaces around them, or NUL-separated as they are."""
    if null:
        return [os.fsdecode(part) for part in data.split(b"\0") if part]
    lines = (os.fsdecode(line).strip() for line in data.removeprefix(b"\xef\xbb\xbf").splitlines())
    return [line for line in lines if line and not line.startswith(COMMENT)]


class _Search:
    """Collects inputs. Remembers files and folders by what they really are, so that links lead to nothing twice."""

    def __init__(self, patterns: Sequence[str], out_dir: str | None) -> None:
        self.found = Found()
        self.repeats = 0
        self._patterns = patterns
        self._out_dir = None if out_dir is None else known_as(out_dir)
        self._files: set[str] = set()

    def add_all(self, words: Iterable[str], base: str | None) -> None:
        for word in words:
            self.add(word, base)

    def add(self, word: str, base: str | None) -> None:
        """Take one word; `base` is where a relative name of a list may lie as well."""
        if is_remote(word):
            self._add_remote(word)
            return
        scheme = url_scheme(word)
        if scheme not in (None, "file"):
            self._refuse(word, "a batch takes files only; use `vidseg run` for streams")
            return
        path = expand_user(without_file_scheme(word))
        if not path or "\0" in path:
            self._refuse(word, "is not a file name")
            return
        if base is not None and not os.path.lexists(path) and not matching_paths(path):
            path = os.path.join(base, path)
        if os.path.isdir(path):
            self._add_folder(path, word)
        elif os.path.lexists(path) or not is_glob(path):
            self._add_file(path, word)
        else:
            self._add_glob(path, word)

    def _add_remote(self, word: str) -> None:
        try:
            files = find_files(word, self._is_wanted)
        except SourceError as error:
            self._refuse(shown_name(word), str(error))
            return
        for item in files:
            if self._out_dir is not None and item.folder and known_as(item.url).startswith(self._out_dir + "/"):
                continue
            if item.url in self._files:
                self.repeats += 1
                continue
            self._files.add(item.url)
            self.found.inputs.append(Input(item.url, shown_name(item.url), item.folder, item.identity))

    def _add_glob(self, pattern: str, word: str) -> None:
        ending = os.path.splitext(pattern)[1]
        any_ending = bool(ending) and not is_glob(ending)
        # "**" finds what is in the folders that it finds as well
        whole_folders = "**" not in pattern or os.path.basename(pattern) not in ("*", "**")
        before = len(self.found.inputs) + len(self.found.unusable) + self.repeats
        for path in matching_paths(pattern):
            if os.path.isdir(path):
                if whole_folders:
                    self._add_folder(path, path)
            elif any_ending or self._is_wanted(os.path.basename(path)):
                self._add_file(path, path)
        if len(self.found.inputs) + len(self.found.unusable) + self.repeats == before:
            self._refuse(word, "no video matches")

    def _add_folder(self, top: str, word: str) -> None:
        """Take all wanted files below `top`, folder by folder."""
        before = len(self.found.inputs) + self.repeats
        images = 0
        seen = {os.path.realpath(top)}
        folders = [("", top)]
        while folders:
            relative, folder = folders.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                self._refuse(folder, f"cannot be searched ({error.strerror})")
                continue
            below: list[tuple[str, str]] = []
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    real = os.path.realpath(entry.path)
                    if real not in seen and real != self._out_dir:
                        seen.add(real)
                        below.append((os.path.join(relative, entry.name), entry.path))
                elif self._is_wanted(entry.name):
                    self._add_file(entry.path, entry.path, relative)
                else:
                    images += os.path.splitext(entry.name)[1].casefold() in IMAGE_SUFFIXES
            folders += reversed(below)
        pictures = counted(images, "image")
        if len(self.found.inputs) + self.repeats == before:
            kinds = f"file that matches {' '.join(self._patterns)}" if self._patterns else "video"
            instead = f", but {pictures}, which `vidseg run` takes" if images and not self._patterns else ""
            self._refuse(word, f"no {kinds} in this folder{instead}")
        elif images and not self._patterns and os.path.realpath(top) != self._out_dir:  # where charts may lie
            self.found.notes.append(f"{shown_name(word)}: {pictures} left out; `vidseg run` takes videos and images")

    def _is_wanted(self, name: str) -> bool:
        """Whether a file of this name is taken where it was not named by itself."""
        lower = name.casefold()
        if lower.startswith(".") or lower.endswith(".part"):
            return False
        if self._patterns:
            return any(fnmatchcase(lower, pattern) for pattern in self._patterns)
        return os.path.splitext(lower)[1] in VIDEO_ENDINGS

    def _add_file(self, path: str, name: str, folder: str = "") -> None:
        real = os.path.realpath(path)
        if real in self._files:
            self.repeats += 1
            return
        self._files.add(real)
        if os.path.islink(path) and not os.path.exists(path):
            self._refuse(name, "is a broken link")
        elif not os.path.exists(path):
            self._refuse(name, "no such file")
        elif not os.path.isfile(path):
            self._refuse(name, "is not a regular file")
        else:
            self.found.inputs.append(Input(os.path.abspath(path), name, folder, identity_of(path)))

    def _refuse(self, name: str, reason: str) -> None:
        self.found.unusable.append(Unusable(name, reason))
