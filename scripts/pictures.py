"""The pictures of the README, from the real pages: the demo is played, and its two pages are taken.

Needs chromium and its driver on the PATH. Writes docs/pictures/<page>-<scheme>.webp.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import demo
from checkout import ROOT, free_port
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT, SCALE = 1000, 720, 1.5  # pixels of the page, and of the picture for each
QUALITY = 70
SCHEMES = ("light", "dark")
LOAD_SECONDS = 15
# Page -> what is there once it is filled.
FILLED = {"vendors": "#requests tr", "ledger": "#waits details"}
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")


def browser() -> WebDriver:
    """A Chromium without a window.

    Raises:
        SystemExit: There is none.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        sys.exit("Chromium and chromedriver are not on the PATH: install both.")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ARGUMENTS:
        options.add_argument(argument)
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


def take(chromium: WebDriver, name: str, address: str, folder: Path) -> None:
    """Take a page as it is by day and by night."""
    shape = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": False}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    chromium.get(address)
    WebDriverWait(chromium, LOAD_SECONDS).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, FILLED[name])
    )
    for scheme in SCHEMES:
        preference = {"name": "prefers-color-scheme", "value": scheme}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})
        taken = chromium.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "webp", "quality": QUALITY}
        )
        file = folder / f"{name}-{scheme}.webp"
        file.write_bytes(base64.b64decode(taken["data"]))
        print(f"{file.name}: {file.stat().st_size // 1024} kB")


def main() -> None:
    """Play the demo and take its pages."""
    parser = argparse.ArgumentParser(description="The pictures of the README.")
    parser.add_argument("--folder", type=Path, default=PICTURES)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        browser() as chromium,
        tempfile.TemporaryDirectory(prefix="demo-") as place,
        demo.play(Path(place), free_port(8321)) as (url, _),
        demo.desk(Path(place)) as page,
    ):
        take(chromium, "vendors", f"{url}/", folder)
        take(chromium, "ledger", page, folder)


if __name__ == "__main__":
    main()
