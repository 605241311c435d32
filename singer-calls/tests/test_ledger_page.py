"""The ledger's page in a real headless Chromium, and whom it refuses."""

from __future__ import annotations

import http.client
import json
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from desk_bench import CALLER, FACTS, HERE, Kept
from screenshots import SCHEMES, SIZES, screen
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from singer_calls.deliver.entries import ACCEPTED, CLOSED, PROGRESS, REJECTED, UNKNOWN
from singer_calls.deliver.sql_ledger import SqlLedger

COUNTS = {"impact https://vendor.example 7": {"2026-01-05": {"accepted": 1, "rejected": 2}}}
TOLD = {"read": 5, "percent": 40, "per_second": 2.5, "told": 4102444800}
NAME = "const a = document.activeElement; return (a.labels?.[0] ?? a).textContent"
SEND_AGAIN = "document.querySelector('#waits details[open] button').click()"
ODD = "x\u202e<img src=x onerror=alert(1)>"


@pytest.fixture
def kept(tmp_path):
    kept = Kept(f"sqlite:///{tmp_path}/calls.ledger.db", tmp_path / "rejected")
    kept.note("ok", ACCEPTED, reference="A.1")
    kept.note("bad", REJECTED, reason="no such media", field="MediaId")
    kept.note(ODD, REJECTED, reason="no such media", field="MediaId")
    kept.note("held", UNKNOWN, reason="no answer came")
    yield kept
    kept.letters.close()
    kept.ledger.close()


@pytest.fixture
def address(kept):
    """Where the page of the command is."""
    command = Path(sys.executable).with_name("call-ledger")
    place = ["--ledger-url", kept.url, "--rejected-path", kept.folder]
    with subprocess.Popen(
        [command, *place, "page", "--who", "ana"], stdout=subprocess.PIPE, text=True
    ) as server:
        yield server.stdout.readline().strip()
        server.send_signal(signal.SIGINT)  # Ctrl-C
    assert server.returncode == 0


@pytest.fixture
def page(browser, address):
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(address)
    until(browser, lambda: "wait for you" in text(browser, "#sentence"))
    yield browser
    wrong = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    browser.get("about:blank")  # it would go on asking a server that is gone
    browser.get_log("browser")
    assert wrong == []


def until(browser, condition):
    WebDriverWait(browser, 15, 0.1, [StaleElementReferenceException]).until(lambda _: condition())


def text(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector).text


def press(browser, *keys):
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def tab_to(browser, says):
    """Reach what says so by the tabulator alone."""
    for _ in range(60):
        press(browser, Keys.TAB)
        if says in browser.execute_script(NAME):
            return
    raise AssertionError(says)


def test_it_shows_what_waits_and_a_decision_by_keyboard_is_the_ledgers(page, kept):
    """Two of one reason, dropped without a mouse; the caller is nowhere."""
    assert text(page, "#sentence").endswith("3 wait for you. A run is under way.")
    tab_to(page, "2 rejected: MediaId: no such media")
    press(page, Keys.ENTER)
    until(page, lambda: page.find_elements(By.CSS_SELECTOR, "#waits li"))
    assert "alert(1)" in text(page, "#waits")
    assert "\u202e" not in text(page, "#waits")
    assert CALLER[1:] not in page.page_source
    tab_to(page, "all of these")
    press(page, Keys.SPACE)
    tab_to(page, "Drop")
    press(page, Keys.ENTER)
    until(page, lambda: text(page, "#told").startswith("2 calls: drop."))
    until(page, lambda: text(page, "#sentence").startswith("0 calls delivered"))
    assert [kept.row(key).state for key in ("bad", ODD)] == [CLOSED, CLOSED]
    assert {(one[0], one[-1]) for one in kept.decisions()} == {("bad", "ana"), (ODD, "ana")}


def test_a_call_is_found_and_its_original_is_masked(page):
    """On a click only; names of fields, and the shape of values."""
    page.find_element(By.ID, "key").send_keys("held", Keys.ENTER)
    until(page, lambda: "no answer came" in text(page, "#found"))
    page.find_element(By.CSS_SELECTOR, "#found button").click()
    until(page, lambda: "+99999999999" in text(page, "#found pre"))
    assert CALLER not in page.page_source


def test_what_changed_since_the_person_looked_is_not_decided(page, kept):
    """It was tried again meanwhile: one sentence, nothing changed."""
    page.find_element(By.XPATH, "//summary[contains(., 'held')]").click()
    until(page, lambda: page.find_elements(By.CSS_SELECTOR, "#waits li"))
    page.execute_script("document.querySelectorAll('#waits details[open] li input')[1].click()")
    kept.note("held", UNKNOWN, reason="no answer came")
    page.execute_script(SEND_AGAIN)
    until(page, lambda: "look again" in text(page, "#told"))
    assert not kept.row("held").released
    page.get_log("browser")  # Chromium logs the 409


def test_it_updates_itself_and_shows_runs_and_days(page, kept):
    """Without a reload."""
    other = SqlLedger(kept.url, FACTS)
    other.close(how="done", counts=COUNTS)
    until(page, lambda: "done" in text(page, "#runs"))
    assert "target-impact-calls" in text(page, "#runs")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_is_for_everybody_on_a_desk_and_on_a_phone_in_light_and_dark(page, kept, axe, scheme):
    """With everything open that can be: nothing beyond the screen, nothing serious for axe."""
    kept.ledger.tell("the tap", COUNTS | {PROGRESS: {"": TOLD}})
    until(page, lambda: "waits for the tap" in text(page, "#under-way"))
    for group in page.find_elements(By.TAG_NAME, "summary"):
        group.click()
    page.find_element(By.ID, "key").send_keys("held", Keys.ENTER)
    until(page, lambda: page.find_elements(By.CSS_SELECTOR, "#found button"))
    page.find_element(By.CSS_SELECTOR, "#found button").click()
    until(page, lambda: text(page, "#found pre"))
    page.execute_script(SEND_AGAIN)
    until(page, lambda: "Tick the calls first" in text(page, "#told"))
    for size in SIZES:
        with screen(page, size, scheme):
            assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
            assert axe(page) == []


