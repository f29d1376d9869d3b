"""Training on some data sets and testing on others: ``dataset=… dataset@test=…``."""

import pytest
from tests.composing import composed

from pullback.runtime.checks import ConfigError, check_kind
from pullback.runtime.settings import instantiate, to_plain


@pytest.fixture
def data_of(tmp_path):
    """The data module of a training with these overrides, and nothing of it computed."""

    def make(*overrides):
        return instantiate(composed("train", f"paths.data_dir={tmp_path}", *overrides).data)

    return make


def test_tests_are_those_of_the_training_sets_unless_others_are_named(data_of):
    data = data_of("dataset=[faust,scape]")
    assert data.train_names == data.test_names == ["faust", "scape"]
    data = data_of("dataset=faust", "dataset@test=[faust,scape,shrec19]")
    assert data.train_names == ["faust"]
    assert data.test_names == ["faust", "scape", "shrec19"]
    assert data.tested[0] is not data.datasets[0]


def test_an_option_of_a_test_set_is_changed_by_its_own_key(data_of):
    data = data_of("dataset=faust", "dataset@test=shrec19", "test.shrec19.direction=ulrssm")
    assert data.tested[0].direction == "ulrssm"


def test_a_pairing_within_classes_follows_the_protocol_of_the_run(data_of):
    assert data_of("dataset=dt4d_intra", "data.protocol=ordered").tested[0].protocol == "ordered"


def test_photographs_are_no_tests_of_a_training():
    with pytest.raises(ConfigError, match=r"dataset=\[faust,tss\] mixes meshes and photographs"):
        check_kind(to_plain(composed("train", "dataset=faust", "dataset@test=tss")))
