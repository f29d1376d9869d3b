"""The order of training pairs: reproducible, complete, and the same after an interruption."""

import logging
from collections import Counter

import pytest
import torch
from tests.later import later
from torch.utils.data import Dataset

from pullback.data.mesh.sampling import PairSampler, ResumableLoader

lightning, recorder = later("lightning.pytorch"), later("tests.recorder")

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

N = 10


def order(epoch, *, seed=0, **options):
    sampler = PairSampler(N, seed=seed, random_direction=True, **options)
    sampler.set_epoch(epoch)
    assert len(list(sampler)) == len(sampler)
    return list(sampler)


def test_each_pair_comes_once_an_epoch_in_one_direction_or_the_other():
    for epoch in range(5):
        assert sorted(index % N for index in order(epoch)) == list(range(N))
    directions = [index // N for epoch in range(100) for index in order(epoch)]
    assert 400 < sum(directions) < 600


def test_the_order_depends_on_seed_and_epoch_alone():
    torch.manual_seed(1)
    first = order(3)
    torch.manual_seed(2)
    assert order(3) == first
    assert order(4) != first
    assert order(3, seed=1) != first


def test_without_random_directions_every_pair_is_as_given():
    sampler = PairSampler(N, seed=0, random_direction=False)
    assert sorted(sampler) == list(range(N))


def test_several_processes_share_the_pairs_of_an_epoch():
    parts = [order(2, num_replicas=3, rank=rank) for rank in range(3)]
    assert [len(part) for part in parts] == [3, 3, 3]
    assert Counter(parts[0] + parts[1] + parts[2]) <= Counter(order(2))


class Numbers(Dataset):
    def __len__(self):
        return 2 * N

    def __getitem__(self, index):
        return torch.tensor(float(index))


def train(tmp_path, *, steps, resume=None, callbacks=(), workers=0, **options):
    module = recorder.Recorder()
    sampler = PairSampler(N, seed=5, random_direction=True)
    loader = ResumableLoader(Numbers(), sampler=sampler, collate_fn=lambda batch: batch[0], num_workers=workers)
    silent = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    fixed = {"accelerator": "cpu", "max_epochs": -1, "default_root_dir": tmp_path}
    trainer = lightning.Trainer(max_steps=steps, callbacks=list(callbacks), **fixed, **silent, **options)
    loader.trainer = trainer
    validation = torch.utils.data.DataLoader(Numbers(), sampler=range(2), collate_fn=lambda batch: batch[0])
    trainer.fit(module, loader, validation, ckpt_path=resume)
    return module.seen


@pytest.fixture(scope="module", params=[{}, {"limit_train_batches": 7}], ids=["whole epochs", "parts of epochs"])
def uninterrupted(request, tmp_path_factory):
    """Options, and what a run of 26 steps with them sees: two and a half epochs, or almost four."""
    options = {"val_check_interval": 2, "check_val_every_n_epoch": None, "num_sanity_val_steps": 0, **request.param}
    return options, train(tmp_path_factory.mktemp("whole"), steps=26, **options)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "when", [{"step": 3}, {"step": 7}, {"step": 10}, {"epoch": 0}, {"epoch": 1}, {"validation": 14}], ids=str
)
def test_a_resumed_run_sees_the_pairs_that_an_uninterrupted_one_sees(tmp_path, when, uninterrupted):
    options, whole = uninterrupted
    path = tmp_path / "stopped.ckpt"
    train(tmp_path, steps=15, callbacks=[recorder.SaveAt(path, **when)], **options)
    done = torch.load(path, weights_only=True)["global_step"]
    after = train(tmp_path, steps=26, resume=path, **options)
    assert [index for _, index in after] == [index for _, index in whole[done:]]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_epochs_differ_and_loading_processes_change_nothing(tmp_path):
    alone = train(tmp_path, steps=20)
    assert {epoch for epoch, _ in alone} == {0, 1}
    assert [index for _, index in alone[:N]] == order(0, seed=5)
    assert [index for _, index in alone[N:]] == order(1, seed=5)
    assert train(tmp_path, steps=20, workers=1) == alone


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_one_pair_can_be_trained_on_again_and_again(tmp_path):
    seen = train(tmp_path, steps=4, overfit_batches=1)
    assert len({index for _, index in seen}) == 1
