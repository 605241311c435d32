"""Asking a vendor: over real sockets, against the sandbox's INVOX and its faults."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from call_sandbox import Sandbox
from call_sandbox.credentials import INVOX_API_KEY
from singer_calls.errors import PluginError
from singer_calls.extract import (
    Client,
    ResponseTooLargeError,
    SchemaDrift,
    conform,
    integer,
)
from singer_calls.http.retry import RetryPolicy

CALLS = 50
FIELDS = {"call_id": integer}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(calls=CALLS, seed=7) as sandbox:
        yield sandbox


class Asking:
    """A client whose waits are written down and not waited."""

    def __init__(
        self,
        url: str,
        *,
        key: str = INVOX_API_KEY,
        timeout: float = 0.5,
        environ: dict[str, str] | None = None,
        **policy: float,
    ) -> None:
        self.url = url
        self.waits: list[float] = []
        self.drift = SchemaDrift()
        self.client = Client(
            url,
            "INVOX",
            credential="api_key",
            headers={"X-API-Key": key},
            timeout=timeout,
            policy=RetryPolicy(uniform=lambda _low, high: high, **policy),
            sleep=self.sleep,
            clock=lambda: sum(self.waits),
            environ=environ or {},
        )

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def calls(self, **options: object) -> list[dict[str, object]]:
        path = f"{self.url}/invox/api/v2/calls"
        return list(
            self.client.array(
                path,
                {"from_date": None},
                convert=lambda drift: partial(conform, fields=FIELDS, drift=drift, key="call_id"),
                drift=self.drift,
                **options,
            )
        )


@pytest.fixture
def asking(sandbox):
    sandbox.reset()
    return Asking(sandbox.url)


PASSING = [
    *("408", "413", "425", "429", "500", "502", "503", "504", "599"),
    *("500 x-ratelimit-reset 3000", "502 x-ratelimit-reset 4000000000"),
    *("reset_before_read", "reset_mid_headers", "reset_half_answer", "cut_json", "html"),
    *("empty", "huge", "binary", "200-with-error", "late 0.9", "slow_drip 30"),
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_asked_again(sandbox, asking, fault):
    """Twice the fault, then all calls, each once; the waits double."""
    sandbox.faults("invox", {"fault": fault, "times": 2})
    assert len({call["call_id"] for call in asking.calls()}) == CALLS
    assert sandbox.fired("invox") == {fault: 2}
    assert asking.waits == [1, 2]


@pytest.mark.parametrize("fault", ["503", "html", "reset_half_answer"])
def test_what_does_not_pass_ends_in_one_sentence(sandbox, asking, fault):
    """After the tries of the settings, with the vendor's name and what it did."""
    sandbox.faults("invox", fault)
    with pytest.raises(PluginError, match=r"^INVOX .*, 5 times in a row: run again later"):
        asking.calls()
    assert len(sandbox.journal("invox")) == 5


SPECIAL = (201, 204, 304, 401, 403, 408, 409, 413, 425, 429, 500, 503, 511, 526, 600, 999)


@pytest.mark.parametrize(
    "statuses", [SPECIAL, pytest.param(range(201, 1000), marks=pytest.mark.long)], ids=len
)
def test_every_status_has_its_row(sandbox, statuses):
    """Asked again, or ended by a sentence; the body is never told."""
    for status in statuses:
        sandbox.reset()
        sandbox.faults("invox", {"fault": str(status), "times": 1})
        asking = Asking(sandbox.url)
        if status == 204:
            assert asking.calls() == [], status
        elif status != 511 and (status in {408, 413, 425, 429} or status >= 500):
            assert len(asking.calls()) == CALLS, status
        else:
            with pytest.raises(PluginError) as error:
                asking.calls()
            assert f"HTTP {status}" in str(error.value)
            assert "Injected" not in str(error.value)
            assert ("api_key" in str(error.value)) == (status in {401, 403})


@pytest.mark.parametrize("fault", ["504", "524", "413", "408", "late 0.9", "slow_drip 30"])
def test_too_much_is_told_to_whoever_can_ask_for_less(sandbox, asking, fault):
    """At once, without another try."""
    sandbox.faults("invox", fault)
    with pytest.raises(ResponseTooLargeError):
        asking.calls(divisible=True)
    assert len(sandbox.journal("invox")) == 1


@pytest.mark.parametrize("length", ["", " announced"])
def test_a_body_that_comes_too_slowly_counts_as_a_timeout(sandbox, length):
    """Although each piece comes in time, and whether its length is known or not."""
    sandbox.reset()
    sandbox.faults("invox", f"slow_drip 12{length}")
    asking = Asking(sandbox.url, timeout=1)
    asking.client._clock, began = time.monotonic, time.monotonic()
    with pytest.raises(ResponseTooLargeError):
        asking.calls(divisible=True)
    assert time.monotonic() - began < 8  # the whole body takes 12


