from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from pathlib import Path

import pytest

from tests.zoo.conftest import GOOD, NAME, OTHER, SAME_SIZE, Client
from tests.zoo.server import Answer, Behaviour, Loopback, serve, status
from vidseg.zoo.download import pull


def test_broken_download_is_continued_where_it_broke(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD, cut=300_000), serve(GOOD))

    client.pull()

    assert client.path.read_bytes() == GOOD
    assert server.requests[1]["Range"] == "bytes=300000-"
    assert server.requests[1]["If-Range"] == '"v1"'
    assert client.slept == [1.0]
    assert client.said[1] == (
        f"{NAME}: the connection broke after 300000 of {len(GOOD)} bytes; trying again in 1 s (attempt 2 of 3)"
    )


def test_download_that_breaks_again_and_again_makes_progress(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD, cut=300_000), serve(GOOD, cut=200_000), serve(GOOD))
    client.pull()
    assert client.path.read_bytes() == GOOD
    assert server.requests[2]["Range"] == "bytes=500000-"
    assert client.slept == [1.0, 2.0]


def test_connection_reset_is_retried(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD, cut=300_000, reset=True), serve(GOOD))
    client.pull()
    assert client.path.read_bytes() == GOOD
    assert len(server.requests) == 2


def test_weak_etag_gives_way_to_the_date(server: Loopback, client: Client) -> None:
    date = "Wed, 01 Jan 2025 00:00:00 GMT"
    server.play(serve(GOOD, etag='W/"v1"', modified=date, cut=300_000), serve(GOOD, etag=None, modified=date))
    client.pull()
    assert client.path.read_bytes() == GOOD
    assert server.requests[1]["If-Range"] == date


def test_part_is_not_continued_when_the_server_cannot_prove_it_is_the_same_file(
    server: Loopback, client: Client
) -> None:
    server.play(serve(GOOD, etag=None, cut=300_000), serve(OTHER, etag=None))
    client.pull()
    assert "Range" not in server.requests[1]
    assert client.path.read_bytes() == OTHER


def test_server_without_ranges_starts_over(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD, cut=300_000), serve(GOOD, ranges=False))
    client.pull()
    assert "Range" in server.requests[1]
    assert client.path.read_bytes() == GOOD


def test_file_changed_between_the_pieces_is_fetched_anew(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD, cut=300_000), serve(OTHER, etag='"v2"'))
    client.pull()
    assert client.path.read_bytes() == OTHER


def test_file_changed_behind_a_server_that_ignores_if_range_is_fetched_anew(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD, cut=300_000), serve(OTHER, etag='"v2"', honest=False))
    client.pull()
    assert client.path.read_bytes() == OTHER
    assert "the server continued with another file or place; starting over" in client.said[2]


def wrong_place(_: dict[str, str]) -> Answer:
    return Answer(206, GOOD[:100], {"ETag": '"v1"', "Content-Range": f"bytes 0-99/{len(GOOD)}"})


def no_place(_: dict[str, str]) -> Answer:
    return Answer(206, GOOD[300_000:], {"ETag": '"v1"', "Content-Range": "pages 3-4"})


@pytest.mark.parametrize("behaviour", [wrong_place, no_place])
def test_piece_from_the_wrong_place_is_not_appended(server: Loopback, client: Client, behaviour: Behaviour) -> None:
    server.play(serve(GOOD, cut=300_000), behaviour, serve(GOOD))
    client.pull()
    assert client.path.read_bytes() == GOOD


def test_part_longer_than_the_new_file_is_dropped(server: Loopback, client: Client) -> None:
    server.play(serve(OTHER, cut=len(OTHER) - 10), serve(GOOD, honest=False), serve(GOOD))
    client.pull()
    assert client.path.read_bytes() == GOOD
    assert "the server's file is shorter than the part here" in client.said[2]


def test_part_that_turns_out_to_be_the_whole_file_is_taken(server: Loopback, client: Client) -> None:
    def too_much_announced(request: dict[str, str]) -> Answer:
        answer = serve(GOOD)(request)
        return dataclasses.replace(answer, announced=len(GOOD) + 1000)

    server.play(too_much_announced, serve(GOOD))
    client.pull()
    assert client.path.read_bytes() == GOOD


