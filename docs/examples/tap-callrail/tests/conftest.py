"""CallRail, as its documents describe it, and the tap as its users run it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest

from call_sandbox import Response, Sandbox, Switch, Vendor
from call_sandbox.testing import ForkServer, Planted, Plugin

KEY = "callrail-key-4711"
NOW = int(datetime(2026, 3, 20, 15, tzinfo=UTC).timestamp())
ZONES = ("America/New_York", "Pacific/Kiritimati", "Etc/GMT+12")
EXTRA = ("company_id", "lead_status", "source", "tags", "value")


class CallRail(Vendor):
    """Lists of calls with a next link, of companies with numbered pages."""

    name, title, prefix, serves = "callrail", "CallRail", "/callrail", True
    switches: ClassVar = {
        "zone": Switch("of the dates", ZONES[0], ZONES),
        "end_date": Switch("is that day sent too", "inclusive", ("inclusive", "exclusive")),
        "tags": Switch("what a tag is", "text", ("text", "object")),
        "next": Switch("where the next page lies", "here", ("here", "elsewhere")),
    }

    def paths(self):
        return {
            "/v3/a/ACC1/calls.json": self.calls,
            "/v3/a/ACC1/companies.json": self.companies,
        }

    def refuse(self, request, status, message):
        del request
        return Response(status, json.dumps({"error": message}).encode())

    def calls(self, request):
        asked = dict(request.query)
        if request.headers.get("Authorization") != f'Token token="{KEY}"':
            return self.refuse(request, 401, "HTTP Token: Access denied.")
        zone = ZoneInfo(self.switch["zone"])
        first, last = (date.fromisoformat(asked[name]) for name in ("start_date", "end_date"))
        if first < (datetime.fromtimestamp(self.world.now, UTC) - timedelta(days=761)).date():
            return self.refuse(request, 400, "Please revise your date range.")
        last += timedelta(days=self.switch["end_date"] == "inclusive")
        low, high = (
            self.world.calls.first_after(datetime.combine(day, time.min, zone).timestamp() - 1)
            for day in (first, last)
        )
        numbers = range(low, min(high, self.world.started()))[::-1]
        size, offset = int(asked["per_page"]), int(asked.get("offset", 0))
        fields = asked.get("fields", "").split(",")
        page = numbers[offset * size : (offset + 1) * size]
        more = len(numbers) > (offset + 1) * size
        host = request.headers["Host"] if self.switch["next"] == "here" else "callrail.example"
        query = "&".join(f"{k}={v}" for k, v in (asked | {"offset": str(offset + 1)}).items())
        return self.answer(
            per_page=size,
            has_next_page=more,
            next_page=f"http://{host}{request.path}?{query}" if more else None,
            calls=[self.row(self.world.calls.call(n), zone, fields) for n in page],
        )

    def row(self, call, zone, fields):
        """The fields that come always, and those that were asked for."""
        start = datetime.fromtimestamp(call.start, zone)
        tags = ["Sale"] if self.switch["tags"] == "text" else [{"id": 1, "name": "Sale"}]
        extra = {
            "company_id": "COM1", "lead_status": None, "source": call.channel.name,
            "tags": tags, "value": "12.50",
        }  # fmt: skip
        return {
            "id": f"CAL{call.number}",
            "start_time": start.isoformat(timespec="milliseconds"),
            "answered": call.outcome == "answered",
            "voicemail": call.outcome == "voicemail",
            "direction": "inbound",
            "duration": call.ring + call.talk,
            "customer_phone_number": call.caller or None,
            "customer_name": "ANA PLANTED",
            "tracking_phone_number": call.tracking,
            "recording_duration": str(call.talk) if call.recorded else "",
        } | {name: extra[name] for name in fields if name in extra}

    def companies(self, request):
        asked = dict(request.query)
        size, number = 40, int(asked.get("page", 1))
        rows = [{"id": f"COM{n}", "name": f"Company {n}", "status": "active"} for n in range(100)]
        return self.answer(
            page=number,
            per_page=size,
            total_pages=3,
            total_records=100,
            companies=rows[(number - 1) * size : number * size],
        )

    def answer(self, **page):
        return Response(body=json.dumps(page).encode())


@pytest.fixture(scope="session")
def served():
    with Sandbox(calls=700, seed=3, days=60, now=NOW, vendors=[CallRail]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served):
    served.reset()
    served.switches("callrail", zone=ZONES[0], end_date="inclusive", tags="text", next="here")
    return served


@pytest.fixture(scope="session")
def programs():
    with ForkServer("tap-callrail") as programs:
        yield programs


@pytest.fixture
def settings(sandbox):
    return {
        "api_url": f"{sandbox.url}/callrail",
        "api_key": KEY,
        "account_id": "ACC1",
        "start_date": "2026-01-10T00:00:00Z",
        "end_date": "2026-03-20T15:00:00Z",
        "requests_per_minute": 10_000,
    }


@pytest.fixture
def tap(settings, programs, tmp_path):
    """The tap in a folder of its own; no output may show what is planted."""
    planted = Planted(secrets=[KEY, "PLANTED"], numbers=["40746", "447700"])
    with Plugin("tap-callrail", tmp_path, settings, programs, planted) as tap:
        yield tap
