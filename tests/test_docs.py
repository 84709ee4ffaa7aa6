"""The README and docs/: links, pictures, the option reference, and nothing that a page loads from elsewhere."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import typer

from vidseg.cli.commands import app
from vidseg.config import RunConfig
from vidseg.zoo.registry import entry

ROOT = Path(__file__).parent.parent
README, DOCS = ROOT / "README.md", ROOT / "docs"
PAGES = (README, *sorted(DOCS.glob("*.md")))
_CODE = re.compile(r"^```.*?^```$|^    [^\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def _links(page: Path) -> list[str]:
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def _anchors(page: Path) -> set[str]:
    """What GitHub and MyST call the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", _CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def site():
    spec = importlib.util.spec_from_file_location("site_extension", DOCS / "site_extension.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_leads_somewhere(page):
    for link in _links(page):
        target, _, anchor = link.partition("#")
        file = page if not target else page.parent / target
        assert file.exists(), link
        assert not anchor or anchor in _anchors(file), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_of_the_repository_that_a_page_names_is_there(page):
    names = re.findall(r"`((?:vidseg|tests|benchmarks|docs|presets)/[\w./]*)`", page.read_text(encoding="utf-8"))
    assert not [name for name in names if not (ROOT / name).exists()]


def test_the_readme_is_short_and_every_page_is_reached_from_the_first_one():
    assert 120 <= len(README.read_text(encoding="utf-8").splitlines()) <= 150
    trees = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(encoding="utf-8"), re.DOTALL)
    listed = re.findall(r"^([\w-]+)$", "\n".join(trees), re.MULTILINE)
    assert sorted(["index", *listed]) == sorted(page.stem for page in PAGES if page != README)


def test_pictures_are_small_and_all_are_shown():
    shown = {ROOT / link for link in _links(README)} | {DOCS / link for page in PAGES for link in _links(page)}
    for picture in (DOCS / "pictures").iterdir():
        assert picture.stat().st_size <= (2_000_000 if picture.suffix == ".gif" else 100_000), picture.name
        assert picture in shown, picture.name


def test_the_models_table_names_the_bundled_model_as_the_default_one():
    default = RunConfig().model
    for page in (README, DOCS / "models.md"):
        bundled = re.findall(r"^\| `([\w-]+)` .*\| bundled \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert bundled[0] == default and all(entry(name).bundled for name in bundled)


def test_the_option_reference_has_every_option_of_every_command(site):
    text, commands = site.option_reference(), typer.main.get_command(app).commands
    assert len(re.findall(r"^## vidseg ", text, re.MULTILINE)) >= len(commands) >= 12
    for name, command in commands.items():
        (section,) = re.findall(rf"^## vidseg {name}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        for param in command.params:
            assert param.param_type_name == "argument" or f"`{param.opts[0]}" in section, param.name
    assert "| `--audio copy\\|none` |" in text and "`--show`, `--no-show`" in text


@pytest.mark.parametrize(
    "markup",
    [
        '<script async="async" src="https://cdn.example/x.js">',
        '<link rel="stylesheet" href="//fonts.example/a.css" />',
        "<img alt='' src='http://example.com/a.png'>",
        "@font-face { src: url(https://fonts.example/a.woff2) }",
        '@import "https://fonts.example/a.css"',
    ],
)
def test_what_a_page_would_load_from_elsewhere_is_found(site, markup):
    assert site.outside_loads(markup)


def test_links_and_own_files_are_no_loads_from_elsewhere(site):
    own = '<a href="https://example.com">x</a> <img src="_images/a.png"> <link rel="canonical" href="https://x/">'
    assert not site.outside_loads(own + " url(data:image/png;base64,AA) <script src='_static/a.js'></script>")


def test_a_default_reads_in_the_reference_as_in_the_help(site):
    assert "| `--video`, `--no-video` | Write annotated videos; default yes |" in site.option_reference()
    assert "| Number of images to take, spread evenly; default 200 |" in site.option_reference()
