"""The training task: what it feeds to solver and losses, and when it stops."""

import copy
import csv
import logging

import numpy as np
import pytest
import torch
from tests.conftest import shape_of
from tests.later import later
from tests.meshes import sphere
from torch import nn

from pullback.data.mesh.sampling import PairSampler, ResumableLoader
from pullback.losses import Consistency, Orthogonality
from pullback.solvers.zoomout import DiffZoomOut
from pullback.tasks.store import PredictionStore
from pullback.tasks.training.weights import load_checkpoint, load_weights
from pullback.types import GeodesicRows, Shape, ShapePair

interruption = later("tests.interruption")
lightning = later("lightning.pytorch")
mesh_module = later("pullback.tasks.mesh.module")
training_callbacks = later("pullback.tasks.training.callbacks")
training_checkpoint = later("pullback.tasks.training.checkpoint")
training_curves = later("pullback.tasks.training.curves")
schedules = later("pullback.tasks.training.schedules")

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


def ellipsoid(name: str, stretch: list[float]) -> Shape:
    verts, faces = sphere(1)
    return shape_of(name, verts * stretch, faces, k=12)


@pytest.fixture(scope="module")
def pairs() -> list[ShapePair]:
    shapes = [
        ellipsoid(name, stretch)
        for name, stretch in [("a", [1.0, 1.2, 1.5]), ("b", [1.0, 1.3, 1.7]), ("c", [1.0, 1.1, 1.9])]
    ]
    places = torch.arange(shapes[0].n)
    truth = {"corr1": places, "corr2": places}
    return [
        ShapePair(one, two, **truth, geodesics1=GeodesicRows(places, torch.cdist(one.verts, one.verts)))
        for one, two in [(shapes[0], shapes[1]), (shapes[0], shapes[2]), (shapes[1], shapes[2])]
    ]


