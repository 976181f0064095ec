"""A Firefox without a screen for the tests of the page, where there is one, by the protocol that it speaks itself.

Debian packages no geckodriver, and playwright drives builds of its own only. Firefox answers WebDriver BiDi
(https://w3c.github.io/webdriver-bidi) on a socket: a few of its commands are enough here. On a virtual screen (Xvfb),
where there is one, it offers WebGL 2 without a graphics card; headless, it does not.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("firefox-esr", "firefox")
#: Preferences of the profile: WebGL where it can be had, and no page of its own on the first start.
PREFERENCES = {
    "webgl.force-enabled": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.disabledForTesting": True,
}
START_S, COMMAND_S = 300.0, 300.0


def firefox_path() -> str | None:
    """The browser: that of the environment variable ``FIREFOX``, or one on the PATH."""
    return os.environ.get("FIREFOX") or next((path for path in map(shutil.which, NAMES) if path), None)


class Firefox:
    """A session with one tab.

    Attributes
    ----------
    log : list of dict
        What pages wrote to the console, and their errors: ``level``, ``text``.
    """

    def __init__(self, socket: Any) -> None:
        self.log: list[dict[str, Any]] = []
        self._socket, self._number = socket, 0
        self._call("session.new", capabilities={})
        self._call("session.subscribe", events=["log.entryAdded"])
        self._tab = self._call("browsingContext.create", type="tab")["context"]

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=COMMAND_S))
            if answer.get("method") == "log.entryAdded":
                self.log.append(answer["params"])
            if answer.get("id") == self._number:
                if answer["type"] == "error":
                    raise RuntimeError(f"{method}: {answer['message']}")
                return answer["result"]

    def open(self, address: str, width: int, height: int) -> None:
        """Open an address in a window of some size, until the page has loaded."""
        self._call("browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height})
        self._call("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def evaluate(self, script: str) -> Any:
        """Return the value of an expression, which goes through JSON."""
        wrapped = f"Promise.resolve({script}).then((value) => JSON.stringify(value === undefined ? null : value))"
        answer = self._call("script.evaluate", expression=wrapped, target={"context": self._tab}, awaitPromise=True)
        if answer["type"] != "success":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def wait_for(self, script: str, limit_s: float = COMMAND_S) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + limit_s
        while not self.evaluate(f"Boolean({script})"):
            if time.monotonic() > end:
                raise TimeoutError(script)
            time.sleep(0.2)

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        self._call("input.performActions", context=self._tab, actions=[source])

    def screenshot(self) -> bytes:
        """Return the window as a PNG file."""
        return base64.b64decode(self._call("browsingContext.captureScreenshot", context=self._tab)["data"])


@contextmanager
def firefox() -> Iterator[Firefox]:
    """Start the browser with a profile of its own and end it."""
    from websockets.sync.client import connect

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
        Path(profile, "user.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
        path = firefox_path()
        assert path is not None
        with (
            _screen() as screen,
            subprocess.Popen(
                [path, *screen, "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "HOME": profile},
            ) as process,
        ):
            try:
                with connect(f"{_address(process)}/session", max_size=None, open_timeout=START_S) as socket:
                    yield Firefox(socket)
            finally:
                process.terminate()


@contextmanager
def _screen() -> Iterator[list[str]]:
    """Start a virtual screen, if there is one; yields the arguments by which the browser shows itself there."""
    path = shutil.which("Xvfb")
    if path is None:
        yield ["--headless"]
        return
    command = [path, "-displayfd", "1", "-screen", "0", "1920x1200x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield ["--display", f":{process.stdout.readline().strip()}"]
        finally:
            process.terminate()


def _address(process: subprocess.Popen[str]) -> str:
    """Read the address of the socket from what the browser says; the rest is read too, so that it never waits."""
    found: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert process.stderr is not None
        with suppress(ValueError):  # closed at the end
            for line in process.stderr:
                match = re.search(r"WebDriver BiDi listening on (ws://\S+)", line)
                if match:
                    found.put(match.group(1))

    threading.Thread(target=read, daemon=True).start()
    return found.get(timeout=START_S)
