"""What is no vendor: the page for people, and `/_...` for tests and tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from aiohttp import web

from call_sandbox.faults import UnknownFaultError
from call_sandbox.state import BadRequestError, State

Told = Mapping[str, Any]
"""The JSON body of a POST, or the query of any other request."""


def _since(told: Told) -> int:
    text = str(told.get("since", 0))
    if not text.isdecimal():
        raise BadRequestError("since is not a whole number")
    return int(text)


def _journal(state: State, told: Told) -> str:
    vendor = told.get("vendor")
    if vendor is not None:
        state.vendor(vendor)
    return f"[{','.join(state.journal.lines(vendor, _since(told)))}]"


def _faults(state: State, _: Told) -> object:
    return {
        "rules": {
            name: [rule.fault.text for rule in rules] for name, rules in state.faults.rules.items()
        },
        "fired": state.faults.fired,
    }


def _set_faults(state: State, told: Told) -> object:
    for name, rules in told.items():
        state.faults.set_rules(state.vendor(name).name, rules)
    return _faults(state, {})


def _script(state: State, told: Told) -> object:
    if told.keys() != {"vendor", "calls"}:
        raise BadRequestError('a script is {"vendor": name, "calls": {key: [word, ...]}}')
    state.faults.set_script(state.vendor(told["vendor"]).name, told["calls"])
    return {"calls": len(told["calls"])}


def _set_switches(state: State, told: Told) -> object:
    state.set_switches(told)
    return state.switches()


def _advance(state: State, told: Told) -> object:
    seconds = told.get("advance")
    if not isinstance(seconds, int | float) or seconds < 0:
        raise BadRequestError('the clock is moved with {"advance": seconds}')
    return {"now": state.advance(seconds)}


def _reset(state: State, _: Told) -> object:
    state.reset()
    return {}


CONTROL: Mapping[tuple[str, str], Callable[[State, Told], object]] = {
    ("GET", "/_ready"): lambda _, __: {"ready": True},
    ("GET", "/_journal"): _journal,
    ("GET", "/_books"): lambda state, told: state.books(told.get("vendor", "")),
    ("GET", "/_signals"): lambda state, _: state.signals(),
    ("GET", "/_faults"): _faults,
    ("POST", "/_faults"): _set_faults,
    ("POST", "/_script"): _script,
    ("GET", "/_switches"): lambda state, _: state.switches(),
    ("POST", "/_switches"): _set_switches,
    ("GET", "/_clock"): lambda state, _: {"now": state.world.now},
    ("POST", "/_clock"): _advance,
    ("POST", "/_reset"): _reset,
    ("GET", "/_summary"): lambda state, _: state.summary(),
}

PAGE = {"/": ("page.html", "text/html"), "/_page.css": ("page.css", "text/css"),
        "/_page.js": ("page.js", "text/javascript")}  # fmt: skip


def add_control(app: web.Application, state: State) -> None:
    """Add the page and the control paths to an application."""
    for (method, path), function in CONTROL.items():
        app.router.add_route(method, path, _json(state, function))
    for path, (name, content_type) in PAGE.items():
        app.router.add_get(path, _file(name, content_type))


def _json(state: State, function: Callable[[State, Told], object]) -> Any:  # noqa: ANN401
    async def answer(request: web.Request) -> web.Response:
        try:
            shown = function(state, _told(await request.read(), request.query))
        except (BadRequestError, UnknownFaultError, ValueError, TypeError, AttributeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        text = shown if isinstance(shown, str) else json.dumps(shown)
        return web.json_response(text=text)

    return answer


def _told(body: bytes, query: Mapping[str, str]) -> Told:
    told = json.loads(body) if body else dict(query)
    if not isinstance(told, dict):
        raise BadRequestError("the body is not a JSON object")
    return told


def _file(name: str, content_type: str) -> Any:  # noqa: ANN401
    text = files("call_sandbox").joinpath("page", name).read_text("utf-8")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type)

    return answer
