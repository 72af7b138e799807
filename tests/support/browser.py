"""Headless Chromium over the WebDriver protocol, with nothing but the standard library."""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def driver_path() -> str | None:
    """Where chromedriver is, if a browser is there too."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return None
    return shutil.which("chromedriver")


class Browser:
    """One window."""

    def __init__(self, driver: str, profile: Path) -> None:
        self._process = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            self._port = self._find_port()
            flags = [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--window-size=1300,800",
                f"--user-data-dir={profile}",
            ]
            options = {
                "goog:chromeOptions": {"args": flags},
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            self._session = ""
            made = self._call("POST", "", {"capabilities": {"alwaysMatch": options}})
            self._session = "/" + made["sessionId"]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, url: str) -> None:
        self._call("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        return self._call("POST", "/execute/sync", {"script": f"return {script}", "args": []})

    def wait(self, script: str, wanted: Callable[[Any], bool], seconds: float = 15.0) -> Any:
        """Ask the page until the answer is as wanted."""
        end = time.monotonic() + seconds
        while not wanted(found := self.run(script)):
            assert time.monotonic() < end, f"{script} stayed {found!r}"
        return found

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def log(self) -> list[dict[str, Any]]:
        return list(self._call("POST", "/se/log", {"type": "browser"}))

    def close(self) -> None:
        if getattr(self, "_session", ""):
            self._call("DELETE", "")
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _find_port(self) -> int:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                return int(found[1])
        raise AssertionError("chromedriver did not start")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        data = None if body is None else json.dumps(body)
        connection.request(method, "/session" + self._session + path, data)
        value = json.loads(connection.getresponse().read())["value"]
        connection.close()
        assert not (isinstance(value, dict) and "error" in value), value
        return value
