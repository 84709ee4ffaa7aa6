"""Names in messages: no credentials, one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.names import redact_url, shown_name, url_scheme, without_file_scheme


@pytest.mark.parametrize(
    ("given_url", "shown"),
    [
        ("rtsp://joe:pw@host/cam", "rtsp://***@host/cam"),
        ("rtsp://joe:pw@host:554/cam?x=1", "rtsp://***@host:554/cam?x=1"),
        ("rtsp://joe@host/cam", "rtsp://***@host/cam"),
        ("rtsp://joe:p/w@host/cam", "rtsp://***@host/cam"),
        ("rtsp://joe:p?w@host/cam", "rtsp://***@host/cam"),
        ("rtsp://joe:p@w@host/cam", "rtsp://***@host/cam"),
        ("rtsp://joe:pw@[::1]:554/cam", "rtsp://***@[::1]:554/cam"),
        ("rtsp://host/cam@2x", "rtsp://host/cam@2x"),
        ("rtsp://host:554/cam@2x", "rtsp://host:554/cam@2x"),
        ("rtsp://[::1]:554/cam@2x", "rtsp://[::1]:554/cam@2x"),
        ("http://host/v.mp4?token=abc&t=3", "http://host/v.mp4?token=***&t=3"),
        ("https://host/v?X-Amz-Signature=abc", "https://host/v?X-Amz-Signature=***"),
        ("srt://host:9?mode=caller&passphrase=abc", "srt://host:9?mode=caller&passphrase=***"),
        ("clip@home.mp4", "clip@home.mp4"),
        ("dir/a?token=1.mp4", "dir/a?token=1.mp4"),
    ],
)
def test_credentials_are_hidden_and_the_rest_stays(given_url: str, shown: str) -> None:
    assert redact_url(given_url) == shown


@given(
    user=st.text("abcXYZ0123456789._-%", min_size=1),
    password=st.text(st.characters(min_codepoint=33, exclude_characters="/?#"), min_size=1),
)
def test_no_password_is_shown(user: str, password: str) -> None:
    assert redact_url(f"rtsp://{user}:{password}@host/cam") == "rtsp://***@host/cam"


@given(st.text())
def test_shown_names_are_one_printable_line(text: str) -> None:
    assert shown_name(text).isprintable()


def test_a_scheme_needs_two_letters_and_slashes() -> None:
    assert url_scheme("RTSP://host") == "rtsp"
    assert url_scheme("C:\\clip.mp4") is None
    assert url_scheme("c://clip.mp4") is None
    assert url_scheme("10:30.mp4") is None
    assert url_scheme("a b://x") is None


def test_file_urls_become_paths() -> None:
    assert without_file_scheme("file:///tmp/a%20b.mp4") == "/tmp/a b.mp4"
    assert without_file_scheme("file://localhost/tmp/a.mp4") == "/tmp/a.mp4"
    assert without_file_scheme("/tmp/a%20b.mp4") == "/tmp/a%20b.mp4"
