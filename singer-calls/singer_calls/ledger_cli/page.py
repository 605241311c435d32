"""The desk as a page, for the person who would rather look than read; on this machine only.

Whoever else can reach the port gets nothing: the first address has a random token, which becomes a
strict cookie; the Host header must be this machine's; a change needs a POST of JSON with a token of
the page's own. No value of a call is on the page but its key.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from aiohttp import web

from singer_calls.deliver.entries import HELD, REJECTED
from singer_calls.deliver.identity import Account
from singer_calls.errors import PluginError
from singer_calls.ledger_cli import filed_records
from singer_calls.ledger_cli.decisions import Choice, Decision, RefusedError
from singer_calls.ledger_cli.render import cells_of, time_
from singer_calls.ledger_cli.runs import Run, totals
from singer_calls.ledger_cli.waiting import Call, Filter, Place, name_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from singer_calls.deliver.dead_letters_files import Files
    from singer_calls.ledger_cli.desk import Desk

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FILES = Path(__file__).with_name("static")
_COOKIE = "call_ledger"
_CSRF = "X-CSRF-Token"
_DAYS_SHOWN = 30
_RUNS_SHOWN = 20
_CALLS_SHOWN = 200  # of a group, shown at once
_NOTE_CHARS = 500
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Page:
    """What the page asks of the ledger.

    Args:
        desk: The ledger.
        files: Where originals are.
        who: Whose decisions these are.
    """

    def __init__(self, desk: Desk, files: Files, who: str) -> None:
        self._desk = desk
        self._files = files
        self._who = who
        self._session = secrets.token_urlsafe(32)
        self._csrf = secrets.token_urlsafe(32)
        self.token = secrets.token_urlsafe(32)
        self.hosts: frozenset[str] = frozenset()
        """Host headers of this machine, with the port."""
        self.cookie = _COOKIE
        """Its name: browsers keep the cookies of all ports of a host together."""

    @property
    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guard], client_max_size=2**20)
        app.add_routes(
            [
                web.get("/", self._index),
                web.get("/page.js", _static("page.js")),
                web.get("/page.css", _static("page.css")),
                web.get("/api/overview", self._overview),
                web.get("/api/group", self._group),
                web.get("/api/call", self._call),
                web.get("/api/original", self._original),
                web.post("/api/decide", self._decide),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await self._answer(request, handler)
        except web.HTTPException as error:
            error.headers.update(_HEADERS)
            raise
        except RefusedError as error:
            response = web.json_response({"error": f"{error}. Nothing was changed."}, status=409)
        except PluginError as error:
            response = web.json_response({"error": str(error)}, status=503)
        response.headers.update(_HEADERS)
        return response

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Host", "").lower() not in self.hosts:
            raise web.HTTPMisdirectedRequest(text="This page is for this machine only.")
        if "token" in request.query and request.path == "/":
            if not _same(request.query["token"], self.token):
                raise web.HTTPForbidden(text="This address is old: use the newest one.")
            found = web.HTTPSeeOther("/")
            found.set_cookie(self.cookie, self._session, httponly=True, samesite="Strict", path="/")
            raise found
        if not _same(request.cookies.get(self.cookie, ""), self._session):
            raise web.HTTPForbidden(text="Open the address that call-ledger printed.")
        if request.method == "POST":
            self._check_post(request)
        return await handler(request)

    def _check_post(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        ours = origin is None or origin in {f"http://{host}" for host in self.hosts}
        if not ours or not _same(request.headers.get(_CSRF, ""), self._csrf):
            raise web.HTTPForbidden(text="Load the page again: this one is not its own.")
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="JSON, please.")

    async def _index(self, _request: web.Request) -> web.Response:
        html = (_FILES / "index.html").read_text(encoding="utf-8")
        return web.Response(text=html.replace("{csrf}", self._csrf), content_type="text/html")

    async def _overview(self, _request: web.Request) -> web.Response:
        return web.json_response(await asyncio.to_thread(self._read_overview))

    def _read_overview(self) -> dict[str, Any]:
        runs = self._desk.runs()
        first = (datetime.now(UTC) - timedelta(days=_DAYS_SHOWN)).strftime("%Y-%m-%d")
        accounts = [
            {
                "account": account,
                "days": [
                    {"day": day, "counts": counts}
                    for day, counts in sorted(by_day.items(), reverse=True)
                    if day >= first
                ],
            }
            for account, by_day in sorted(totals(runs).items())
        ]
        groups = [
            {"state": state, "why": why, "account": name_of(account), "calls": count,
             "since": time_(oldest)}
            for state, why, account, count, oldest in self._desk.groups()
        ]  # fmt: skip
        return {
            "ledger": self._desk.place,
            "accounts": accounts,
            "groups": groups,
            "runs": [_run_of(run) for run in runs[:_RUNS_SHOWN]],
            "living": [_run_of(run) for run in runs if run.ended is None],
        }

    async def _group(self, request: web.Request) -> web.Response:
        state, query = request.query.get("state"), request.query
        if state not in {REJECTED, HELD}:
            raise web.HTTPBadRequest(text="state must be rejected or held.")
        wanted = Filter(state, query.get("account", ""), query.get("why", ""), whole=True)
        calls = await asyncio.to_thread(lambda: list(self._desk.waiting(wanted, _CALLS_SHOWN)))
        return web.json_response([_call_of(call) for call in calls])

    async def _call(self, request: web.Request) -> web.Response:
        def read() -> list[dict[str, Any]]:
            asked = request.query.get("key", "")
            return [
                {**_call_of(call), "events": list(self._events(call)), "reference": call.reference}
                for call in self._desk.under(
                    filed_records.known_as(self._desk, self._files, [asked])
                )
            ]

        return web.json_response(await asyncio.to_thread(read))

    def _events(self, call: Call) -> Iterator[tuple[str | None, str]]:
        if call.moment is not None:
            yield time_(call.moment), "took place"
        yield time_(call.first_seen), "first read"
        for one in self._desk.decisions(call):
            note = f": {one.note}" if one.note else ""
            yield time_(one.decided), f"{one.decision}, by {one.who}{note}"
        why = f": {call.why}" if call.why else ""
        yield time_(call.updated), f"{call.state} in attempt {call.attempt}, run {call.run}{why}"

    async def _original(self, request: web.Request) -> web.Response:
        def read() -> dict[str, Any]:
            calls = self._desk.one_each([request.query.get("key", "")], request.query["account"])
            kept = filed_records.find(self._files, calls)
            if not kept:
                raise RefusedError("Its original is not among the files of rejected_path")
            [original] = kept.values()
            masked: dict[str, Any] = _masked(filed_records.record_of(self._files, original))
            return masked

        if "account" not in request.query:
            raise web.HTTPBadRequest(text="Of which account?")
        return web.json_response(await asyncio.to_thread(read))

    async def _decide(self, request: web.Request) -> web.Response:
        try:
            decision, seen = _asked(await request.json(), self._who)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise web.HTTPBadRequest(text="That is no decision.") from None
        if not seen:
            raise RefusedError("No call was chosen")
        count = await asyncio.to_thread(lambda: self._desk.decide(seen, decision, seen))
        return web.json_response({"count": count})


def _asked(body: dict[str, Any], who: str) -> tuple[Decision, dict[Place, int]]:
    """A decision, and the attempt of each call that the person saw."""
    note, reference = (
        str(body.get(name) or "")[:_NOTE_CHARS] or None for name in ("note", "reference")
    )
    seen: dict[Place, int] = {}
    for call in body["calls"]:
        account = Account(str(call["vendor"]), str(call["origin"]), str(call["campaign"]))
        seen[account, str(call["key"])] = int(call["attempt"])
    return Decision(Choice(body["choice"]), who, reference, note), seen


def _static(name: str) -> Handler:
    async def handle(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(_FILES / name)

    return handle


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


def _call_of(call: Call) -> dict[str, Any]:
    return {**cells_of(call), "account": name_of(call.account)}


def _run_of(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "target": run.target,
        "node": run.node,
        "started": time_(run.started),
        "ended": time_(run.ended),
        "how": run.how,
        "counts": run.total,
        "per_second": run.per_second,
        "percent": run.progress.get("percent"),
        "news": list(run.news()) if run.ended is None else [],
    }


def _masked(value: Any) -> Any:  # noqa: ANN401 - JSON
    """The shape of a record without its values: letters are x, digits 9."""
    if isinstance(value, dict):
        return {name: _masked(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if value is None or isinstance(value, bool):
        return value
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "9", str(value)))


def serve(desk: Desk, files: Files, port: int, who: str) -> None:
    """Serve the page on loopback until it is interrupted; its address goes to standard output.

    Raises:
        PluginError: The port can't be had.
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Page(desk, files, who), port))


async def _serve(page: Page, port: int) -> None:
    runner = web.AppRunner(page.app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await site.start()
        except OSError as error:
            raise PluginError(f"Port {port} can't be had: {error.strerror}") from error
        port = runner.addresses[0][1]
        page.hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost"))
        page.cookie = f"{_COOKIE}_{port}"
        click.echo(f"http://127.0.0.1:{port}/?token={page.token}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
