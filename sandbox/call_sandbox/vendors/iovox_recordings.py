"""iovox: `GET /Calls?v=3&method=getCallRecording&id=` (facts.md 3.6): the bytes of a recording.

The only documented words are those of its sister `transcribeCallRecording`; what they leave open
is a switch. Where a recording is slow, cut or no recording at all, the fault words say it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar
from xml.sax.saxutils import escape

from call_sandbox.credentials import IOVOX_SECURE_KEY, IOVOX_USERNAME
from call_sandbox.sound import wav
from call_sandbox.vendor import Handler, PageCall, Request, Response, Switch, Vendor, mask
from call_sandbox.vendors.iovox_calls import FIRST_ID, caller, documented, identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from call_sandbox.calls import Call

XML = '<?xml version="1.0" encoding="utf-8"?>'
KINDS = ("stereo", "mono", "dual-mono", "wav", "wav-mono", "mp4", "cut", "mixed")
"""A recording of one call in eight is not stereo, where they are mixed; none of those is cut."""

METHODS = frozenset({"getCallRecording", "getVoicemailRecording"})
UNKNOWN, NONE = (
    "The specified Call ID does not exist",
    "The specified call does not have a recording",
)


class IovoxRecordings(Vendor):
    """Serves the recording of each call that has one."""

    name = "iovox-recordings"
    title = "iovox recordings"
    prefix = "/iovox-api"
    serves = True
    switches: ClassVar[Mapping[str, Switch]] = {
        "recording": Switch("what a recording is", "stereo", KINDS),
        "delay": Switch("seconds after a call until its recording is there", 0),
        "none": Switch("status for a call without a recording", "400", ("400", "404")),
        "unknown": Switch("status for an id that it doesn't know", "404", ("404", "400")),
        "content_type": Switch(
            "how the bytes are called",
            "audio/mpeg",
            ("audio/mpeg", "application/octet-stream", "text/html"),
        ),
        "kilobytes": Switch("size of an MP3, made of its seconds again and again; 0 as it is", 0),
    }

    def paths(self) -> Mapping[str, Handler]:
        """One path; `method` says what is asked."""
        return {"/Calls": self.recording}

    def key(self, request: Request) -> str | None:
        """The id of the call, so that a fault can be prescribed for it."""
        return dict(request.query).get("id")

    def refuse(self, request: Request, status: int, message: str) -> Response:
        """The older API's errors (vendor docs, authentication)."""
        del request
        body = f'{XML}<errors><error status="{status}">{escape(message)}</error></errors>'
        return Response(status, body.encode(), "application/xml")

    def recording(self, request: Request) -> Response:
        """The bytes of one recording, or why there are none."""
        credentials = (request.headers.get("username"), request.headers.get("secureKey"))
        if credentials != (IOVOX_USERNAME, IOVOX_SECURE_KEY):
            return self.refuse(request, 401, "HTTP 401: Unauthorized")
        if problem := _problem(request):
            return self.refuse(request, 400, problem)
        told = dict(request.query)["id"]
        if told in {str(call["id"]) for call in documented()}:
            return self._served(told, "stereo")
        call = self._call(int(told))
        if call is None:
            return self.refuse(request, int(self.switch["unknown"]), UNKNOWN)
        if not call.recorded or self.world.now < call.end + self.switch["delay"]:
            return self.refuse(request, int(self.switch["none"]), NONE)
        kind = self.switch["recording"]
        if kind == "mixed":
            kind = KINDS[call.dice[3] % 6] if call.dice[4] % 8 == 7 else "stereo"  # noqa: PLR2004
        return self._served(told, kind)

    def _served(self, key: str, kind: str) -> Response:
        self.books[key] += 1
        body = recorded(kind)
        if size := self.switch["kilobytes"] * 1000:
            body *= -(-size // len(body))
        return Response(200, body, self.switch["content_type"], processed=True)

    def _call(self, told: int) -> Call | None:
        number = (told - FIRST_ID) // 100
        if not 0 <= number < self.world.started():
            return None
        call = self.world.calls.call(number)
        return call if identity(call) == told else None

    def newest(self, count: int) -> list[PageCall]:
        """The newest calls, and whether they have a recording."""
        return [
            PageCall(
                key=str(identity(call)),
                when=f"fetched {self.books[str(identity(call))]} times",
                caller=mask(caller(call)),
                status="recorded" if call.recorded else "none",
                seconds=None,
            )
            for call in self.world.newest(count)
        ]


def _problem(request: Request) -> str:
    """What is wrong with a request, in the documented words."""
    asked = dict(request.query)
    told = asked.get("id", "")
    rules = {
        f"Request Method must be GET. {request.method} attempted": request.method != "GET",
        "API Version Invalid": asked.get("v") != "3",
        "Method Invalid": asked.get("method") not in METHODS,
        "Unknown or repeated parameter": {"v", "method", "id"} != asked.keys() | {"id"},
        "Call ID Empty": not told,
        "Call ID not an integer": not (told.isascii() and told.isdecimal()),
    }
    return next((words for words, broken in rules.items() if broken), "")


@cache
def recorded(kind: str) -> bytes:
    """A recording of three seconds; `scripts/audio.py` made those that are files."""
    if kind.startswith("wav"):
        return wav(1 if kind == "wav-mono" else 2)
    if kind == "cut":  # within its last frame, as by who copied it
        return recorded("stereo")[:-100]
    name = "stereo.mp4" if kind == "mp4" else f"{kind}.mp3"
    return files("call_sandbox").joinpath("audio", name).read_bytes()
