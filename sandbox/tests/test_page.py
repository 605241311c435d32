"""The page for people, in a real headless Chromium."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PHONE = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}


NOT_READABLE = """
const width = innerWidth;
const texts = document.querySelectorAll("h1, h2, p, th, td, small, caption, dt, dd");
return [...texts]
  .filter((one) => one.getClientRects().length && !one.closest(".unseen"))
  .filter((one) => {
    const box = one.getBoundingClientRect();
    const cut = one.clientWidth && one.scrollWidth > one.clientWidth + 1;
    const small = parseFloat(getComputedStyle(one).fontSize) < 12;
    return box.left < 0 || box.right > width || cut || small;
  })
  .map((one) => one.textContent);
"""
"""The texts that are beyond the screen, cut off, or smaller than 12 pixels."""

WEAK = r"""
const light = (colour) => {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (one) => {
  const part = one.matches(".bars tr[style]") ? "::before" : null;
  const colour = getComputedStyle(one, part).backgroundColor;
  return /, 0\)$/.test(colour) && one.parentElement ? behind(one.parentElement) : colour;
};
return [...document.querySelectorAll("h1, h2, p, th, td, small, caption, dt, dd")]
  .map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
    return [one.textContent, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  })
  .filter(([, ratio]) => ratio < 4.5);
"""
"""The texts with less than 4.5 to 1 against what is behind them, with their ratio."""


@pytest.fixture
def page(browser, sandbox):
    """The page, loaded and filled."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(sandbox.url)
    until(browser, lambda: text(browser, "#state") == "updates itself")
    return browser


def until(browser, condition):
    WebDriverWait(browser, 15, 0.1, [StaleElementReferenceException]).until(lambda _: condition())


def text(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector).text


def card(browser, title):
    (found,) = [
        section
        for section in browser.find_elements(By.CSS_SELECTOR, "#vendors section")
        if section.find_element(By.TAG_NAME, "h2").text == title
    ]
    return found


def bars(section, chart):
    """The words of a chart with their counts, as shown."""
    rows = section.find_elements(By.CSS_SELECTOR, f"[data-chart={chart}] tbody tr")
    return {
        row.find_element(By.TAG_NAME, "th").text: row.find_element(By.TAG_NAME, "td").text
        for row in rows
    }


@contextmanager
def media(browser, **features):
    told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})
    yield
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_shows_what_was_served_and_received_and_updates_itself(page, impact, sandbox):
    """Counts, newest call first, faults, the same call twice: without a reload."""
    assert "300 calls" in card(page, "INVOX").text
    assert "received 0 calls" in card(page, "impact.com Call Data").text
    sandbox.script("impact", {"b": ["503"]})
    for key in ("a", "b", "b", "c", "c"):
        impact(CallSessionId=key, CallStatus="CANCEL")
    until(page, lambda: "received 3 calls, 1 sent again" in card(page, "impact.com Call Data").text)
    shown = card(page, "impact.com Call Data")
    assert bars(shown, "statuses") == {"CANCEL": "4"}
    assert bars(shown, "answers") == {"200": "4", "503": "1"}
    assert bars(shown, "faults") == {"503": "1"}
    keys = [row.text.split()[0] for row in shown.find_elements(By.CSS_SELECTOR, ".rows tbody th")]
    assert keys == ["c", "c", "b", "a"]
    assert "2 times" in shown.text
    assert text(page, "#count") == "5"
    assert "call c" in text(page, "#requests tr:first-child")


def test_bars_are_as_long_as_their_share(page):
    """The chart is one: the longest bar fills its row, the others their part of it."""
    rows = card(page, "INVOX").find_elements(By.CSS_SELECTOR, "[data-chart=statuses] tbody tr")
    width = "return parseFloat(getComputedStyle(arguments[0], '::before').width)"
    counts = [int(row.find_element(By.TAG_NAME, "td").text) for row in rows]
    widths = [page.execute_script(width, row) for row in rows]
    assert sum(counts) == 300
    assert counts == sorted(counts, reverse=True)
    for count, bar in zip(counts, widths, strict=True):
        assert bar == pytest.approx(max(2, widths[0] * count / counts[0]), abs=1)


def test_it_is_readable_on_a_phone(page):
    """At 375 pixels nothing is wider than the screen, cut off, or too small to read."""
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    width = page.execute_script("return document.documentElement.scrollWidth")
    assert (width, page.execute_script("return innerWidth")) == (375, 375)
    assert page.execute_script(NOT_READABLE) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(page, impact, scheme):
    """Every text has at least 4.5 to 1 against what is behind it (WCAG AA)."""
    impact(CallerId="")
    until(page, lambda: text(page, "#count") == "1")
    with media(page, prefers_color_scheme=scheme):
        assert page.execute_script(WEAK) == []
        paper = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper[4:-1].split(","))) > 384) == (scheme == "light")


def test_tables_and_sections_have_names(page):
    """What a screen reader needs: captions, header cells with a scope, labelled sections."""
    for table in page.find_elements(By.TAG_NAME, "table"):
        assert table.find_element(By.TAG_NAME, "caption").get_attribute("textContent")
        for head in table.find_elements(By.TAG_NAME, "th"):
            assert head.get_attribute("scope") in {"row", "col"}
    for section in page.find_elements(By.TAG_NAME, "section"):
        assert section.accessible_name
    assert page.execute_script("return document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_it_keeps_anybody_out(page, impact, axe, scheme):
    """What axe-core calls serious, on a desk and on a phone."""
    impact(CallerId="")
    until(page, lambda: text(page, "#count") == "1")
    with media(page, prefers_color_scheme=scheme):
        assert axe(page) == []
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        assert axe(page) == []


def test_foreign_text_stays_text(page, impact):
    """A call key that looks like HTML is shown, not run."""
    evil = "<img src=x onerror=document.title='run'>"
    impact(CallSessionId=evil)
    until(page, lambda: evil in card(page, "impact.com Call Data").text)
    assert page.title == "call-sandbox"


def test_no_phone_number_is_on_it(page, impact):
    """Neither in what is seen nor in the document."""
    impact(CallerId="+447700900123")
    until(page, lambda: text(page, "#count") == "1")
    assert "7700900" not in page.page_source
    assert "+44" in card(page, "impact.com Call Data").text


def test_it_says_so_when_the_sandbox_is_gone(page, sandbox):
    """The last data stays, the state says what is wrong, and the console has no other errors."""
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
    sandbox.__exit__()
    until(page, lambda: text(page, "#state") == "the sandbox does not answer")
    assert "300 calls" in card(page, "INVOX").text
    sandbox.__enter__()
