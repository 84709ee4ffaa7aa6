"""The errors that vidseg raises on purpose.

Each message is one line that says what was given, what is accepted, and what to do. The command line prints it and
exits with `exit_code`; anything that is not a `VidsegError` is a bug and keeps its traceback.
"""

from __future__ import annotations

from vidseg.names import shown_name


class VidsegError(Exception):
    """Base of all errors that a user can cause and fix. `exit_code` is what the command line returns."""

    exit_code = 2


class ConfigError(VidsegError):
    """An option, preset or config file contains something unknown or out of range."""


class SourceError(VidsegError):
    """A source cannot be opened or read."""


class InputChangedError(SourceError):
    """An input was written to or removed while it was being read."""

    exit_code = 1


class SinkError(VidsegError):
    """An output cannot be opened: no permission, unknown container or codec, exists already."""


class WriteError(SinkError):
    """An output failed while it was written: disk full, encoder failure, folder gone."""

    exit_code = 1

    def ending_at(self, place: str) -> WriteError:
        """The error of an output that is kept up to `place`."""
        what, separator, advice = str(self).rpartition("; ")
        if not separator:
            what, advice = advice, ""
        return WriteError(f"{what}, ends at {place}{separator}{advice}")


class ReceiverError(WriteError):
    """The receiver of a stream was unreachable or is gone; other outputs are complete."""


class DisplayError(VidsegError):
    """A window was requested but cannot be shown."""


class ServeError(VidsegError):
    """The web page or the metrics cannot be served: address taken, not of this machine, or a library missing."""


class ResumeError(VidsegError):
    """The kept part of an unfinished run is damaged, incomplete, or from other settings or another input."""


class WorkerError(VidsegError):
    """One of the processes that share a run ended before its part was done."""

    exit_code = 1


class ModelError(VidsegError):
    """A model name is unknown or a configuration cannot be built."""


class CheckpointError(VidsegError):
    """A weights file cannot be read or does not fit the model."""


class TrainingError(VidsegError):
    """Training cannot continue: the loss is no longer a number."""

    exit_code = 1


class DownloadError(VidsegError):
    """Weights could not be fetched: no network, broken transfer, wrong size or hash."""

    exit_code = 1


class ExportError(VidsegError):
    """An exported network does not compute what the original computes."""

    exit_code = 1


class MemoryShortError(VidsegError):
    """The request needs more memory than there is."""

    exit_code = 1


class DeviceError(VidsegError):
    """The requested device or runtime is unavailable here."""


def short_reason(error: BaseException, otherwise: str | None = None) -> str:
    """The few words of an error, without the file it is about; `otherwise` where the system has none for it."""
    return str(getattr(error, "strerror", None) or otherwise or error)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def all_in_one_line(error: BaseException) -> str:
    """What an engine says, which may be pages: the beginning of it in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def unexpected(error: BaseException) -> str:
    """What is said of an error that nobody foresaw, in one line without passwords."""
    return f"unexpected {type(error).__name__}: {shown_name(first_line(error))}"


def first_sentence(error: BaseException) -> str:
    """What an error of another library says, less the advice and the pages that follow."""
    return str(error).partition("\n")[0].partition(". ")[0]
