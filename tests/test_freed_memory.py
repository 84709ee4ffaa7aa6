"""What was freed is there again without the system's help."""

import subprocess
import sys

import pytest

from vidseg.freed_memory import keep_freed_memory

PROGRAM = """
import resource, sys
import numpy as np
from vidseg.freed_memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = []
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(4 * 2**20, np.uint8) for _ in range(6)]
    del arrays
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[2:]))
"""


def faults(word: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not keep_freed_memory(), reason="needs glibc")
def test_large_arrays_come_from_what_was_freed():
    assert faults("keep") < faults("leave") / 10
