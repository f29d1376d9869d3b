"""A headless Chromium, driven by its DevTools protocol through a pair of pipes: nothing to install but the browser.

Graphics are those of SwiftShader, a software renderer, so that no GPU is needed.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
)
PATIENCE = 60.0  # seconds for an answer


def program() -> str:
    """The browser's program; PULLBACK_CHROMIUM names another one. Skips the test where there is none."""
    found = os.environ.get("PULLBACK_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium: none of " + ", ".join(NAMES) + " is on the path; apt-get install chromium")
    return found


class Browser:
    """One page. ``errors`` collects what its console complains of, and exceptions nobody caught."""

    def __init__(self, executable: str):
        self._profile = tempfile.TemporaryDirectory(prefix="pullback-browser.", ignore_cleanup_errors=True)
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()

        # The browser reads commands from file 3 and writes answers to file 4.
        shell = f'exec 3<&{to_read} 4>&{to_write}; exec "$0" "$@"'
        command = ["bash", "-c", shell, executable, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, pass_fds=(to_read, to_write), start_new_session=True, **quiet)
        os.close(to_read)
        os.close(to_write)
        self._left, self._count, self._session = b"", 0, None
        self.errors: list[str] = []
        self.requests: list[str] = []
        page = next(it for it in self.call("Target.getTargets")["targetInfos"] if it["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    @property
    def session(self) -> int:
        """The id of the session that all of the browser's processes are in."""
        return self._process.pid

    def call(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """The browser's answer to a command of its protocol. Raises RuntimeError for one that it refuses."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, path: Path, *, width: int = 1100, height: int = 800, touch: bool = False) -> None:
        """Opens a file, and waits until the page says that it is ready."""
        self.errors.clear()
        self.requests.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.until("document.body && document.body.dataset.ready === 'yes'")

    def value(self, expression: str) -> Any:
        """What an expression of the page's language gives; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", answer)["description"])
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Waits for an expression to be true. Raises TimeoutError, with what the console said."""
        end = time.monotonic() + PATIENCE
        while not self.value(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition} did not become true; console: {self.errors}")
            time.sleep(0.02)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """``kind`` is Moved, Pressed, Released or Wheel."""
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, steps: int = 6) -> None:
        """A drag with the left button from one place to another."""
        self.mouse("Moved", *start)
        self.mouse("Pressed", *start, button="left", buttons=1, clickCount=1)
        for i in range(1, steps + 1):
            x, y = (a + (b - a) * i / steps for a, b in zip(start, end, strict=True))
            self.mouse("Moved", x, y, button="left", buttons=1)
        self.mouse("Released", *end, button="left", clickCount=1)

    def tap(self, x: float, y: float) -> None:
        """A finger that touches a place for a moment."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, name: str) -> None:
        """A key that is pressed and let go, by its name: ArrowLeft, Home, +."""
        told = {"key": name, **({"text": name} if len(name) == 1 else {})}
        self.call("Input.dispatchKeyEvent", type="keyDown", **told)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name)

    def picture(self, path: Path) -> None:
        """Writes what is seen, as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """Ends the browser and all its processes, which are those of its session."""
        os.write(self._write, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for end in (self._write, self._read):
            os.close(end)
        self._profile.cleanup()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            if not select.select([self._read], [], [], PATIENCE)[0]:
                raise TimeoutError(f"the browser gave no answer within {PATIENCE:.0f} s")
            part = os.read(self._read, 2**16)
            if not part:
                raise RuntimeError(f"the browser ended with {self._process.wait()}")
            self._left += part
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def _note(self, event: Mapping[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.errors.append(" ".join(str(it.get("value", it.get("description"))) for it in told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.errors.append(told["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