def test_an_empty_ledger_is_for_everybody_too(page, kept, axe):
    """Nothing waits, nothing was sent."""
    for key in ("bad", "held", ODD):
        kept("resolve", key, "--drop")
    until(page, lambda: "nothing waits for you" in text(page, "#sentence"))
    assert text(page, "#waits") == "Nothing."
    assert axe(page) == []


# Whom it refuses


@pytest.fixture
def ask(address):
    """``ask("GET", "/", Host=...)``: status, headers and body."""
    parts = urlsplit(address)

    def ask(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read().decode()
        connection.close()
        return found

    return ask


def test_who_is_not_this_machines_person_gets_nothing_and_changes_nothing(address, ask, kept):
    """Another host's name, no cookie, an old token, a forged POST: 4xx each."""
    query = urlsplit(address).query
    status, headers, _ = ask("GET", f"/?{query}")
    cookie = headers["Set-Cookie"].split(";")[0]
    assert status == 303
    assert "HttpOnly" in headers["Set-Cookie"]
    assert "SameSite=Strict" in headers["Set-Cookie"]
    assert ask("GET", f"/?{query}", Host="evil.example")[0] == 421
    assert ask("GET", "/api/overview", Host="evil.example", Cookie=cookie)[0] == 421
    assert ask("GET", "/?token=old")[0] == 403
    for path in ("/", "/page.js", "/api/overview", "/api/call?key=held"):
        assert ask("GET", path)[0] == 403
        assert ask("GET", path, Cookie=cookie)[0] == 200
    status, headers, html = ask("GET", "/", Cookie=cookie)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    token = re.search('csrf" content="(.*?)"', html)[1]

    call = {"vendor": HERE.vendor, "origin": HERE.origin, "campaign": HERE.campaign}
    call |= {"key": "held", "attempt": 1}
    body = json.dumps({"choice": "drop", "calls": [call]})
    good = {"Cookie": cookie, "X_CSRF_Token": token, "Content_Type": "application/json"}
    forged = [
        ({"Cookie": ""}, body, 403),
        ({"X_CSRF_Token": "guess"}, body, 403),
        ({"Origin": "http://evil.example"}, body, 403),
        ({"Content_Type": "text/plain"}, body, 415),
        ({}, "{", 400),
        ({}, "[]", 400),
        ({}, json.dumps({"choice": "pay", "calls": [call]}), 400),
        ({}, json.dumps({"choice": "drop", "calls": []}), 409),
        ({}, json.dumps({"choice": "drop", "calls": [call | {"attempt": 2}]}), 409),
        ({}, json.dumps({"choice": "drop", "calls": [call | {"key": "nobody"}]}), 409),
    ]
    for changes, sent, expected in forged:
        assert ask("POST", "/api/decide", sent, **good | changes)[0] == expected
    assert kept.row("held").state == UNKNOWN
    assert kept.decisions() == []
    assert ask("POST", "/api/decide", body, **good)[0] == 200
    assert kept.row("held").state == CLOSED


def test_what_the_page_can_not_answer_is_said(address, ask, kept):
    """A question that is none, an original that is gone, a ledger that is broken."""
    cookie = ask("GET", f"/?{urlsplit(address).query}")[1]["Set-Cookie"].split(";")[0]

    def told(path):
        status, _, body = ask("GET", f"/api/{path}", Cookie=cookie)
        return status, body

    kept("resolve", "held", "--drop", "--note", "by phone", "--who", "ana")
    assert "drop, by ana: by phone" in told("call?key=held")[1]
    assert told("group?state=accepted")[0] == 400
    assert told("original?key=bad")[0] == 400
    account = quote(json.loads(told("call?key=bad")[1])[0]["account"])
    status, original = told(f"original?key=bad&account={account}")
    assert (status, json.loads(original)) == (200, {"id": "xxx", "caller": "+99999999999"})
    for file in kept.folder.glob("*.jsonl"):
        file.unlink()
    status, body = told(f"original?key=bad&account={account}")
    assert (status, "not among the files" in body) == (409, True)
    with closing(sqlite3.connect(kept.url.removeprefix("sqlite:///"))) as ledger:
        ledger.execute("ALTER TABLE call_ledger_runs RENAME TO elsewhere")
        status, body = told("overview")
        assert (status, "ledger" in body) == (503, True)
        ledger.execute("ALTER TABLE elsewhere RENAME TO call_ledger_runs")


def test_a_port_that_is_taken_is_one_sentence(address, kept):
    """Nothing is served beside the other page."""
    kept("page", "--port", str(urlsplit(address).port), code=1)
    assert "can't be had" in kept.said


def test_a_call_that_our_own_check_refused_is_found_by_its_key(address, ask, kept):
    """As on the command line: the ledger has its record, under a name of its own."""
    cookie = ask("GET", f"/?{urlsplit(address).query}")[1]["Set-Cookie"].split(";")[0]
    name = kept.refuse("mine")
    assert name in ask("GET", "/api/call?key=mine", Cookie=cookie)[2]
