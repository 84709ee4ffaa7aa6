"""How models behave: sizes, batches, gradients, export, errors."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export

from tests.models.fixture_rule import fill_model, fixture_tensor
from tests.rounding import assert_rounds_alike, in_float64
from vidseg.errors import ModelError
from vidseg.models import Mask2Former, ModelOutput, config_for, create_model, model_names

NANO = "fai-m2f-n-ade"
ONE_OF_EACH_DECODER = (NANO, "fai-m2f-m-ade", "bisenetformer-s-ade")


def filled(name: str) -> Mask2Former:
    """A model with the fixture's weights."""
    model = create_model(name)
    fill_model(model, name)
    return model


def probabilities(output: ModelOutput) -> tuple[Tensor, Tensor]:
    return output.class_probs, output.mask_probs


@pytest.fixture(scope="module")
def nano() -> Mask2Former:
    return filled(NANO)


@pytest.mark.parametrize("name", model_names())
@pytest.mark.parametrize("size", [(32, 32), (33, 70)], ids=["32x32", "33x70"])
def test_fresh_model_gives_full_size_probabilities_for_any_size(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = create_model(name)
    assert not model.training
    with torch.inference_mode():
        output = model(fixture_tensor(*size))
        logits = model.forward_queries(fixture_tensor(*size))
    stride = model.mask_stride
    queries = config_for(name).num_queries
    assert output.class_probs.shape == (1, queries, 150)
    assert output.mask_probs.shape == (1, queries, *size)
    assert logits.class_logits.shape == (1, queries, 151)
    assert logits.mask_logits.shape == (1, queries, -(-size[0] // stride), -(-size[1] // stride))
    assert logits.aux == ()
    for values in (output.class_probs, output.mask_probs):
        assert values.isfinite().all()
        assert values.min() >= 0
        assert values.max() <= 1
    assert (output.class_probs.sum(dim=-1) < 1).all()


def test_masks_are_at_stride_4_or_8() -> None:
    assert [create_model(name).mask_stride for name in ONE_OF_EACH_DECODER] == [4, 4, 8]


@pytest.mark.parametrize("name", ONE_OF_EACH_DECODER)
def test_batch_of_two_equals_two_of_one(name: str) -> None:
    model = filled(name)
    images = torch.cat((fixture_tensor(64, 96, seed=0), fixture_tensor(64, 96, seed=3)))
    with torch.inference_mode():
        together = model(images)
        apart = [model(images[index : index + 1]) for index in range(2)]
        exact = in_float64(model)(images.double())
    plain = (torch.cat([each.class_probs for each in apart]), torch.cat([each.mask_probs for each in apart]))
    assert_rounds_alike(probabilities(together), plain, probabilities(exact))
    assert not torch.allclose(apart[0].class_probs, apart[1].class_probs, atol=1e-2)


@pytest.mark.parametrize("name", ONE_OF_EACH_DECODER)
def test_evaluating_twice_gives_the_same(name: str) -> None:
    model = filled(name)
    with torch.inference_mode():
        first, second = (model(fixture_tensor(65, 97)) for _ in range(2))
    assert torch.equal(first.class_probs, second.class_probs)
    assert torch.equal(first.mask_probs, second.mask_probs)


def test_channels_last_gives_the_same(nano: Mask2Former) -> None:
    images = fixture_tensor(64, 96)
    model = filled(NANO).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected, exact = nano(images), in_float64(nano)(images.double())
        found = model(images.contiguous(memory_format=torch.channels_last))
    assert_rounds_alike(probabilities(found), probabilities(expected), probabilities(exact))


def test_bytes_are_taken_as_0_to_255(nano: Mask2Former) -> None:
    images = fixture_tensor(64, 64)
    with torch.inference_mode():
        assert torch.equal(nano(images.byte()).class_probs, nano(images).class_probs)


def test_state_dict_holds_no_normalisation_constants(nano: Mask2Former) -> None:
    assert not [key for key in nano.state_dict() if "pixel_mean" in key or "pixel_std" in key]
    assert nano.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])


@pytest.mark.parametrize("name", model_names())
def test_gradient_reaches_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name)
    logits = model.forward_queries(fixture_tensor(64, 64))
    (logits.class_logits.square().mean() + logits.mask_logits.square().mean()).backward()
    without = [
        key
        for key, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert without == []


@pytest.mark.parametrize("name", [NANO, "bisenetformer-s-ade"])
def test_a_training_step_changes_statistics_and_lowers_the_loss(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=3).train()
    images = torch.cat([fixture_tensor(64, 64, seed=seed) for seed in range(3)])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    target = torch.zeros(3 * 100, dtype=torch.long)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        logits = model.forward_queries(images, aux=True)
        loss = sum(
            (nn.functional.cross_entropy(part.class_logits.flatten(0, 1), target) for part in (logits, *logits.aux)),
            start=torch.zeros(()),
        )
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    tracked = [value for key, value in model.state_dict().items() if key.endswith("num_batches_tracked")]
    assert all(value == 3 for value in tracked)


@pytest.mark.parametrize(("name", "layers"), [(NANO, 1), ("fai-m2f-m-ade", 3), ("bisenetformer-s-ade", 6)])
def test_aux_adds_the_learned_queries_and_every_layer_but_the_last(name: str, layers: int) -> None:
    model = filled(name)
    images = torch.cat((fixture_tensor(64, 64, seed=0), fixture_tensor(64, 64, seed=1)))
    with torch.inference_mode():
        plain, full = model.forward_queries(images), model.forward_queries(images, aux=True)
        exact = in_float64(model).forward_queries(images.double(), aux=True).aux[0].class_logits
    assert len(full.aux) == layers
    assert torch.equal(plain.class_logits, full.class_logits)
    assert torch.equal(plain.mask_logits, full.mask_logits)
    learned = full.aux[0]
    assert learned.class_logits.shape == plain.class_logits.shape
    assert learned.mask_logits.shape == plain.mask_logits.shape
    # what the learned queries say of classes knows nothing of the picture; their masks do
    assert torch.equal(exact[0], exact[1])
    assert_rounds_alike(learned.class_logits[0], learned.class_logits[1], exact[0])
    assert not torch.allclose(learned.mask_logits[0], learned.mask_logits[1], atol=1e-2)
    assert not torch.allclose(learned.class_logits, plain.class_logits, atol=1e-2)


class AsTuple(nn.Module):
    """Gives the query logits as a plain tuple, which is all that a trace can return."""

    def __init__(self, model: Mask2Former) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.model.forward_queries(images)
        return logits.class_logits, logits.mask_logits


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.jit")
def test_a_trace_holds_at_another_size() -> None:
    model = AsTuple(filled("bisenetformer-s-ade")).eval()
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        trace = torch.jit.trace(model, fixture_tensor(64, 96), check_trace=False)
        images = fixture_tensor(97, 66)
        assert_rounds_alike(trace(images), model(images), in_float64(model)(images.double()))


def test_an_export_with_free_size_holds_at_another_size(nano: Mask2Former) -> None:
    model = AsTuple(nano).eval()
    sides = {2: Dim("height", min=64, max=1024), 3: Dim("width", min=64, max=1024)}
    exported = export(model, (fixture_tensor(64, 96),), dynamic_shapes=(sides,)).module()
    with torch.inference_mode():
        images = fixture_tensor(97, 66)
        assert_rounds_alike(exported(images), model(images), in_float64(model)(images.double()))


@pytest.mark.parametrize("size", [(31, 64), (64, 31)])
def test_too_small_an_image_is_refused(nano: Mask2Former, size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=f"images are {size[1]}x{size[0]} pixels; the model needs at least 32x32"):
        nano(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 4, 64, 64)])
def test_another_shape_is_refused(nano: Mask2Former, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"accepted: \(batch, 3, height, width\)"):
        nano(torch.zeros(shape))
