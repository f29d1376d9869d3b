"""Schedules are functions of the step, rule training only and name what they change."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from tests.later import later

lightning, schedules = later("lightning.pytorch"), later("pullback.tasks.training.schedules")


def fake_module():
    class FakeModule(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.losses = {"consistency": SimpleNamespace(weight=0.1)}
            self.solver = SimpleNamespace(init_blur=0.01)
            self.logged = {}

        def log(self, key, value, **_):
            self.logged[key] = value

    return FakeModule()


def trainer(step: int = 0):
    fake = Mock(spec=lightning.Trainer)
    fake.global_step, fake.current_epoch, fake.state = step, 0, SimpleNamespace(fn="fit")
    return fake


def test_a_ramp_multiplies_by_the_same_factor_each_step_and_then_stays():
    ramp = schedules.WeightRamp("consistency", start=1e-4, end=1e-1, steps=3)
    assert [ramp.value(step=step, epoch=0) for step in range(5)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1e-1])


def test_a_ramp_by_epochs_does_not_move_within_one():
    ramp = schedules.WeightRamp("consistency", start=1e-4, end=1e-1, epochs=3)
    assert [ramp.value(step=1000, epoch=epoch) for epoch in range(5)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1e-1])


def test_an_anneal_moves_down_geometrically():
    anneal = schedules.BlurAnneal(start=0.1, end=0.001, steps=2)
    assert [anneal.value(step=step, epoch=0) for step in range(4)] == pytest.approx([0.1, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("schedule", "read"),
    [
        (("WeightRamp", "consistency"), lambda module: module.losses["consistency"].weight),
        (("BlurAnneal",), lambda module: module.solver.init_blur),
    ],
)
def test_training_sees_the_schedule_and_validation_the_configured_value(schedule, read):
    kind, *names = schedule
    schedule, module = getattr(schedules, kind)(*names, start=0.5, end=1.0, steps=2), fake_module()
    configured = read(module)
    schedule.on_fit_start(trainer(), module)
    schedule.on_train_batch_start(trainer(step=2), module, None, 0)
    assert read(module) == pytest.approx(1.0)
    assert module.logged == {schedule.key: pytest.approx(1.0)}
    schedule.on_validation_start(trainer(step=2), module)
    assert read(module) == configured
    schedule.on_train_batch_start(trainer(step=2), module, None, 0)
    schedule.on_fit_end(trainer(step=2), module)
    assert read(module) == configured


@pytest.mark.parametrize("ends", [{"start": 0.0, "end": 1.0}, {"start": 1.0, "end": -1.0}])
def test_ends_that_no_factor_connects_are_refused(ends):
    with pytest.raises(ValueError, match="is too small; give a number above 0"):
        schedules.WeightRamp("consistency", steps=2, **ends)


@pytest.mark.parametrize("length", [{}, {"steps": 3, "epochs": 3}, {"steps": 0}])
def test_a_schedule_needs_one_length(length):
    with pytest.raises(ValueError, match=r"either steps or epochs|steps=0 is too small"):
        schedules.WeightRamp("consistency", start=1.0, end=2.0, **length)


def test_a_sharpness_ramp_moves_evenly_in_the_inverse_square():
    ramp = schedules.SharpnessRamp(start=1.0, end=0.1, steps=3)
    assert [ramp.value(step=step, epoch=0) ** -2 for step in range(5)] == pytest.approx([1, 34, 67, 100, 100])
    assert ramp.key == "train/init_blur"
