"""Pages of an object around the list: over real sockets, against a vendor of this test's own."""

from __future__ import annotations

import json
from functools import partial

import pytest

from call_sandbox import Response, Sandbox, Vendor
from singer_calls.errors import PluginError
from singer_calls.extract import (
    Client,
    RetriableError,
    SchemaDrift,
    conform,
    cursor,
    integer,
    next_link,
    page_number,
    read_pages,
)
from singer_calls.extract.pages import Request
from singer_calls.http.retry import RetryPolicy

CALLS, SIZE = 25, 10
STYLES = {
    "link": next_link("paging.next", more="paging.more"),
    "relative": next_link("paging.relative"),
    "cursor": cursor("cursor", param="after"),
    "number": page_number(),
}


class Paged(Vendor):
    """All styles in one answer; ``wrong`` is put into it."""

    name, title, prefix, serves = "paged", "Paged", "/paged", True

    def paths(self):
        return {"/calls": self.calls}

    def refuse(self, request, status, message):
        del request
        return Response(status, message.encode())

    def calls(self, request):
        asked = dict(request.query)
        style = asked.get("style", "link")
        number = int(asked.get("page") or asked.get("after") or 1)
        rows = [{"id": n} for n in range(CALLS)[(number - 1) * SIZE : number * SIZE]]
        pages = -(-CALLS // SIZE)
        more = number < pages
        link = f"/paged/calls?style={style}&page={number + 1}" if more else None
        origin = f"http://{request.headers['Host']}"
        page = {
            "paging": {"next": link and origin + link, "relative": link, "more": more},
            "cursor": str(number + 1) if more else "",
            "total_pages": pages,
            "calls": rows,
        }
        return Response(body=json.dumps(page | self.switch.get("wrong", {})).encode())


@pytest.fixture(scope="module")
def served():
    with Sandbox(calls=0, vendors=[Paged]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served):
    served.reset()
    served.state.vendor("paged").switch.clear()
    return served


@pytest.fixture
def ids(sandbox):
    """``ids(style, **wrong)``: those of all pages, of answers that this was put into."""
    client = Client(
        sandbox.url,
        "Paged",
        credential="api_key",
        headers={},
        policy=RetryPolicy(max_tries=2),
        sleep=lambda _: None,
        environ={},
    )

    def ids(style, **wrong):
        sandbox.state.vendor("paged").switch["wrong"] = wrong
        found = read_pages(
            client,
            f"{sandbox.url}/paged/calls",
            {"style": style, "page": None},
            elements="calls",
            follow=STYLES[style],
            convert=lambda drift: partial(conform, fields={"id": integer}, drift=drift, key="id"),
            drift=SchemaDrift(),
            where="of all calls",
        )
        return [record["id"] for record in found]

    return ids


@pytest.mark.parametrize("style", STYLES)
def test_every_page_is_read_once_whatever_leads_to_it(ids, sandbox, style):
    """By a link, whole or relative, a cursor, or a number; a fault costs a try and no page."""
    sandbox.faults(
        "paged", {"fault": "503", "times": 1}, {"fault": "cut_json", "times": 1, "after": 2}
    )
    assert ids(style) == [*range(CALLS)]
    assert sandbox.fired("paged") == {"503": 1, "cut_json": 1}
    assert len(sandbox.journal("paged")) == 3 + 2
    assert {dict(entry["query"])["style"] for entry in sandbox.journal("paged")} == {style}


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://vendor.example/paged/calls?page=2", "http://127.0.0.1:1/paged/calls?page=2",
        "//vendor.example/calls", "https://127.0.0.1/calls", "file:///etc/passwd",
        "http://127.0.0.1:x/calls", "http://user:pw@{host}/paged/calls?page=2",
    ],
)  # fmt: skip
def test_a_link_to_another_origin_is_refused_without_a_request(ids, sandbox, elsewhere):
    """Our credentials would go along; the sentence does not quote it."""
    link = elsewhere.format(host=sandbox.url.removeprefix("http://"))
    with pytest.raises(PluginError, match="names a next page at another address") as refused:
        ids("link", paging={"next": link, "more": True})
    assert "example" not in str(refused.value)
    assert len(sandbox.journal("paged")) == 1


@pytest.mark.parametrize(
    ("style", "wrong", "requests"),
    [
        ("cursor", {"cursor": "2"}, 3),
        ("link", {"paging": {"next": "?page=1", "more": True}}, 3),
        ("relative", {"paging": {"relative": "?page=2"}}, 3),
        ("number", {"total_pages": 10**9, "calls": []}, 101),
        ("number", {"total_pages": 10**9, "calls": [{"id": 1}]}, 102),
    ],
)
def test_pages_without_end_end_the_run(ids, sandbox, style, wrong, requests):
    """A page that was asked for before, and a list that goes on with nothing in it."""
    with pytest.raises(PluginError, match="sends pages without end"):
        ids(style, **wrong)
    assert len(sandbox.journal("paged")) <= requests


@pytest.mark.parametrize(
    ("style", "wrong"),
    [
        ("link", {"paging": {"more": True}}),
        ("link", {"paging": {"more": True, "next": 7}}),
        ("cursor", {"cursor": {"a": 1}}),
        ("cursor", {"cursor": True}),
        ("number", {"total_pages": "3"}),
        ("number", {"total_pages": None}),
        ("link", {"calls": None}),
        ("link", {"calls": {"1": {"id": 1}}}),
    ],
)
def test_an_answer_that_does_not_say_how_it_goes_on_is_asked_for_again(ids, sandbox, style, wrong):
    """It may be cut: taken for the last page, the calls of the others would be lost."""
    with pytest.raises(PluginError, match="2 times in a row"):
        ids(style, **wrong)
    assert len(sandbox.journal("paged")) == 2


@pytest.mark.parametrize("fault", ["html", "empty", "binary", "cut_json"])
def test_a_body_that_is_no_page_is_asked_for_again(ids, sandbox, fault):
    """In the middle of a list, too."""
    sandbox.faults("paged", {"fault": fault, "after": 1, "times": 1})
    assert ids("link") == [*range(CALLS)]
    assert sandbox.fired("paged") == {fault: 1}


def test_a_link_keeps_its_query_and_a_cursor_ours():
    """The request of a first page beside the answers to it."""
    first = Request("https://vendor.example/a/calls.json", {"per_page": 250, "page": None})
    following = Request("https://vendor.example/a/calls.json?per_page=250&offset=1", {})
    assert next_link("next")(first, {"next": "/a/calls.json?per_page=250&offset=1"}) == following
    spelled = "HTTPS://Vendor.Example:443/a/calls.json"
    assert next_link("next")(first, {"next": spelled}).url.endswith("/a/calls.json")
    assert cursor("c")(first, {"c": 7}).params == first.params | {"cursor": 7}
    assert cursor("c", more="m")(first, {"c": "x", "m": False}) is None
    second = page_number()(Request(first.url, {}), {"total_pages": 2})
    assert second.params == {"page": 2}
    assert page_number()(second, {"total_pages": 2}) is None
    zero = page_number(first=0)
    assert zero(Request("u", {"page": 1}), {"total_pages": 2}) is None
    assert zero(Request("u", {}), {"total_pages": 2}).params == {"page": 1}
    with pytest.raises(RetriableError):
        page_number()(first, {"total_pages": True})
