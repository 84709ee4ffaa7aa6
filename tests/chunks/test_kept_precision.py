"""A run that is gone on with computes in the number format that it was begun with."""

import pytest

from vidseg.chunks.resume import with_kept_precision
from vidseg.config import RunConfig
from vidseg.wiring.work_folder import WorkFolder


@pytest.mark.parametrize(
    ("given", "kept", "expected"),
    [("auto", "bfloat16", "bfloat16"), ("float32", "bfloat16", "float32"), ("auto", None, "auto")],
)
def test_the_number_format_of_the_first_process_is_kept(tmp_path, given, kept, expected):
    folder = WorkFolder(tmp_path / "out.mp4")
    if kept is not None:
        folder.claim()
        folder.commit({"pieces": 0, "facts": {"settings": {"precision": kept}}})
    assert with_kept_precision(RunConfig(precision=given), folder).precision == expected
