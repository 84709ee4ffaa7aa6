"""A TorchScript file runs only where the user vouches for it: loading it is enough to write a file."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import vidseg
from vidseg.errors import ConfigError


class Poisoned(torch.nn.Module):
    """A network that writes `written.pt` as soon as it is loaded."""

    def __init__(self):
        super().__init__()
        self.training = False

    @torch.jit.export
    def __getstate__(self):
        return (torch.zeros(1), self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]):
        self.training = state[1]
        torch.save(state[0], "written.pt")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, :, ::4, ::4].float()


@pytest.fixture
def network(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.torchscript"
    torch.jit.script(Poisoned()).save(str(path))
    path.with_suffix(".yaml").write_text("labels: [red, green, blue]\ninput: {size: [32, 48], dtype: uint8}\n")
    for folder in ("ds/images", "ds/labels"):
        Path(folder).mkdir(parents=True)
        cv2.imwrite(f"{folder}/a.png", np.zeros((32, 48), np.uint8))
    return path


COMMANDS = {
    "run": ["run", "ds/images/a.png", "--save-masks", "masks"],
    "batch": ["batch", "ds/images", "--pattern", "*.png", "-o", "out"],
    "eval": ["eval", "ds"],
    "bench": ["bench", "test:48x32@10,frames=6", "--batch", "1", "--seconds", "0.02", "--threads", "1"],
    "info": ["models", "info"],
}


@pytest.mark.parametrize("given", ["net.torchscript", "net.yaml"])
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_no_command_opens_it_unasked_and_the_line_says_why_and_what_to_use(cli, network, words, given):
    result = cli(*words, *([] if words[0] == "models" else ["-m"]), given)
    assert result.code == 2 and result.err.count("vidseg: error: ") == 1 and "Traceback" not in result.err, result.err
    for text in ("net.torchscript", "can write any of your files", "--trust-model", "vidseg export --format onnx"):
        assert text in result.err
    assert not os.path.exists("written.pt")


def test_as_weights_it_is_refused(cli, network):
    result = cli("run", "ds/images/a.png", "--save-masks", "masks", "--weights", "net.torchscript", "--trust-model")
    assert result.code == 2 and result.err.count("\n") == 1, result.err
    assert not os.path.exists("written.pt")


def test_nor_does_the_library(network):
    with pytest.raises(ConfigError, match="--trust-model"):
        vidseg.Segmenter(model="net.torchscript")
    with pytest.raises(ConfigError, match="--trust-model"):
        vidseg.segment("ds/images/a.png", model="net.torchscript")
    assert not os.path.exists("written.pt")


def test_whoever_vouches_for_it_gets_its_labels(cli, network):
    result = cli("eval", "ds", "-m", "net.torchscript", "--trust-model")
    assert result.code == 0, result.err
    assert os.path.exists("written.pt")  # and the tests above would have seen it
    with vidseg.Segmenter(model="net.torchscript", trust_model=True) as segmenter:
        assert segmenter(cv2.imread("ds/images/a.png")).label_map.shape == (32, 48)
