"""Stable Diffusion 1 and 2 as a frozen backbone: features of the U-Net's decoder in one denoising step."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.nn.at_hand import hub_answers, why_not_from_hub
from pullback.nn.diffusion_features import (
    assemble,
    check_blocks,
    check_decoder,
    decoder_features,
    fixed_noise,
    windows,
)
from pullback.nn.finite import check_weights
from pullback.nn.image_backbone import ImageBackbone, Scalar, WeightsNotFound
from pullback.ranges import at_least
from pullback.types import Image

# subfolders of a checkpoint, the most telling one first
PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
NETWORKS = ("unet", "vae", "text_encoder")
COARSEST = 64  # pixels: the stride of the U-Net's innermost maps
CATEGORY = "{category}"
# a byte-level vocabulary has that many letters; without its files transformers makes a tokenizer of three tokens
FEWEST_TOKENS = 512


class StableDiffusion(ImageBackbone):
    """Decoder features of Stable Diffusion at one time step (sd-dino: Zhang et al. 2023; DIFT: Tang et al. 2023).

    The mean of the VAE's posterior, scaled, gets the noise of time step ``t`` (of 1000; without guidance) and passes
    once through the U-Net. The noise is one tensor for each size of latents: the same for all photographs and all
    windows; ``ensemble`` such tensors give the mean of their features.

    ``weights``: a Hugging Face id, or a folder with ``vae unet text_encoder tokenizer scheduler``. ``blocks``: s3, s4,
    s5 … as in ``diffusion_features``, each one map, in that order. ``keep_skip=False`` cuts the encoder's skip off s2
    to s5 (the "decoder only" of sd-dino). ``window``: side in pixels of sliding windows, whose features are averaged
    where they overlap; null: the whole photograph at once. ``prompt``: the text, in which ``{category}`` stands for the
    photograph's. ``early_exit=False`` runs the U-Net to its end, for the same features. ``size_of``: the side that
    ``size`` is the length of, longest or shortest.

    What sd-dino and the paper on photographs read goes through ODISE, and is not reproduced in two things: ODISE gives
    the U-Net a caption that CLIP makes of the photograph, with an offset, in the place of a text, and adds an offset to
    the embedding of the time step. It also scales the shortest side to 960 pixels, as ``size_of=shortest`` does.

    Raises ImportError without the packages of the extra ``diffusion``, WeightsNotFound, and ValueError for options that
    do not fit.
    """

    told = (*ImageBackbone.told, "size_of")

    def __init__(
        self,
        weights: str,
        *,
        t: int = 100,
        blocks: Sequence[str] = ("s3", "s4", "s5"),
        keep_skip: bool = True,
        size: int = 960,
        size_of: str = "longest",
        window: int | None = None,
        prompt: str = "",
        ensemble: int = 1,
        seed: int = 42,
        early_exit: bool = True,
        precision: str = "float16",
        max_batch: int = 4,
    ):
        super().__init__(size=size, multiple=COARSEST, precision=precision, max_batch=max_batch, size_of=size_of)
        check_blocks(blocks)
        if window is not None and (window < COARSEST or window % COARSEST):
            raise ValueError(
                f"window={window} must be a multiple of {COARSEST} pixels; use "
                "window=512, or null for the whole photograph"
            )
        at_least(1, ensemble=ensemble)
        at_least(0, t=t, seed=seed)
        parts = load_parts(weights)
        steps = parts["scheduler"].config.num_train_timesteps
        if not 0 <= t < steps:
            raise ValueError(f"t={t} is no time step of {weights}; use 0 to {steps - 1}")
        check_decoder(parts["unet"].up_blocks, weights)
        self.unet, self.vae, self.text_encoder = parts["unet"], parts["vae"], parts["text_encoder"]
        self.vae.decoder = self.vae.post_quant_conv = None  # photographs are only encoded
        self.tokenizer, self.scheduler = parts["tokenizer"], parts["scheduler"]
        self.t, self.blocks, self.keep_skip, self.window = t, tuple(blocks), keep_skip, window
        self.prompt, self.ensemble, self.seed, self.early_exit = prompt, ensemble, seed, early_exit
        self.freeze()

    def options(self) -> dict[str, Scalar]:
        import diffusers

        return {
            "diffusers": diffusers.__version__,
            "architecture": sha256_of_configs(self.unet.config, self.vae.config, self.text_encoder.config.to_dict()),
            "t": self.t,
            "blocks": " ".join(self.blocks),
            "keep_skip": self.keep_skip,
            "window": self.window,
            "prompt": self.prompt,
            "tokens": " ".join(map(str, self.tokenizer(self.prompt, padding="max_length").input_ids)),
            "ensemble": self.ensemble,
            "seed": self.seed,
            "alpha_bar": float(self.scheduler.alphas_cumprod[self.t]),
            **({} if self.size_of == "longest" else {"size_of": self.size_of}),  # keys of before stay valid
        }

    def compute(
        self, images: Float[Tensor, "b 3 H W"], photos: Sequence[Image]
    ) -> dict[str, Float[Tensor, "b _c _h _w"]]:
        text = self.embedded([prompt_of(photo, self.prompt) for photo in photos])
        size = images.shape[2], images.shape[3]
        places = windows(size, self.window or max(size))
        parts = [self._window_features(2 * images[:, :, rows, cols] - 1, text) for rows, cols in places]
        return {name: assemble([part[name] for part in parts], places, size) for name in self.blocks}

    def embedded(self, prompts: Sequence[str]) -> Float[Tensor, "b n d"]:
        """The text encoder's last hidden states, each text once."""
        distinct = sorted(set(prompts))
        tokens = self.tokenizer(
            distinct,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        states = self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state
        return states[[distinct.index(prompt) for prompt in prompts]]

    def _window_features(
        self, images: Float[Tensor, "b 3 H W"], text: Float[Tensor, "b n d"]
    ) -> dict[str, Float[Tensor, "b _c _h _w"]]:
        """Features of what the U-Net sees at once; images in [-1, 1]."""
        latents = self.vae.encode(images).latent_dist.mean.float() * self.vae.config.scaling_factor
        steps = torch.full((len(images),), self.t, device=self.device)
        runs = []
        for noise in fixed_noise(tuple(latents.shape[1:]), self.ensemble, self.seed).to(latents):
            noisy = self.scheduler.add_noise(latents, noise.expand_as(latents), steps)
            runs.append(
                decoder_features(
                    self.unet.up_blocks,
                    partial(self.unet, noisy, steps, encoder_hidden_states=text),
                    self.blocks,
                    keep_skip=self.keep_skip,
                    early_exit=self.early_exit,
                )
            )
        return {name: torch.stack([run[name] for run in runs]).mean(0) for name in self.blocks}


def prompt_of(photo: Image, template: str) -> str:
    """The prompt for a photograph. Raises ValueError when the template asks for a category that nobody said."""
    if CATEGORY in template and not photo.category:
        raise ValueError(
            f"prompt={template!r} needs a category, but the data set gives none for photo {photo.name!r}; use prompt=''"
        )
    return template.replace(CATEGORY, photo.category)


def sha256_of_configs(*configs: Mapping[str, Any]) -> str:
    """One hash of what the weights do not say (heads, activations, epsilons, scaling).

    Keys that begin with "_" name files and versions.
    """
    plain = [{key: value for key, value in config.items() if not key.startswith("_")} for config in configs]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def load_parts(weights: str) -> dict[str, Any]:
    """What is needed of a checkpoint, in float32, by the names of its subfolders."""
    try:
        from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer
    except ImportError as error:
        raise ImportError(
            f"Stable Diffusion needs diffusers and transformers: pip install 'pullback[diffusion]' ({error})"
        ) from error

    classes = dict(
        zip(PARTS, (UNet2DConditionModel, AutoencoderKL, CLIPTextModel, CLIPTokenizer, DDIMScheduler), strict=True)
    )
    source = existing_source(weights)
    parts = {name: load_part(kind, source, name) for name, kind in classes.items()}
    return {name: part.float() if isinstance(part, torch.nn.Module) else part for name, part in parts.items()}


def existing_source(weights: str) -> str:
    """A folder with all parts, or the name of a repository.

    Raises WeightsNotFound for a path without a folder, or with parts missing.
    """
    folder = Path(weights).expanduser()
    if folder.is_dir():
        missing = [part for part in PARTS if not (folder / part).is_dir()]
        if missing:
            raise WeightsNotFound(not_found(weights, f"the folder {folder} has no subfolder {', '.join(missing)}"))
        return str(folder)
    if folder.is_absolute() or weights.startswith((".", "~")) or weights.count("/") != 1:
        raise WeightsNotFound(
            not_found(weights, f"there is no folder {folder}, and it is no Hugging Face id (OWNER/NAME)")
        )
    return weights


def load_part(kind: Any, source: str, part: str) -> Any:
    """One part of a checkpoint: from the folder or the local cache, else by download.

    Raises WeightsNotFound, also where the libraries would go on with random weights or without a vocabulary.
    """
    reason = ""
    for local_only in (True, False):
        if not (local_only or Path(source).is_dir() or hub_answers(source)):
            raise WeightsNotFound(not_found(source, f"part {part} is not in the local cache, and {why_not_from_hub()}"))
        try:
            if part in NETWORKS:
                loaded, info = kind.from_pretrained(
                    source, subfolder=part, local_files_only=local_only, output_loading_info=True
                )
                missing = sorted(info["missing_keys"])
            else:
                loaded, missing = kind.from_pretrained(source, subfolder=part, local_files_only=local_only), []
        # what diffusers and transformers raise without a network, or for a file that is not there
        except (OSError, ValueError) as error:
            reason = str(error).split("\n")[0]
            continue
        if missing:
            reason = f"{len(missing)} tensors are missing, among them {missing[0]}"
        elif part == "tokenizer" and len(loaded) < FEWEST_TOKENS:
            reason = "no vocabulary (vocab.json and merges.txt, or tokenizer.json)"
        else:
            if part in NETWORKS:
                check_weights(loaded.state_dict(), source=f"weights={source}, {part}")
            return loaded
    raise WeightsNotFound(not_found(source, f"part {part}: {reason}"))


def not_found(weights: str, reason: str) -> str:
    return (
        f"no Stable Diffusion weights {weights!r}: {reason}. Give a folder that holds {', '.join(PARTS)} "
        "(weights=FOLDER), or a "
        "Hugging Face id that is in the local cache or can be downloaded (hf download "
        "stable-diffusion-v1-5/stable-diffusion-v1-5, "
        "here or elsewhere, then copy the cache and set HF_HOME to it)"
    )
