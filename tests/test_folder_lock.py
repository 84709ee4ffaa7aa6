"""One process at a time in a folder; what a killed one leaves behind is in nobody's way."""

import subprocess
import sys
from pathlib import Path

import pytest

from vidseg.errors import ConfigError
from vidseg.folder_lock import locked

ROOT = Path(__file__).parent.parent
HOLDS = """
import os, sys
from pathlib import Path
from vidseg.folder_lock import locked
with locked(Path(sys.argv[1])):
    if os.fork() == 0:  # as a reading process
        sys.stdin.read()
        os._exit(0)
    print("held", flush=True)
    os.waitpid(-1, 0)
"""


def test_a_killed_holder_lets_go_though_its_child_lives(tmp_path):
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="another run is using it"), locked(tmp_path):
            pass
        other.kill()
        other.wait(timeout=60)
        assert (tmp_path / "lock").exists()
        with locked(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_goes_with_an_error_too(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"), locked(tmp_path / "missing"):
        pass
