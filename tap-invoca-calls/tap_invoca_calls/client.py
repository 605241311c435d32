"""How Invoca is asked who is on the line.

``GET {api_url}/api/2022-08-01/calls_in_progress/current_calls.json`` with the token, raw, in the
header ``Authorization`` (vendor docs). No pages, no order that matters, no documented limit.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from singer_calls.extract import Body, Client, RetriableError, SchemaDrift, usable
from singer_calls.values.boolean import boolean
from tap_invoca_calls.records import KEY, VENDOR, decode, record
from tap_invoca_calls.watch import Poll

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATH = "/api/2022-08-01/calls_in_progress/current_calls.json"

# What the lookup can hold; call_record_id is in the newest documents only.
NUMBERS = ("calling_phone_number", "destination_phone_number")
LOOKUP = ("transaction_id", "call_record_id", "external_unique_id", *NUMBERS)

# Documented are 200 and 401 only. For its other APIs Invoca documents 403 for whatever it refuses
# in a request, and 404 for what is not there.
_REFUSALS: dict[int, str] = {
    status: f"{VENDOR} refuses the request (HTTP {status:d}): check organization_type, "
    f"organization_id and lookup, and {more}."
    for status, more in (
        (HTTPStatus.FORBIDDEN, "that Invoca enabled Calls In Progress for your account"),
        (HTTPStatus.NOT_FOUND, "api_url"),
    )
}


class _Client(Client):
    """Takes a 202, too: in a draft of the documents, the answer of some of the regions."""

    @override
    def takes(self, status: int) -> bool:
        return status == HTTPStatus.ACCEPTED or super().takes(status)


class Invoca:
    """The calls in progress of one organization, or those of a lookup.

    Args:
        config: The tap's settings.
        user_agent: Sent with each request.
        drift: Counts what Invoca sends and no schema expects.
        edges: ``clock`` and ``sleep`` of the Client.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        user_agent: str,
        drift: SchemaDrift,
        **edges: Callable[..., Any],
    ) -> None:
        self._url = config["api_url"].rstrip("/") + PATH
        self._query = {
            "organization_type": config["organization_type"],
            "id": config["organization_id"],
            **(config.get("lookup") or {}),
        }
        self._demographics = config["include_demographics"]
        self._drift = drift
        self._client = _Client.from_config(
            config,
            VENDOR,
            credential="oauth_token",
            headers={
                "Authorization": config["oauth_token"],
                "User-Agent": user_agent,
            },
            refusal=lambda status, _body: _REFUSALS.get(status),
            **edges,
        )

    def current_calls(self) -> Poll:
        """Ask once, and again as the settings say.

        Raises:
            UnansweredError: There was no answer that can be read; a later one may be.
            PluginError: Invoca can't be asked any further.
        """
        return self._client.get(self._url, self._query, read=self._read)

    def _read(self, body: Body) -> Poll:
        """An answer from its body: all calls typed.

        The list is called ``current_calls``; in that draft ``calls_in_progress``, with
        ``partial_data`` and ``errors`` beside it where a region could not be asked. A 204 says
        that nobody is on the line.

        Raises:
            RetriableError: The body is none of Invoca's.
        """
        if body.status == HTTPStatus.NO_CONTENT:
            return Poll([], complete=True)
        drift = SchemaDrift()
        try:
            answer = decode("".join(body.text(drift.count_lost)))
            found = answer.get("current_calls")
            found = answer.get("calls_in_progress") if found is None else found
        except (ValueError, AttributeError, RecursionError):
            found = None
        if not isinstance(found, list):
            raise RetriableError("answered something that is not a list of calls")
        calls = [*usable(found, lambda raw: self._record(raw, drift), drift, "of current calls")]
        # Dropped in silence, a call that is on the line would seem to have ended.
        partial = (
            drift.unusable
            or body.status == HTTPStatus.ACCEPTED
            or _is_said(answer.get("partial_data"))
            or answer.get("errors")
        )
        self._drift.add(drift)
        # Of a call that is listed twice, the first is the one that was bridged last.
        once = {call[KEY]: call for call in reversed(calls)}
        return Poll([*reversed(once.values())], complete=not partial)

    def _record(self, raw: object, drift: SchemaDrift) -> dict[str, Any]:
        call = record(raw, drift)
        if not self._demographics:
            del call["demographics_data"]
        return call


def _is_said(value: object) -> bool:
    """A boolean in whatever form; what is none is taken for true, as anything but nothing is."""
    try:
        return value is not None and boolean(value)
    except ValueError:
        return bool(value)
