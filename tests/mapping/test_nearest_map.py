import pytest
import torch
from torch import Tensor

import pullback.mapping.nearest_map as nearest_map
from pullback.mapping.nearest_map import NearestMap
from pullback.mapping.pointmap import nearest
from pullback.types import SoftMap


@pytest.fixture
def embeddings() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(30, 4, generator=generator), torch.randn(20, 4, generator=generator)


def test_it_is_the_nearest_neighbour_map_in_both_directions(embeddings):
    query, reference = embeddings
    map21 = NearestMap(query, reference)
    assert isinstance(map21, SoftMap)
    assert (map21.n2, map21.n1) == (30, 20)
    assert torch.equal(map21.nearest(), nearest(query, reference))
    assert torch.equal(map21.pull_back(torch.eye(20)).argmax(dim=1), map21.nearest())
    assert torch.equal(map21.reverse().nearest(), nearest(reference, query))


def test_neighbours_are_looked_for_once_and_only_when_asked_for(embeddings, monkeypatch):
    calls = []

    def counting(*arguments):
        calls.append(arguments)
        return nearest(*arguments)

    monkeypatch.setattr(nearest_map, "nearest", counting)
    map21 = NearestMap(*embeddings).to(torch.float64)
    assert calls == []
    for _ in range(2):
        map21.nearest()
    assert len(calls) == 1


def test_gradients_reach_the_function_and_not_the_embeddings(embeddings):
    query, reference = (each.requires_grad_() for each in embeddings)
    feat1 = torch.randn(20, 2, requires_grad=True)
    map21 = NearestMap(query, reference)
    map21.pull_back(feat1).sum().backward()
    assert torch.equal(feat1.grad[:, 0], torch.bincount(map21.nearest(), minlength=20).float())
    assert query.grad is None and not map21.query.requires_grad


def test_what_does_not_fit_is_refused(embeddings):
    query, reference = embeddings
    with pytest.raises(ValueError, match="query: float64, reference: float32"):
        NearestMap(query.double(), reference)
    with pytest.raises(ValueError, match="feat1 has 19 rows but the map starts from 20"):
        NearestMap(query, reference).pull_back(torch.zeros(19, 2))
