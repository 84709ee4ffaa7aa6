"""`make weights`: its commands are understood, each finds what those before it wrote, the package gets the facts."""

from __future__ import annotations

import hashlib
import importlib.util
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.cli.documented_commands import parse
from vidseg import zoo
from vidseg.commands.sample import frames_of, sample_source
from vidseg.labels import ade20k

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def commands() -> list[list[str]]:
    """Words of each command, without running any."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    told = ["make", "-n", "-o", ".venv/installed", "weights", "DATA=data"]
    printed = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    return [shlex.split(line) for line in printed.replace("\\\n", "").splitlines()]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{name}_script", ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))  # as a script finds what lies beside it
        spec.loader.exec_module(module)
    return module


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_trainings_are_commands_that_vidseg_knows_with_a_share_for_each_folder(commands):
    trainings = [words[1:] for words in commands if words[0].endswith("/vidseg")]
    assert len(trainings) >= 2
    for words in trainings:
        parse(tuple(words))
        folders = [word for word in words[1:] if word.startswith(("data/", "runs/"))]
        folders = [word for word in folders if words[words.index(word) - 1] not in ("--val", "--init", "-o")]
        assert len(value(words, "--mix").split(",")) == len(folders), words


def test_scripts_know_their_options(commands):
    scripts = [words[1:] for words in commands if words[1].endswith(".py")]
    assert [words[0] for words in scripts][-2:] == ["benchmarks/package.py", "benchmarks/confidence.py"]
    for file, *words in scripts:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert all(f'"{word}"' in text for word in words if word.startswith("--")), words


def test_each_command_finds_what_those_before_it_wrote(commands):
    written = set()
    for words in commands:
        read = {word for word in words if word.startswith("runs/")}
        if "-o" in words:
            out = value(words, "-o")
            read.discard(out)
            made = {f"{out}/weights.safetensors"}
        elif words[1] == "-c":
            read.discard(words[-1])
            made = {words[-1]}
        else:
            made = {"runs/street", "runs/lights"} & read if words[1].startswith("samples/") else set()
            read -= made
        assert read <= written, (words, read - written)
        written |= made
    assert "runs/mobile.safetensors" in written


def test_the_mean_of_two_trainings_keeps_their_type(commands, tmp_path, monkeypatch):
    code = next(words[2] for words in commands if words[1] == "-c")
    files = [str(tmp_path / f"{name}.safetensors") for name in "abm"]
    for file, number in zip(files, (1.0, 3.0), strict=False):
        save_file({"w": torch.full((2,), number, dtype=torch.float16)}, file)
    monkeypatch.setattr(sys, "argv", ["-c", *files[:2], "0.75", files[2]])
    exec(code, {})
    mean = load_file(files[2])["w"]
    assert mean.dtype == torch.float16 and mean.tolist() == [2.5, 2.5]


def test_the_registry_gets_the_facts_of_new_weights_and_keeps_the_rest(tmp_path, monkeypatch):
    package = script("package")
    registry, weights = tmp_path / "registry.yaml", tmp_path / "m2f-mobile-ade.safetensors"
    shutil.copyfile(package.REGISTRY, registry)
    weights.write_bytes(b"new")
    monkeypatch.setattr(package, "REGISTRY", registry)
    before = yaml.safe_load(registry.read_text(encoding="utf-8"))
    package.set_facts("m2f-mobile-ade", weights)
    facts = {"sha256": hashlib.sha256(b"new").hexdigest(), "size": 3}
    expected = [each | (facts if each["name"] == "m2f-mobile-ade" else {}) for each in before["models"]]
    assert yaml.safe_load(registry.read_text(encoding="utf-8"))["models"] == expected != before["models"]


def test_a_card_has_the_marks_of_both_scripts_and_gets_new_lines_between_them(tmp_path):
    package, confidence = script("package"), script("confidence")
    card = tmp_path / "card.md"
    shutil.copyfile(package.WEIGHTS / "m2f-mobile-ade.md", card)
    old = card.read_text(encoding="utf-8")
    for marks in (package, confidence):
        package.write_between(card, marks.BEGIN, marks.END, ["| new | table |"])
    new = card.read_text(encoding="utf-8")
    assert new.count("\n\n| new | table |\n\n") == 2 and old.split("## Licence")[1] == new.split("## Licence")[1]


def test_a_class_that_is_hardly_ever_said_is_said_more_readily(tmp_path):
    package = script("package")
    given, pictures = tmp_path / "w.safetensors", tmp_path / "pictures"
    shutil.copyfile(package.WEIGHTS / "m2f-mobile-ade.safetensors", given)
    pictures.mkdir()
    cv2.imwrite(str(pictures / "a.png"), cv2.cvtColor(frames_of(sample_source(), 1)[0].image, cv2.COLOR_RGB2BGR))
    before = load_file(given)
    package.with_rare_classes(given, "m2f-mobile-ade", pictures, 0.5)
    after = load_file(given)
    rise = after[package.CLASS_BIAS].float() - before.pop(package.CLASS_BIAS).float()
    road, shower = (ade20k().find(name) for name in ("road", "shower"))
    assert rise[road] < 0 < rise[shower] < 2 and rise[150] == 0  # "no object" stays
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert zoo.weights_calibration(given) == zoo.weights_calibration(package.WEIGHTS / "m2f-mobile-ade.safetensors")
