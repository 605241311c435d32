"""The pictures of the README, from the real pages: the demo is played, and its two pages are taken.

Needs chromium and its driver on the PATH. Writes docs/pictures/<page>-<scheme>.webp.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import demo
from checkout import ROOT, free_port
from screenshots import SCHEMES, chromium, programs, screen
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

PICTURES = ROOT / "docs" / "pictures"
QUALITY = 70
LOAD_SECONDS = 15
# Page -> what is there once it is filled.
FILLED = {"vendors": "#requests tr", "ledger": "#waits details"}


def take(browser: WebDriver, name: str, address: str, folder: Path) -> None:
    """Take a page by day and by night."""
    browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    browser.get(address)
    WebDriverWait(browser, LOAD_SECONDS).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, FILLED[name])
    )
    for scheme in SCHEMES:
        with screen(browser, "desk", scheme):
            options = {"format": "webp", "quality": QUALITY}
            taken = browser.execute_cdp_cmd("Page.captureScreenshot", options)
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
        chromium(*programs()) as browser,
        tempfile.TemporaryDirectory(prefix="demo-") as place,
        demo.play(Path(place), free_port(8321)) as (url, _),
        demo.desk(Path(place)) as page,
    ):
        take(browser, "vendors", f"{url}/", folder)
        take(browser, "ledger", page, folder)


if __name__ == "__main__":
    main()
