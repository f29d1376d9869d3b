"""Stable Diffusion in the true folder layout and with the true block structure, a few channels wide,
with random weights.
"""

import json
from pathlib import Path

import torch

WIDTHS = (8, 16, 32, 32)  # 1/40 of the widths of Stable Diffusion 1 and 2
TEXT = 16


def write_stable_diffusion(folder: Path) -> Path:
    """Saves ``vae unet text_encoder tokenizer scheduler`` below the folder,
    as ``save_pretrained`` of the whole pipeline does.
    """
    from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng():
        torch.manual_seed(0)
        vocabulary = write_tokenizer(folder / "tokenizer")
        AutoencoderKL(
            block_out_channels=(4, 4, 8, 8),
            down_block_types=["DownEncoderBlock2D"] * 4,
            up_block_types=["UpDecoderBlock2D"] * 4,
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=4,
            scaling_factor=0.18215,
        ).save_pretrained(folder / "vae")
        UNet2DConditionModel(
            block_out_channels=WIDTHS, norm_num_groups=4, cross_attention_dim=TEXT, attention_head_dim=2, sample_size=8
        ).save_pretrained(folder / "unet")
        text = CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=TEXT,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=vocabulary - 2,
            eos_token_id=vocabulary - 1,
            pad_token_id=vocabulary - 1,
        )
        CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1
    ).save_pretrained(folder / "scheduler")
    return folder


def write_tokenizer(folder: Path) -> int:
    """CLIP's byte-pair tokenizer without merges, in the files that the published checkpoints hold;
    returns the size of its vocabulary.
    """
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**special, "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})
    )
    return len(tokens)
