import torch

from pullback.nn.position_bias import position_directions, without_directions


def test_position_directions_are_the_right_singular_vectors_of_the_centred_response():
    generator = torch.Generator().manual_seed(0)
    response = torch.randn(7, 4, 5, generator=generator)
    rows = response.flatten(1).T
    _, _, vh = torch.linalg.svd(rows - rows.mean(dim=0))
    ours = position_directions(response, count=3)
    assert torch.allclose((vh[:3] @ ours).abs(), torch.eye(3), atol=1e-5)


def test_removing_directions_keeps_what_is_orthogonal_to_them():
    values = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    left = without_directions(values, torch.eye(3)[:, :1])
    assert torch.equal(left[:, 1:], values[:, 1:]) and left[:, 0].abs().max() < 1e-6
