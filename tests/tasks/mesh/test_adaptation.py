"""Fine-tuning to a pair: it helps, it forgets, and nothing of one pair reaches the next."""

import copy
import logging
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tests.conftest import shape_of
from tests.later import later
from tests.meshes import sphere
from torch import nn

from pullback.losses import Consistency, Orthogonality, Supervised
from pullback.solvers.zoomout import DiffZoomOut
from pullback.tasks.mesh.adaptation import Adaptation, FineTuning
from pullback.tasks.store import PredictionStore
from pullback.types import Shape, ShapePair

lightning = later("lightning.pytorch")
mesh_module = later("pullback.tasks.mesh.module")

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

ADAM = partial(torch.optim.Adam, lr=1e-2)


@pytest.fixture(scope="module")
def pairs() -> list[ShapePair]:
    verts, faces = sphere(1)
    stretched = {"a": [1.0, 1.2, 1.5], "b": [1.0, 1.3, 1.7], "c": [1.0, 1.1, 1.9]}
    shapes = {name: shape_of(name, verts * stretch, faces, k=12) for name, stretch in stretched.items()}
    places = torch.arange(len(verts))
    return [ShapePair(shapes[one], shapes[two], places, places) for one, two in ["ab", "ac", "bc"]]


class Positions(nn.Module):
    """A backbone with dropout and a buffer that changes, so that random numbers and leftovers would show."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 6))

    def forward(self, shape: Shape):
        return self.layers(shape.verts)


def module(adaptation: Adaptation | None, **losses) -> "mesh_module.MeshMatching":
    torch.manual_seed(0)
    terms = losses or {"orthogonality": Orthogonality(), "consistency": Consistency(0.5)}
    solver = DiffZoomOut(k_init=6, step=2, n_steps=2, blur=0.1, init_blur=0.1, init_relative=False)
    return mesh_module.MeshMatching(Positions(), solver, terms, adaptation=adaptation).eval()


def loss_of(model: "mesh_module.MeshMatching", pair: ShapePair) -> float:
    return sum(term.item() for term in model.loss_terms(model.match(pair), pair).values())


def predicted(folder, model: "mesh_module.MeshMatching", pairs, **options) -> dict[str, dict[str, np.ndarray]]:
    """What the trainer's prediction stores of each pair, without the time it took."""
    store = PredictionStore(folder, {})
    model.stores = [store]
    quiet = {
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    trainer = lightning.Trainer(accelerator="cpu", **quiet, **{"inference_mode": False, **options})
    trainer.predict(model, torch.utils.data.DataLoader(pairs, batch_size=None), return_predictions=False)
    stored = {pair.name: store.load(pair.name) for pair in pairs}
    return {
        name: {"p2p21": found.p2p21.numpy(), **{key: value for key, value in found.arrays.items() if key != "seconds"}}
        for name, found in stored.items()
        if found is not None
    }


def assert_equal(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@torch.no_grad()
def test_tuning_lowers_the_loss_of_its_pair(pairs):
    model = module(FineTuning(ADAM, steps=10))
    before = loss_of(model, pairs[0])
    with model.adaptation(model, lambda: sum(model.loss_terms(model.match(pairs[0]), pairs[0]).values()), name="a-b"):
        assert loss_of(model, pairs[0]) < 0.9 * before
    assert loss_of(model, pairs[0]) == before


@pytest.mark.parametrize("train_mode", [False, True])
def test_weights_and_buffers_are_the_same_afterwards_bit_for_bit(pairs, tmp_path, train_mode):
    model = module(FineTuning(ADAM, steps=3, train_mode=train_mode))
    before = copy.deepcopy(model.state_dict())
    tuned = predicted(tmp_path / "tuned", model, pairs)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    plain = predicted(tmp_path / "plain", module(None), pairs)
    assert any((tuned[pair.name]["fmap12_init"] != plain[pair.name]["fmap12_init"]).any() for pair in pairs)


def test_a_module_without_adaptation_matches_as_before(pairs, tmp_path):
    model = module(FineTuning(ADAM, steps=3))
    predicted(tmp_path / "tuned", model, pairs)
    model.adaptation = None
    found, expected = predicted(tmp_path / "off", model, pairs), predicted(tmp_path / "plain", module(None), pairs)
    for pair in pairs:
        assert_equal(found[pair.name], expected[pair.name])


@pytest.mark.parametrize("train_mode", [False, True])
def test_the_match_of_a_pair_depends_on_that_pair_alone(pairs, tmp_path, train_mode):
    def tuned(folder, chosen):
        torch.manual_seed(len(chosen))  # random numbers of the process do not matter
        return predicted(tmp_path / folder, module(FineTuning(ADAM, steps=3, train_mode=train_mode)), chosen)

    together, backwards = tuned("together", pairs), tuned("backwards", pairs[::-1])
    for pair in pairs:
        assert_equal(together[pair.name], tuned(pair.name, [pair])[pair.name])
        assert_equal(together[pair.name], backwards[pair.name])


def test_another_seed_draws_other_dropout(pairs, tmp_path):
    first, second = (
        predicted(tmp_path / str(seed), module(FineTuning(ADAM, steps=3, train_mode=True, seed=seed)), pairs[:1])["a-b"]
        for seed in (0, 1)
    )
    assert (first["fmap12_init"] != second["fmap12_init"]).any()


def test_random_numbers_of_the_process_go_on_as_if_nothing_was_tuned(pairs):
    model = module(FineTuning(ADAM, steps=1, train_mode=True))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        model.match_for_test(pairs[0])
    assert torch.equal(torch.rand(3), expected)


def test_the_match_is_made_without_dropout_by_tuned_weights(pairs):
    model = module(FineTuning(ADAM, steps=2, train_mode=True))
    seen = []
    model.backbone.register_forward_hook(
        lambda part, arguments, output: seen.append((part.training, output.requires_grad))
    )
    with torch.no_grad():
        model.match_for_test(pairs[0])
    assert seen == [(True, True)] * 4 + [(False, False)] * 2
    assert not any(part.training for part in model.modules())


def test_weights_are_tuned_in_full_precision_whatever_the_match_is_made_in(pairs, tmp_path):
    """Autocast keeps low-precision copies of the weights within a step of the trainer: it would not see them change."""
    model = module(FineTuning(ADAM, steps=3))
    seen = []
    model.backbone.register_forward_hook(
        lambda part, arguments, output: seen.append((output.dtype, output.detach().float()))
    )
    predicted(tmp_path, model, pairs[:1], precision="bf16-mixed")
    assert [dtype for dtype, _ in seen] == [torch.float32] * 6 + [torch.bfloat16] * 2
    assert (seen[0][1] - seen[2][1]).norm() > 0 and (seen[4][1] - seen[6][1]).norm() > 0.01 * seen[4][1].norm()


def test_weights_are_restored_when_a_step_fails_and_the_next_pair_is_matched(pairs, tmp_path, caplog):
    def broken(match, pair):
        return match.fmap12.sum() * (float("nan") if pair.name == "a-c" else 1.0)

    model = module(FineTuning(ADAM, steps=2), broken=broken)
    before = copy.deepcopy(model.state_dict())
    found = predicted(tmp_path, model, pairs)
    assert sorted(found) == ["a-b", "b-c"]
    assert "the pair a-c could not be matched: the loss of the pair a-c is not finite: broken=nan" in caplog.text
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    alone = predicted(tmp_path / "alone", module(FineTuning(ADAM, steps=2), broken=broken), pairs[2:])
    assert_equal(found["b-c"], alone["b-c"])


def test_a_gradient_that_is_not_finite_fails_its_pair(pairs, tmp_path, caplog):
    steep = {"steep": lambda match, pair: (0 * match.fmap12.sum()).abs().sqrt()}  # d√x/dx at 0
    assert predicted(tmp_path, module(FineTuning(ADAM, steps=1, gradient_clip=None), **steep), pairs[:1]) == {}
    assert "non-finite" in caplog.text


def test_what_is_tuned_by_sees_no_ground_truth(pairs, tmp_path, caplog):
    assert predicted(tmp_path / "truth", module(FineTuning(ADAM, steps=1), supervised=Supervised()), pairs[:1]) == {}
    assert "needs ground truth, and pair a-b has none" in caplog.text
    blind = [ShapePair(pair.shape1, pair.shape2) for pair in pairs]
    with_truth = predicted(tmp_path / "with", module(FineTuning(ADAM, steps=2)), pairs)
    without = predicted(tmp_path / "without", module(FineTuning(ADAM, steps=2)), blind)
    for pair in pairs:
        assert_equal(with_truth[pair.name], without[pair.name])


def test_clipping_bounds_a_step(pairs):
    def step(clip: float | None) -> float:
        model = module(FineTuning(partial(torch.optim.SGD, lr=1.0), steps=1, gradient_clip=clip))
        before = nn.utils.parameters_to_vector(model.parameters()).detach()
        with model.adaptation(model, lambda: 100 * sum(p.square().sum() for p in model.parameters()), name="x"):
            return (nn.utils.parameters_to_vector(model.parameters()) - before).norm().item()

    assert step(0.01) == pytest.approx(0.01, rel=1e-3)
    assert step(None) > 10


def test_inference_mode_is_refused_with_what_to_do(pairs, tmp_path, caplog):
    assert predicted(tmp_path, module(FineTuning(ADAM)), pairs[:1], inference_mode=True) == {}
    assert "use Trainer(inference_mode=False)" in caplog.text


def test_what_cannot_be_tuned_is_refused_at_once():
    with pytest.raises(ValueError, match=r"Identity has no weights to adapt to a pair; use adaptation=null"):
        mesh_module.MeshMatching(
            nn.Identity(), DiffZoomOut(), {"orthogonality": Orthogonality()}, adaptation=FineTuning(ADAM)
        )
    with pytest.raises(ValueError, match=r"no loss to adapt by: give ckpt="):
        mesh_module.MeshMatching(Positions(), DiffZoomOut(), adaptation=FineTuning(ADAM))
    with pytest.raises(ValueError, match=r"^steps=0 is too small; give 1 or more"):
        FineTuning(ADAM, steps=0)
    with pytest.raises(ValueError, match=r"^gradient_clip=0\.0 is too small; give a number above 0"):
        FineTuning(ADAM, gradient_clip=0.0)


def test_fine_tuning_is_an_adaptation():
    assert isinstance(FineTuning(ADAM), Adaptation)


def test_names_of_pairs_tell_their_random_numbers_apart(pairs, tmp_path):
    """Equal shapes under another name: only the dropout differs."""
    other = replace(pairs[0], shape1=replace(pairs[0].shape1, name="z"))
    first, second = (
        predicted(tmp_path / pair.name, module(FineTuning(ADAM, steps=3, train_mode=True)), [pair])[pair.name]
        for pair in (pairs[0], other)
    )
    assert (first["fmap12_init"] != second["fmap12_init"]).any()
