import pytest
import torch


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """Folder with a small vision transformer of a family; to be copied before it is changed."""
    from tests.nn.vit_fakes import save_small_model

    made = {}

    def folder(family: str, dtype: torch.dtype = torch.float32):
        if (family, dtype) not in made:
            made[family, dtype] = tmp_path_factory.mktemp(family)
            save_small_model(made[family, dtype], family, dtype)
        return made[family, dtype]

    return folder
