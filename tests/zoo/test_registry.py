from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
import torch

from vidseg import zoo
from vidseg.errors import ModelError
from vidseg.models import create_model

NAMES = (
    "m2f-mobile-ade",
    "fai-m2f-n-ade",
    "fai-m2f-s-ade",
    "fai-m2f-m-ade",
    "fai-m2f-l-ade",
    "bisenetformer-s-ade",
    "bisenetformer-m-ade",
    "bisenetformer-l-ade",
)


def test_eight_models_are_known() -> None:
    assert tuple(entry.name for entry in zoo.entries()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_facts_agree_with_the_network(name: str) -> None:
    entry = zoo.entry(name)
    with torch.device("meta"):
        model = create_model(name)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}

    assert sum(parameter.numel() for parameter in model.parameters()) == entry.parameters
    assert [known.name for known in zoo.entries() if known.fits(shapes)] == [name]
    assert not any("classifier" in key for key in entry.probe), "a probe must not depend on the number of classes"


def test_only_the_five_published_models_have_an_address() -> None:
    published = {entry.name: entry.url for entry in zoo.entries() if entry.url}

    base = "https://public.focoos.ai/pretrained_models"
    assert published == {
        "fai-m2f-m-ade": f"{base}/fai-mf-m-ade/model_final.pth",
        "fai-m2f-l-ade": f"{base}/fai-mf-l-ade/model_final.pth",
        "bisenetformer-s-ade": f"{base}/bisenetformer-s-ade/model_final.pth",
        "bisenetformer-m-ade": f"{base}/bisenetformer-m-ade/model_final.pth",
        "bisenetformer-l-ade": f"{base}/bisenetformer-l-ade/model_final.pth",
    }


def test_every_accuracy_has_a_source_and_every_model_a_licence_and_sizes() -> None:
    for entry in zoo.entries():
        assert (entry.miou is None) == (entry.miou_source is None)
        assert entry.licence and entry.licence_note
        assert set(entry.imgsz) == {"cpu", "cuda"}
        assert all(size % 32 == 0 for size in entry.imgsz.values())
        assert (entry.miou is None) == (entry.short_side is None)


@pytest.mark.parametrize(
    ("word", "name"),
    [("fai-mf-m-ade", "fai-m2f-m-ade"), ("fai-mf-l-ade", "fai-m2f-l-ade"), (" FAI-M2F-N-ADE ", "fai-m2f-n-ade")],
)
def test_aliases_and_any_case_find_the_model(word: str, name: str) -> None:
    assert zoo.entry(word) is zoo.entry(name)


def test_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(ModelError, match=r"^unknown model 'fai-m2f-x-ade'; near: fai-m2f-.*; `vidseg models` lists"):
        zoo.entry("fai-m2f-x-ade")


def test_name_near_to_none_lists_all() -> None:
    with pytest.raises(ModelError, match=rf"unknown model 'yolo'; known: {', '.join(NAMES)}; "):
        zoo.entry("yolo")


def test_bundled_weights_are_the_ones_the_registry_describes() -> None:
    entry = zoo.entry("fai-m2f-n-ade")
    assert entry.bundled_path is not None
    content = entry.bundled_path.read_bytes()

    assert len(content) == entry.size
    assert hashlib.sha256(content).hexdigest() == entry.sha256


def test_bundled_weights_fit_their_network() -> None:
    entry = zoo.entry("fai-m2f-n-ade")
    assert entry.bundled_path is not None
    with torch.device("meta"):
        expected = {key: tuple(tensor.shape) for key, tensor in create_model(entry.name).state_dict().items()}

    tensors = zoo.match(zoo.read_checkpoint(entry.bundled_path), expected, entry.name, entry.bundled_path)

    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_card_of_the_bundled_model_states_its_limits_and_others_have_none() -> None:
    text = zoo.card("fai-m2f-n-ade")

    assert text is not None
    for phrase in ("Research use only", "never measured on ADE20K", "CamVid", "teacher", "0.606"):
        assert phrase in text
    assert zoo.card("fai-mf-l-ade") is None


def test_facts_and_cache_import_neither_torch_nor_the_network() -> None:
    code = (
        "import sys, vidseg.zoo as zoo; zoo.entries(); zoo.cached_entries(); zoo.card('fai-m2f-n-ade')\n"
        "sys.exit(str({'torch', 'safetensors', 'urllib.request', 'numpy'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (1, ""), "sys.exit('') exits 1 and prints nothing"


def test_lazy_names_are_all_there() -> None:
    assert all(callable(getattr(zoo, name)) for name in zoo.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fetch'"):
        zoo.fetch  # noqa: B018
