"""The pretended GPU fails where a real one would."""

import threading

import pytest
import torch

from tests.pretend_gpu import pretend_gpu


def test_tensors_stay_where_they_are_and_do_not_mix():
    real = torch.cuda.is_available
    with pretend_gpu() as ran:
        assert torch.cuda.is_available()
        there = torch.arange(6.0, device="cuda").view(2, 3)
        assert {(there + 1).device.type, there.new_zeros(2).device.type, torch.cat([there]).device.type} == {"cuda"}
        assert there.add_(1).device.type == "cuda" and there[torch.tensor([1])].device.type == "cuda"
        assert there.cpu().device.type == "cpu" and there.to("cpu").numpy().sum() == 21
        with pytest.raises(TypeError, match="to numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="add: expected all tensors to be on the same device"):
            there + torch.ones(2, 3)
        module = torch.nn.Linear(3, 1).to("cuda")
        assert module.weight.device.type == module(there).device.type == "cuda"
        seen = []
        thread = threading.Thread(target=lambda: seen.append(torch.zeros(1, device="cuda").device.type))
        thread.start()
        thread.join()
    assert seen == ["cuda"] and {"add", "arange", "linear"} <= ran
    assert there.device.type == "cpu" and torch.cuda.is_available is real
