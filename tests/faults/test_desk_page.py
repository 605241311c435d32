"""The ledger's page beside real runs, in a real headless Chromium: the journal is the oracle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from screenshots import screen
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from call_sandbox.testing import lines

FOCUSED = """
const one = document.activeElement;
return one === document.body ? "" : (one.labels?.[0] ?? one).textContent;
"""
SETTLED = ("accepted", "duplicate", "rejected", "held")
WAYS = [("desk", "light", "mouse"), ("phone", "dark", "keyboard")]


class Person:
    """Somebody before the page, with a mouse or with a keyboard alone."""

    def __init__(self, browser, way="mouse"):
        self._browser = browser
        self._way = way

    def until(self, condition):
        """Wait for what the page comes to show."""
        wait = WebDriverWait(self._browser, 30, 0.1, [StaleElementReferenceException])
        return wait.until(lambda _: condition())

    def text(self, selector):
        """What stands there."""
        return self._browser.find_element(By.CSS_SELECTOR, selector).text

    def use(self, tag, says):
        """Press or tick what says so."""
        if self._way == "mouse":
            self._browser.find_element(By.XPATH, f"//{tag}[contains(., '{says}')]").click()
            return
        for _ in range(60):
            self._browser.switch_to.active_element.send_keys(Keys.TAB)
            if says in self._browser.execute_script(FOCUSED):
                key = Keys.SPACE if tag == "label" else Keys.ENTER
                self._browser.switch_to.active_element.send_keys(key)
                return
        raise AssertionError(says)

    def decide(self, key, says):
        """Tick a call that waits, and choose what becomes of it."""
        self.use("label", key)
        self.use("button", says)
        self.until(lambda: self.text("#told").startswith("1 call:"))

    def find(self, key):
        """What the page says of a call."""
        place = self._browser.find_element(By.ID, "key")
        place.clear()
        place.send_keys(key, Keys.ENTER)
        return self.until(lambda: key in self.text("#found") and self.text("#found"))

    def cells(self, place):
        """The cells of the first row of a table, by their columns."""
        table = self._browser.find_element(By.CSS_SELECTOR, f"{place} table")
        names = [one.text for one in table.find_elements(By.CSS_SELECTOR, "thead th")]
        row = table.find_element(By.CSS_SELECTOR, "tbody tr")
        return dict(zip(names, (one.text for one in row.find_elements(By.XPATH, "*")), strict=True))


@pytest.fixture
def desk(bench, browser):
    """``desk()``: the page of the bench's ledger, open; at the end its console had no error."""
    command = Path(sys.executable).with_name("call-ledger")
    place = ["--ledger-url", bench.settings["ledger_url"], "--rejected-path", bench.rejected]
    servers = []

    def desk(*way):
        servers.append(
            subprocess.Popen([command, *place, "page"], stdout=subprocess.PIPE, text=True)
        )
        browser.get(servers[0].stdout.readline().strip())
        return Person(browser, *way)

    yield desk
    wrong = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.get("about:blank")
    browser.get_log("browser")
    for server in servers:
        with server:
            server.terminate()
    assert wrong == []


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_the_next_runs_do_what_was_chosen_on_the_page(bench, desk, browser, way):
    """It shows what the journal has; delivered and dropped calls are never sent, one released once.

    On a desk with a mouse, and on a phone's screen with a keyboard alone.
    """
    size, scheme, hand = way
    delivered, released, dropped, left, good = [bench.key(n) for n in range(5)]
    for last in (2, 4):  # three in a row would end a run
        bench.script(bench.keys(last - 2, last), "reset_after_body")
        bench.run(bench.calls(last))
    assert bench.run(bench.calls(5)).code == 0
    answered = {entry["key"]: entry["status"] for entry in bench.journal()}
    assert [key for key, status in answered.items() if status] == [good]

    with screen(browser, size, scheme):
        person = desk(hand)
        person.until(lambda: "4 wait for you" in person.text("#sentence"))
        assert person.text("#sentence").startswith("1 call delivered in the last 30 days")
        day = person.cells("#accounts")
        assert [day[name] for name in SETTLED] == ["1", "0", "0", "4"]
        for key, status in answered.items():
            assert (": accepted" if status else ": held") in person.find(key)
        person.use("summary", "4 held")
        person.until(lambda: left in person.text("#waits"))
        person.decide(delivered, "Was delivered")
        person.until(lambda: "3 wait for you" in person.text("#sentence"))
        person.decide(released, "Send again")
        person.until(lambda: "to be sent again" in person.text("#waits"))
        person.decide(dropped, "Drop")
        person.until(lambda: "2 wait for you" in person.text("#sentence"))

        sent = len(bench.journal())
        for _ in range(2):
            assert bench.run(bench.calls(5)).code == 0
        assert [entry["key"] for entry in bench.journal(sent)] == [released]
        person.until(lambda: "1 waits for you" in person.text("#sentence"))
        person.until(lambda: left in person.text("#waits"))
        assert "drop, by" in person.find(dropped)


def test_a_run_under_way_shows_how_far_it_is_and_what_it_waits_for(bench, desk):
    """Without a reload: the vendor, the tap, the vendor's pause; then it has ended."""
    bench.run(bench.calls(1))
    person = desk()
    bench.faults("late 60")
    run = bench.start(request_timeout=90, max_in_flight=2).feed(bench.calls(3))
    person.until(lambda: "waits for the vendor (2 requests under way)" in person.text("#living"))
    assert "3 calls read, 1 settled" in person.text("#living")
    run.kill().wait()
    bench.faults()

    run = bench.start().feed([bench.schema(), bench.record(3)])
    person.until(lambda: "1 call read, 1 settled" in person.text("#living"))
    assert "waits for the tap" in person.text("#living")
    assert "accepted 1" in person.text("#living")
    bench.script([bench.key(4)], "429 retry-after 6")
    run.feed([bench.record(4)])
    person.until(lambda: "the vendor asked for a pause" in person.text("#living"))
    run.end_input()
    assert run.wait() == 0
    person.until(lambda: not person.text("#living"))
    assert person.cells("#runs")["how"] == "done"
    assert person.cells("#runs")["accepted"] == "2"


def test_of_an_input_that_is_a_file_the_page_shows_how_much_is_read(bench, desk, browser):
    """As of a replay."""
    bench.run(bench.calls(1))
    person = desk()
    file = bench.rejected.parent / "calls.jsonl"
    file.write_bytes(b"".join(lines(bench.calls(20))))
    bench.faults("late 60")
    run = bench.start("--input", str(file), request_timeout=90, max_in_flight=1)
    bar = person.until(lambda: browser.find_elements(By.TAG_NAME, "progress"))
    assert 0 < int(bar[0].get_attribute("value")) < 50
    run.kill().wait()
