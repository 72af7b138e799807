"""Headless Chromium, driven by selenium. Debian's packages: chromium and chromium-driver."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the sandbox does not work as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,800",
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """A window of its own profile; skips where no browser is installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield window
    window.quit()


def wait(
    browser: Chrome, script: str, wanted: Callable[[Any], bool], seconds: float = 15.0
) -> None:
    """Ask the page until the answer is as wanted."""
    end = time.monotonic() + seconds
    # An __eq__ that cannot compare says NotImplemented, which counts as true.
    while wanted(answer := browser.execute_script(f"return {script}")) is not True:
        assert time.monotonic() < end, f"{script} stayed {answer!r}"
