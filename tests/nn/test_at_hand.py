"""What of networks is at hand is found without waiting for it."""

import socket
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from tests.nn.vit_fakes import needs_transformers

from pullback.nn import at_hand
from pullback.nn.image_backbone import WeightsNotFound

WEIGHTS = "facebook/dinov2-small"


@pytest.fixture(autouse=True)
def asked(monkeypatch, tmp_path):
    """No cache, no word against asking, no proxy."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_CACHE", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))


@pytest.fixture(params=["closed", "silent"])
def unreachable(request):
    """The address of a port that nobody listens at, and of one that takes everything and says nothing."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        if request.param == "silent":
            door.listen(8)
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


@pytest.fixture
def hub_of():
    """The address of a hub that answers every question with a number."""
    servers = []

    def started(code: int) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Answer))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("code", "answers"), [(200, True), (401, True), (404, True), (403, False), (502, False)])
def test_a_hub_that_says_anything_answers_and_a_gateway_before_it_does_not(monkeypatch, hub_of, code, answers):
    monkeypatch.setenv("HF_ENDPOINT", hub_of(code))
    assert at_hand.hub_answers(WEIGHTS) is answers


def test_no_answer_is_waited_for_no_longer_than_asked(monkeypatch, unreachable):
    monkeypatch.setenv("HF_ENDPOINT", unreachable)
    begun = time.monotonic()
    assert not at_hand.hub_answers(WEIGHTS, patience=0.3)
    assert time.monotonic() - begun < 2


def test_a_name_that_takes_for_ever_to_be_found_ends_in_time(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(3) or [])
    begun = time.monotonic()
    assert not at_hand.hub_answers(WEIGHTS, patience=0.3)
    assert time.monotonic() - begun < 2


def test_who_forbids_to_ask_the_hub_is_obeyed(monkeypatch, hub_of):
    monkeypatch.setenv("HF_ENDPOINT", hub_of(200))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not at_hand.hub_answers(WEIGHTS)
    assert "HF_HUB_OFFLINE" in at_hand.why_not_from_hub()


def test_only_a_whole_network_is_in_the_cache(tmp_path):
    snapshot = tmp_path / "hub" / "hub" / "models--facebook--dinov2-small" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").touch()
    assert not at_hand.is_cached(WEIGHTS)
    (snapshot / "model.safetensors").touch()
    assert at_hand.is_cached(WEIGHTS) and not at_hand.is_cached("facebook/dinov2-base")


@needs_transformers
def test_weights_out_of_reach_say_so_at_once_and_what_to_do(monkeypatch, unreachable):
    from pullback.nn.dino import Dino

    monkeypatch.setattr(
        "pullback.nn.vision_transformers.hub_answers", lambda weights: at_hand.hub_answers(weights, patience=0.3)
    )
    monkeypatch.setenv("HF_ENDPOINT", unreachable)
    begun = time.monotonic()
    with pytest.raises(WeightsNotFound) as caught:
        Dino(WEIGHTS)
    assert time.monotonic() - begun < 10  # importing transformers is the most of it
    for told in (f"{unreachable} does not answer", "HF_HOME", "weights=FOLDER", "pip install 'pullback[vit]'"):
        assert told in str(caught.value)
