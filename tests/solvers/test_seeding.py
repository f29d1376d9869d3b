import torch

from pullback.solvers.seeding import pair_generator


def drawn(name, seed):
    return torch.rand(3, generator=pair_generator(name, seed))


def test_numbers_follow_from_the_name_and_the_seed():
    assert torch.equal(drawn("cat-dog", 0), drawn("cat-dog", 0))
    assert not torch.equal(drawn("cat-dog", 0), drawn("cat-cow", 0))
    assert not torch.equal(drawn("cat-dog", 0), drawn("cat-dog", 1))


def test_the_seed_is_that_of_every_process_and_version():
    digits = "8f62faf5c1f92b73"  # printf 0:cat-dog | sha256sum
    assert pair_generator("cat-dog", 0).initial_seed() == int(digits, 16) // 2
