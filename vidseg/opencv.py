"""Which package brings OpenCV here, and what to do about one that does not load or has no windows.

`opencv-python-headless` is the one that vidseg asks for: it needs no library of a desktop, and opens no windows.
`opencv-python` opens windows and needs libGL. Both put their files into the folder `cv2`, so only one may be installed.
"""

from __future__ import annotations

import traceback
from pathlib import Path

HEADLESS, WINDOWED = "opencv-python-headless", "opencv-python"
_PACKAGES = (HEADLESS, WINDOWED, "opencv-contrib-python-headless", "opencv-contrib-python")
HOW_TO_GET_WINDOWS = f"`pip uninstall -y {HEADLESS} && pip install {WINDOWED}`"


def installed_packages() -> dict[str, str]:
    """Version by name of the packages that bring the folder `cv2`; more than one is a fault."""
    from importlib.metadata import PackageNotFoundError, version  # slow; `vidseg -h` needs none of it

    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def too_many(packages: dict[str, str]) -> str | None:
    """What to do about several packages that overwrite each other's files; None where there is one, or none."""
    if len(packages) < 2:
        return None
    commands = f"`pip uninstall -y {' '.join(packages)} && pip install {HEADLESS}`"
    return f"{' and '.join(packages)} overwrite each other: {commands}"


def import_problem(error: ImportError) -> str | None:
    """One line about a library that does not load, and what to do; None for other errors, such as a mistake of ours."""
    said = (str(error).strip() or "no reason given").splitlines()[0]
    if _from_opencv(error):
        return f"OpenCV cannot be loaded: {said}; {_advice(said, installed_packages())}"
    if error.path is not None and error.path.endswith((".so", ".pyd")):
        return (
            f"{error.name} cannot be loaded: {said}; install its package again, or the system library that is missing"
        )
    return None


def _from_opencv(error: ImportError) -> bool:
    if error.name == "cv2":
        return True
    return any("cv2" in Path(frame.filename).parts for frame in traceback.extract_tb(error.__traceback__))


def _advice(said: str, packages: dict[str, str]) -> str:
    if (several := too_many(packages)) is not None:
        return several
    package = next(iter(packages), HEADLESS)
    if "cannot open shared object file" in said and package == WINDOWED:
        return (
            f"`pip uninstall -y {WINDOWED} && pip install {HEADLESS}` avoids it (but opens no windows); "
            "on Debian or Ubuntu `apt-get install libgl1 libglib2.0-0` installs it"
        )
    return f"`pip install --force-reinstall --no-deps {package}` installs it again"