def test_announced_length_never_reached_is_an_error_that_keeps_the_part(server: Loopback, client: Client) -> None:
    server.play(lambda _: Answer(200, GOOD, {}, announced=len(GOOD) + 1000))
    client.fails(f"the connection broke after {len(GOOD)} of {len(GOOD) + 1000} bytes (3 attempts); try `vidseg models")
    assert client.slept == [1.0, 2.0]
    assert client.part.exists()


def test_failed_resume_keeps_the_part_through_a_busy_server(server: Loopback, client: Client) -> None:
    server.play(serve(GOOD, cut=300_000), status(503), serve(GOOD))
    client.pull()
    assert server.requests[2]["Range"] == "bytes=300000-"
    assert client.path.read_bytes() == GOOD


def test_bad_file_put_together_from_pieces_is_begun_again(server: Loopback, client: Client) -> None:
    client.knows(sha256=hashlib.sha256(SAME_SIZE).hexdigest())
    server.play(serve(GOOD, cut=300_000), serve(SAME_SIZE), serve(SAME_SIZE))  # same ETag, other bytes
    client.pull()
    assert client.path.read_bytes() == SAME_SIZE
    assert "Range" not in server.requests[2]


def test_interrupt_leaves_a_part_that_the_next_pull_continues(server: Loopback, client: Client) -> None:
    def interrupt(done: int, _: int | None) -> None:
        if done >= 100_000:
            raise KeyboardInterrupt

    server.play(serve(GOOD))
    with pytest.raises(KeyboardInterrupt):
        client.pull(progress=interrupt)
    held = client.part.stat().st_size
    assert 100_000 <= held < len(GOOD)
    assert not client.path.exists()

    client.pull()

    assert server.requests[1]["Range"] == f"bytes={held}-"
    assert client.steps[0] == (held, len(GOOD))
    assert client.path.read_bytes() == GOOD


def test_whole_part_needs_no_server(server: Loopback, client: Client) -> None:
    client.folder.mkdir()
    client.part.write_bytes(GOOD)
    version = {"url": server.url, "etag": '"v1"', "last_modified": None, "total": len(GOOD)}
    Path(f"{client.part}.json").write_text(json.dumps(version))
    client.pull()
    assert client.path.read_bytes() == GOOD
    assert server.requests == []


@pytest.mark.parametrize(
    "note",
    [
        "",
        '{"url": 3}',
        '{"url": "http://elsewhere/x", "etag": "\\"v1\\"", "total": 900000}',
        '{"url": "HERE", "etag": "\\"v1\\"", "total": 9}',
    ],
    ids=["no note", "nonsense", "another address", "more bytes than there are"],
)
def test_part_of_unknown_origin_is_not_continued(server: Loopback, client: Client, note: str) -> None:
    client.folder.mkdir()
    client.part.write_bytes(b"bytes of something else")
    Path(f"{client.part}.json").write_text(note.replace("HERE", server.url))
    server.play(serve(GOOD))
    client.pull()
    assert "Range" not in server.requests[0]
    assert client.path.read_bytes() == GOOD


def test_redirect_is_followed_with_the_range(server: Loopback, client: Client) -> None:
    moved = status(302, Location=f"{server.url}?there")
    server.play(moved, serve(GOOD, cut=300_000), moved, serve(GOOD))
    client.pull()
    assert server.requests[3]["Range"] == "bytes=300000-"
    assert client.path.read_bytes() == GOOD


def test_two_pulls_at_once_download_once(server: Loopback, client: Client) -> None:
    second_waits, results = threading.Event(), []
    server.play(serve(GOOD, hold=second_waits))
    other = Client(server, client.folder)
    started = threading.Event()

    def first() -> None:
        results.append(client.pull(progress=lambda done, _: started.set() if done else None))

    def say(text: str) -> None:
        other.said.append(text)
        second_waits.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert started.wait(20)
    results.append(pull(other.entry, cache_dir=other.folder, announce=say))
    thread.join(20)

    assert results == [client.path, client.path]
    assert other.said == [f"{NAME}: another process is downloading it; waiting"]
    assert len(server.requests) == 1
    assert client.path.read_bytes() == GOOD
