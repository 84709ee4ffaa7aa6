"""What viewers can wish for."""

from __future__ import annotations

import pytest

from vidseg.serve.view import PictureSpec, parse_spec

DEFAULT = PictureSpec(opacity=0.3, hidden=(7,), contours=True)


def parse(**query):
    return parse_spec(query, DEFAULT, class_count=150, stream_count=2)


def test_who_says_nothing_gets_the_default():
    assert parse() == DEFAULT


def test_wishes_are_read_and_equal_ones_are_equal():
    spec = parse(view="side", opacity="0.5", hide="20,2,,2", contours="0", labels="1", width="700")
    assert spec == PictureSpec("side", 0.5, (2, 20), False, True, 960)
    assert parse(opacity="0.501") == parse(opacity="0.5")
    assert parse(hide="").hidden == ()
    assert (parse(stream="1").stream, parse(stream="").stream, parse().stream) == (1, None, None)


def test_confidence_is_a_view_where_the_run_keeps_it():
    assert parse_spec({"view": "confidence"}, DEFAULT, class_count=150, has_confidence=True).view == "confidence"


def test_a_wish_beyond_the_widest_gives_full_size():
    assert parse(width="2560").max_width == 2560
    assert parse(width="2561").max_width is None


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"view": "fish"}, "accepted: overlay, mask, side"),
        ({"view": "confidence"}, "view is 'confidence'; accepted: overlay, mask, side, stack, split$"),
        ({"opacity": "1.1"}, "opacity is '1.1'; accepted: a number from 0 to 1"),
        ({"opacity": "nan"}, "accepted: a number"),
        ({"opacity": ""}, "accepted: a number"),
        ({"hide": "2;3"}, "hide accepts class ids"),
        ({"hide": "150"}, "from 0 to 149"),
        ({"hide": ",".join(["1"] * 151)}, "hide accepts class ids"),
        ({"contours": "yes"}, "accepted: 0 or 1"),
        ({"stream": "2"}, "stream is '2'; accepted: numbers from 0 to 1, or nothing for all"),
        ({"stream": "-1"}, "stream is '-1'"),
        ({"width": "0"}, "width is '0'"),
    ],
)
def test_an_impossible_wish_is_answered_in_one_line(query, text):
    with pytest.raises(ValueError, match=text):
        parse(**query)
