"""Pictures of a page in a headless Chromium: on a desk and on a phone, light and dark.

    .venv/bin/python scripts/screenshots.py http://127.0.0.1:8321/ pictures/sandbox --open summary

makes pictures/sandbox-desk-light.png, -desk-dark, -phone-light and -phone-dark. Needs Debian's
chromium and chromium-driver on the PATH.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selenium import webdriver
from selenium.webdriver.common.by import By

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = {"desk": (1280, 800), "phone": (375, 812)}
SCHEMES = ("light", "dark")
_SETTLE = 1.5  # seconds for what a page loads after it is loaded


def programs() -> tuple[str, str]:
    """Where Chromium and its driver are.

    Raises:
        SystemExit: Nowhere.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    binary, driver = (
        next(filter(None, map(shutil.which, names)), None),
        shutil.which("chromedriver"),
    )
    if not binary or not driver:
        sys.exit("Chromium and chromedriver are not on the PATH: install both.")
    return binary, driver


@contextmanager
def chromium(binary: str, driver: str) -> Iterator[webdriver.Chrome]:
    """A headless Chromium that keeps its console's log."""
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as browser:
        yield browser


@contextmanager
def screen(browser: webdriver.Chrome, size: str, scheme: str) -> Iterator[None]:
    """Show the page on such a screen, and as before afterwards."""
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def take(browser: webdriver.Chrome, path: Path, *, whole: bool = True) -> None:
    """A picture of what is shown; ``whole``: also of what is below the screen's edge."""
    options: dict[str, Any] = {"format": "png"}
    if whole:
        page = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        options |= {"captureBeyondViewport": True, "clip": page | {"scale": 1}}
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(picture))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("path", type=Path, help="beginning of the files' names")
    parser.add_argument("--open", metavar="CSS", help="is clicked before, each that it finds")
    wanted = parser.parse_args()
    with chromium(*programs()) as browser:
        browser.get(wanted.url)
        time.sleep(_SETTLE)
        for one in browser.find_elements(By.CSS_SELECTOR, wanted.open) if wanted.open else ():
            one.click()
        for size in SIZES:
            for scheme in SCHEMES:
                with screen(browser, size, scheme):
                    time.sleep(_SETTLE)
                    take(browser, Path(f"{wanted.path}-{size}-{scheme}.png"))


if __name__ == "__main__":
    main()
