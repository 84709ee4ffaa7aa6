"""One reader for all YAML: whatever a file holds, the answer is its value or one line, soon."""

from datetime import date

import pytest

from vidseg import yaml_file
from vidseg.data.mapping import read_mapping
from vidseg.errors import ConfigError
from vidseg.presets import read_options
from vidseg.runtimes.model_file import read_model_file
from vidseg.yaml_file import MAX_DEPTH, parse_yaml, read_yaml

ACCEPTED = "write a list"

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)

BAD = {
    "impossible date": ("v: 2024-99-99", "at line 1 ('2024-99-99' is not a value)"),
    "number without digits": ("\nv: 0b_", "at line 2 ('0b_' is not a value)"),
    "long number": ("v: " + "9" * 5000, "at line 1 (a number of 5000 characters)"),
    "long hexadecimal number": ("v: 0x" + "f" * 5000, "at line 1 (a number of 5002 characters)"),
    "long number in sixties": ("v: 1" + ":11" * 2000, "at line 1 (a number of 6001 characters)"),
    "no number": ("v: !!int ''", "at line 1 ('' is not a value)"),
    "no truth value": ("v: !!bool perhaps", "; "),
    "no time": ("v: !!timestamp soon", "; "),
    "code point that does not exist": ('v: "\\U00110000"', "; "),
    "half a character": ('v: "a\\ud800"', "at line 1 (a character that is not allowed in names or text)"),
    "NUL in a value": ('\nv: "a\\0.png"', "at line 2 (a character that is not allowed in names or text)"),
    "NUL in a key": ('"a\\0": 1', "at line 1 (a character that is not allowed in names or text)"),
    "deep lists": ("[" * 100_000, f"at line 1 (more than {MAX_DEPTH} levels)"),
    "deep lists in blocks": ("- " * 5_000, f"at line 1 (more than {MAX_DEPTH} levels)"),
    "deep keys": ("? " * 5_000, f"at line 1 (more than {MAX_DEPTH} levels)"),
    "alias bomb": (BOMB, "at line 5 (more than 20000 values)"),
    "alias bomb of merged keys": (BOMB.replace("[x", "[{k: v}").replace("a9:", "b: {<<: *a8}\na9:"), "(more than"),
    "a list in itself": ("v: &a [*a]", "at line 1 (a value that contains itself)"),
    "a mapping merged into itself": ("&a {<<: *a}", "at line 1 (a value that contains itself)"),
    "list as key": ("? [a]\n: b", "at line 1"),
    "tag of Python": ("v: !!python/object/apply:os.system [ls]", "at line 1"),
    "a key twice": ("a: 1\nb: {c: 1,\n  c: 2}", "at line 3 ('c' is there twice)"),
    "two documents": ("a: 1\n---\nb: 2", "at line"),
    "control character": ("a: \x07", "; "),
}


@pytest.mark.parametrize(("text", "detail"), BAD.values(), ids=BAD)
def test_what_cannot_be_read_is_one_line(text, detail):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "mine.yaml", accepted=ACCEPTED)
    message = str(caught.value)
    assert message.startswith("mine.yaml: not valid YAML") and message.endswith(f"; {ACCEPTED}")
    assert detail in message and "\n" not in message and len(message) < 200


def test_ordinary_files_are_read_as_ever_with_aliases_and_merged_keys(tmp_path):
    text = (
        "base: &base {a: 1, b: [x, 2.5]}\nmore: {<<: *base, <<: {c: 4}, a: 2}\ntwice: [*base, *base]\nday: 2024-02-29\n"
        'none:\nyes: on\ntext: "tab\\t und Umlaut ä"\n'
    )
    base = {"a": 1, "b": ["x", 2.5]}
    expected = {
        "base": base,
        "more": {"a": 2, "b": ["x", 2.5], "c": 4},
        "twice": [base, base],
        "day": date(2024, 2, 29),
        "none": None,
        True: True,
        "text": "tab\t und Umlaut ä",
    }
    assert parse_yaml(text, "x", accepted=ACCEPTED) == expected
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_yaml(tmp_path / "bom.yaml", missing="gone", accepted=ACCEPTED) == expected


@pytest.mark.parametrize("content", [b"a: " + b"x" * 300_000, "ä".encode() * 200_000], ids=["ascii", "utf-8"])
def test_a_large_file_is_refused_before_it_is_parsed(tmp_path, content, monkeypatch):
    monkeypatch.setattr(yaml_file, "parse_yaml", None)
    path = tmp_path / "large.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"large\.yaml: larger than 256 kB; write a list"):
        read_yaml(path, missing="gone", accepted=ACCEPTED)


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: gone$"):
        read_yaml(tmp_path / "none.yaml", missing="gone", accepted=ACCEPTED)
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        read_yaml(tmp_path, missing="gone", accepted=ACCEPTED)


@pytest.mark.parametrize(
    "read", [read_options, lambda path: read_model_file(str(path)), lambda path: read_mapping(str(path))]
)
@pytest.mark.parametrize("text", ["stride: 2024-99-99", "labels: 0b_", BOMB, "[" * 5000])
def test_every_file_of_a_user_goes_through_it(tmp_path, read, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.yaml: not valid YAML.*; [^\n]*$"):
        read(path)