def test_a_wrong_key_names_its_setting_and_not_itself(sandbox):
    """Asked once: a wrong key does not become right."""
    sandbox.reset()
    with pytest.raises(PluginError, match="check the setting api_key") as error:
        Asking(sandbox.url, key="wrong-key-4711").calls()
    assert "4711" not in str(error.value)
    assert len(sandbox.journal("invox")) == 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7), (" 12 ", 12), ("0", 1), ("Thu, 01 Jan 2015 00:00:00 GMT", 1), ("-5", 1)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_and_never_shorter_than_our_own_backoff(
    sandbox, asking, status, header, wait
):
    """``Retry-After: 0``, or a moment that is past, is no reason to hammer at the vendor."""
    sandbox.faults("invox", {"fault": f"{status} retry-after {header}", "times": 1})
    assert len(asking.calls()) == CALLS
    assert asking.waits == [wait]


@pytest.mark.parametrize("header", ["0", "Thu, 01 Jan 2015 00:00:00 GMT"])
def test_a_vendor_that_asks_for_no_pause_at_all_is_outlasted(sandbox, asking, header):
    """The tries of the default last longer than a short outage."""
    sandbox.faults("invox", {"fault": f"503 retry-after {header}", "times": 4})
    assert len(asking.calls()) == CALLS
    assert asking.waits == [1, 2, 4, 8]


@pytest.mark.parametrize("status", [401, 404, 302, 429, 503, 599])
def test_the_status_decides_although_the_body_is_cut(sandbox, asking, status):
    """What it means is known before the body."""
    sandbox.faults("invox", {"fault": f"cut {status}", "times": 1})
    if status >= 429:
        assert len(asking.calls()) == CALLS
        return
    with pytest.raises(PluginError, match=f"HTTP {status}"):
        asking.calls()
    assert len(sandbox.journal("invox")) == 1


def test_a_pause_beyond_the_limit_ends_the_run(sandbox, asking):
    """With the setting's name; nothing is waited for."""
    sandbox.faults("invox", "503 retry-after 1000000000")
    with pytest.raises(PluginError, match=r"retry_after_max \(300 s\): run again later"):
        asking.calls()
    assert asking.waits == []


def test_nobody_there_is_asked_again_and_then_told():
    """A refused connection, and a name that does not exist."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://nowhere.invalid"):
        asking = Asking(url, max_tries=2)
        with pytest.raises(PluginError, match=r"^INVOX could not be reached \(.*\), 2 times"):
            asking.calls()
        assert asking.waits == [1]


def test_the_backoff_is_capped():
    """At a minute."""
    asking = Asking("http://127.0.0.1:1", max_tries=9)
    with pytest.raises(PluginError):
        asking.calls()
    assert asking.waits == [1, 2, 4, 8, 16, 32, 60, 60]


KEPT = ["close_after", "reset_next", "reset_after_answer", "stray 200", "stray 503 20", "twice"]


@pytest.mark.parametrize("fault", KEPT)
def test_a_kept_connection_that_ends_or_brings_more_spoils_no_answer(sandbox, asking, fault):
    """Each answer is its own request's, whatever came on the line before."""
    sandbox.faults("invox", {"fault": fault, "times": 5})
    for _ in range(6):
        assert len({call["call_id"] for call in asking.calls()}) == CALLS
        time.sleep(0.03)  # what belongs to nobody has come
    assert sandbox.fired("invox")[fault] == 5


BODY = json.dumps([{"call_id": n, "note": "ş"} for n in range(500)], ensure_ascii=False)
_ZIPPED = gzip.compress(BODY.encode(), mtime=0)
ANSWERS = {
    "plain": ("application/json", "", BODY.encode(), True),
    "gzip": ("application/json", "gzip", _ZIPPED, True),
    "deflate": ("application/json", "deflate", zlib.compress(BODY.encode()), True),
    "latin 2": ("application/json; charset=ISO-8859-2", "", BODY.encode("iso-8859-2"), True),
    "utf-16": (
        'text/plain;Charset="UTF-16"',
        "gzip",
        gzip.compress(BODY.encode("utf-16"), mtime=0),
        True,
    ),
    "cut gzip": ("application/json", "gzip", _ZIPPED[:-40], False),
    "no gzip": ("application/json", "gzip", BODY.encode(), False),
    "cut": ("application/json", "", BODY.encode()[:-3], False),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_as_it_is_encoded_or_asked_for_again(name):
    """Compressed, in another charset, or cut within either."""
    kind, coding, body, whole = ANSWERS[name]
    served = []

    class Vendor(BaseHTTPRequestHandler):
        def do_GET(self):
            served.append(self.path)
            said = (kind, coding, body) if len(served) == 1 else ANSWERS["plain"][:3]
            self.send_response(200)
            self.send_header("Content-Type", said[0])
            if said[1]:
                self.send_header("Content-Encoding", said[1])
            self.send_header("Content-Length", str(len(said[2])))
            self.end_headers()
            self.wfile.write(said[2])

        def log_message(self, *_):
            """Nothing to say."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Vendor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asking = Asking(f"http://127.0.0.1:{server.server_port}")
        calls = asking.calls()
        server.shutdown()
    assert [call["call_id"] for call in calls] == [*range(500)]
    assert len(served) == 2 - whole
    assert asking.drift.unknown == {"note": 500}  # counted once, not once a try
    assert asking.drift.lost_letters == 0
