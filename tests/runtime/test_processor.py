"""Options that suit one processor and not another."""

import logging
import os

import pytest
import torch
from tests.later import later

from pullback.runtime.processor import has_bfloat16_units, share_cores, warn_of_slow_precision

lightning = later("lightning.pytorch")


@pytest.mark.parametrize(
    "line, units",
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_bf16", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("Features\t: fp asimd bf16", True),
        ("Hardware\t: something else", None),
    ],
)
def test_the_system_tells_whether_a_processor_multiplies_bfloat16(line, units, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert has_bfloat16_units(tmp_path / "cpuinfo") is units


def test_without_the_systems_word_nothing_is_known_of_the_processor(tmp_path):
    assert has_bfloat16_units(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    "precision, units, told",
    [("bf16-mixed", False, True), ("bf16-mixed", True, False), ("bf16-mixed", None, False), ("32-true", False, False)],
)
def test_bfloat16_is_warned_of_where_the_processor_would_emulate_it(precision, units, told, caplog):
    trainer = lightning.Trainer(accelerator="cpu", precision=precision, logger=False, enable_checkpointing=False)
    with caplog.at_level(logging.WARNING, logger="pullback.runtime.processor"):
        warn_of_slow_precision(trainer, units=units)
    assert ("use trainer.precision=32-true" in caplog.text) is told


@pytest.mark.parametrize(("devices", "cores", "threads"), [(1, 8, 6), (2, 8, 4), (2, 16, 6), (4, 2, 1)])
def test_processes_on_one_processor_share_its_cores(devices, cores, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    before = torch.get_num_threads()
    strategy = "ddp" if devices > 1 else "auto"
    trainer = lightning.Trainer(
        accelerator="cpu", devices=devices, strategy=strategy, logger=False, enable_checkpointing=False
    )
    try:
        torch.set_num_threads(6)
        share_cores(trainer, cores=cores)
        assert (torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]) == (threads, str(threads))
    finally:
        torch.set_num_threads(before)