class Positions(nn.Module):
    """A backbone with dropout, so that random numbers matter."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 6))
        self.seen = []

    def forward(self, shape: Shape):
        features = self.layers(shape.verts)
        self.seen.append(features.dtype)
        return features


def module(**losses) -> "mesh_module.MeshMatching":
    torch.manual_seed(0)
    solver = DiffZoomOut(k_init=6, step=2, n_steps=2, blur=0.1)
    terms = losses or {"orthogonality": Orthogonality(), "consistency": Consistency(0.5)}
    return mesh_module.MeshMatching(
        Positions(), solver, terms, optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2)
    )


def fit(folder, model, pairs, *, steps, resume=None, **options):
    data = [pairs[i % 3] for i in range(8)]
    sampler = PairSampler(len(data), seed=0, random_direction=False)
    train = ResumableLoader(data, sampler=sampler, batch_size=None)
    callbacks = [
        training_checkpoint.LastCheckpoint(str(folder / "last.ckpt"), minutes=options.pop("minutes", 0.0)),
        training_callbacks.FiniteGuard(),
        training_callbacks.StepSeed(3),
        training_curves.PairLog(str(folder / "pairs.csv")),
        schedules.WeightRamp("consistency", start=0.01, end=0.5, steps=10),
        *options.pop("callbacks", []),
    ]
    trainer = lightning.Trainer(
        max_steps=steps,
        accelerator="cpu",
        callbacks=callbacks,
        logger=training_curves.ContinuedCSVLogger(str(folder), name="logs", version="csv"),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"val_check_interval": 6, "gradient_clip_val": 1.0, **options},
    )
    trainer.fit(model, train, torch.utils.data.DataLoader(pairs[:1], batch_size=None), ckpt_path=resume)
    return trainer


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.filterwarnings("ignore:Experiment logs directory")
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("batches", [5, 6, 8, 13])
def test_a_resumed_run_equals_an_uninterrupted_one(pairs, tmp_path, accumulate, batches):
    options = {"steps": 20 // accumulate, "accumulate_grad_batches": accumulate}
    whole = module()
    fit(tmp_path / "whole", whole, pairs, **options)

    with pytest.raises(InterruptedError):
        fit(tmp_path / "cut", module(), pairs, callbacks=[interruption.StopAfter(batches)], **options)
    resumed = module()
    fit(tmp_path / "cut", resumed, pairs, resume=tmp_path / "cut" / "last.ckpt", **options)

    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, rtol=0, atol=0)
    assert rows(tmp_path / "cut" / "pairs.csv") == rows(tmp_path / "whole" / "pairs.csv")
    curves = [rows(tmp_path / run / "logs" / "csv" / "metrics.csv") for run in ("cut", "whole")]
    validations = [[(row["step"], row["val/loss"]) for row in curve if row["val/loss"]] for curve in curves]
    assert validations[0] == validations[1] and len(validations[0]) == 3
    losses = [[(row["step"], row["train/loss"]) for row in curve if row["train/loss"]] for curve in curves]
    assert losses[0] == losses[1] and len(losses[0]) == 20 // accumulate


def test_pairs_of_other_processes_join_when_a_training_goes_on_from_a_checkpoint(pairs, tmp_path):
    with pytest.raises(InterruptedError):
        fit(tmp_path, module(), pairs, callbacks=[interruption.StopAfter(5)], steps=8)
    others = [{"step": step, "stage": "train", "pair": "dealt to another"} for step in (1, 3, 7)]  # 7: not kept
    part = training_curves.part_of(tmp_path / "pairs.csv", 1)
    training_curves.write_rows(part, list(others[0]), others)
    fit(tmp_path, module(), pairs, resume=tmp_path / "last.ckpt", steps=8)
    trained = [row for row in rows(tmp_path / "pairs.csv") if row["stage"] == "train"]
    joined = [row["step"] for row in trained if row["pair"] == "dealt to another"]
    assert len(trained) == 10 and joined == ["1", "3"] and not part.exists()


def test_training_lowers_the_loss(pairs, tmp_path):
    model = module()
    fit(tmp_path, model, pairs, steps=20, minutes=60.0)
    seen = [float(row["orthogonality"]) for row in rows(tmp_path / "pairs.csv") if row["stage"] == "train"]
    assert sum(seen[-6:]) < 0.8 * sum(seen[:6])


def test_mixed_precision_ends_with_the_features(pairs, tmp_path):
    model = module()
    received = []
    solve = model.solver

    def solver(feat1, feat2, basis1, basis2):
        received.append((feat1.dtype, torch.is_autocast_enabled("cpu")))
        return solve(feat1, feat2, basis1, basis2)

    model.solver = solver
    fit(tmp_path, model, pairs, steps=1, minutes=60.0, precision="bf16-mixed")
    assert set(model.backbone.seen) == {torch.bfloat16}
    assert set(received) == {(torch.float32, False)}


def test_a_loss_that_is_not_finite_names_the_pair_and_the_term(pairs, tmp_path):
    terms = {"consistency": Consistency(), "broken": lambda match, pair: match.fmap12.sum() * float("nan")}
    with pytest.raises(FloatingPointError, match=r"pair [abc]-[abc] is not finite: consistency=[\d.e-]+, broken=nan"):
        fit(tmp_path, module(**terms), pairs, steps=2)


def test_a_gradient_that_is_not_finite_names_the_pairs(pairs, tmp_path):
    # d√x/dx at 0
    terms = {"consistency": Consistency(), "steep": lambda match, pair: (0 * match.fmap12.sum()).abs().sqrt()}
    with pytest.raises(FloatingPointError, match=r"gradient is nan at step 0, from [abc]-[abc], [abc]-[abc]"):
        fit(tmp_path, module(**terms), pairs, steps=2, accumulate_grad_batches=2)


def test_a_checkpoint_carries_plain_data_only(pairs, tmp_path):
    model = module()
    model.config = {"solver": {"k_init": 6}}
    fit(tmp_path, model, pairs, steps=2)
    checkpoint = load_checkpoint(tmp_path / "last.ckpt")  # loads with weights_only=True
    assert checkpoint["config"] == {"solver": {"k_init": 6}}
    other = module()
    load_weights(other, checkpoint)
    assert torch.equal(other.backbone.layers[0].weight, model.backbone.layers[0].weight)


def test_weights_of_another_network_are_refused_with_what_to_do():
    other = copy.deepcopy(module())
    other.backbone.layers[0] = nn.Linear(5, 16)
    with pytest.raises(ValueError, match="do not fit the backbone; drop the backbone overrides"):
        load_weights(module(), {"state_dict": other.state_dict()})


def test_a_missing_and_a_foreign_checkpoint_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint .*gone\.ckpt"):
        load_checkpoint(tmp_path / "gone.ckpt")
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    with pytest.raises(ValueError, match=r"text\.ckpt is no checkpoint"):
        load_checkpoint(tmp_path / "text.ckpt")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match=r"foreign\.ckpt was not written by train\.py"):
        load_checkpoint(tmp_path / "foreign.ckpt")


def test_a_validated_pair_is_measured_by_its_map_and_by_its_features(pairs):
    model = module().eval()
    match = model.match(pairs[0])
    errors = model.errors(match, pairs[0])
    dist1 = torch.cdist(pairs[0].shape1.verts, pairs[0].shape1.verts)
    nearest = torch.cdist(model.backbone(pairs[0].shape2), model.backbone(pairs[0].shape1)).argmin(dim=1)
    assert errors["geodesic_error"] == pytest.approx(
        dist1[torch.arange(len(dist1)), match.p2p21].mean().item(), rel=1e-5
    )
    assert errors["feature_geodesic_error"] == pytest.approx(
        dist1[torch.arange(len(dist1)), nearest].mean().item(), rel=1e-5
    )


def test_a_backbone_without_weights_cannot_be_trained(pairs, tmp_path):
    model = module()
    model.backbone = nn.Identity()
    with pytest.raises(ValueError, match="Identity has nothing to train"):
        model.configure_optimizers()


def test_test_pairs_share_the_features_of_their_shapes_and_nothing_changes(pairs, tmp_path):
    model = module()
    model.stores = [PredictionStore(tmp_path, {})]
    lightning.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False).predict(
        model, torch.utils.data.DataLoader(pairs, batch_size=None), return_predictions=False
    )
    assert len(model.backbone.seen) == 3  # shapes, of three pairs
    with torch.no_grad():
        for pair in pairs:
            alone = model.eval().predicted(pair)
            stored = model.stores[0].load(pair.name)
            assert torch.equal(stored.p2p21, alone["p2p21"]) and np.array_equal(
                stored.arrays["fmap12"], alone["fmap12"].numpy()
            )


class Dead(nn.Module):
    def forward(self, shape):
        return torch.ones(shape.n, 3)


def test_a_validation_that_meets_a_dead_network_ends_no_training_but_a_test_says_so(pairs, tmp_path):
    model = mesh_module.MeshMatching(
        Dead(), DiffZoomOut(k_init=6, step=2, n_steps=1, blur=0.2), {"orth": Orthogonality(weight=1.0)}
    ).eval()
    model.log_dict = lambda *values, **options: None
    assert torch.isfinite(model.validation_step(pairs[0], 0)["values"]["loss"])
    model.stores = [PredictionStore(tmp_path, {})]
    model.predict_step(pairs[0], 0)
    assert "the network is dead" in model.stores[0].failure(pairs[0].name)


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, shape):
        self.asked.append(shape.name)
        return shape.basis.evecs[:, :5]


def test_a_validation_asks_the_network_once_for_each_shape_and_anew_after_it(pairs):
    solver = DiffZoomOut(k_init=6, step=2, n_steps=1, blur=0.2)
    model = mesh_module.MeshMatching(Counted(), solver, {"orth": Orthogonality(weight=1.0)}).eval()
    model.log_dict = lambda *values, **options: None
    for _ in range(2):
        model.on_validation_start()
        for _ in range(2):
            model.validation_step(pairs[0], 0)
        model.on_validation_end()
    assert model.backbone.asked == 2 * [pairs[0].shape1.name, pairs[0].shape2.name]
    model.validation_step(pairs[0], 0)  # outside, nothing is remembered
    assert len(model.backbone.asked) == 6
