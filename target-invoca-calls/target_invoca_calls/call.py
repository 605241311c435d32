"""Invoca's call for ingestion: its documented parameters, and a record rendered as one.

Source: vendor docs, Call Ingestion API (Request Parameters), and the newer edition of 2026 for
``recording_filename`` and for which number is whose.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from singer_calls.deliver import (
    InvalidCallError,
    Kind,
    Local,
    Parameter,
    Rendered,
    choice,
    given,
    ignored,
    in_identity,
    is_blank,
    named,
    render,
    scalar,
    text,
    url,
)
from singer_calls.values import phone
from singer_calls.values.boolean import boolean
from target_invoca_calls import recording
from target_invoca_calls.recording import Recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY = "external_call_unique_id"
CAMPAIGN = "advertiser_campaign_id_from_network"
DIRECTIONS = ("inbound", "outbound")
LANGUAGES = ("en-US", "en-GB", "es-ES", "fr-FR")
NUMBERS = ("destination_phone_number", "calling_phone_number")
CALLING_CODES = (1, 44, 34)
SIGNALS_LIMIT = 100  # "Signals are limited to 100" (an answer of Invoca's Signal API)

_RECORDINGS = ("recording_url", "recording_filename")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Pair = tuple[str, Any]


def _id(value: object) -> int | str:
    # The documents' examples have a number for a campaign, their campaigns a text.
    rendered = scalar(value)
    return int(rendered) if rendered.isdecimal() and rendered == str(int(rendered)) else rendered


def _pairs(value: object, default: object = None) -> list[_Pair]:
    """Names and values of a list, an object, or one of these as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_float=Decimal)
        except (ValueError, RecursionError):
            value = None
    if isinstance(value, dict):
        value = [{"name": name, "value": given} for name, given in value.items()]
    if not isinstance(value, list) or not all(
        isinstance(item, dict) and item.keys() <= {"name", "value"} for item in value
    ):
        raise InvalidCallError("must be an object of names and values, or a list of name and value")
    return [(_name(item), item.get("value", default)) for item in value]


def _name(item: Mapping[str, Any]) -> str:
    if is_blank(item.get("name")):
        raise InvalidCallError("has an item without a name")
    return scalar(item["name"])


def _named_once(pairs: list[_Pair], fold: Callable[[str], str] = str) -> list[dict[str, Any]]:
    """The pairs as Invoca's list; ``fold`` makes equal what Invoca takes for one name."""
    once: dict[str, _Pair] = {}
    for name, value in pairs:
        if once.setdefault(fold(name), (name, value))[1] != value:
            raise InvalidCallError("has one name with two values")
    return [{"name": name, "value": value} for name, value in once.values()]


def _truth(value: object) -> int:
    try:
        return int(boolean(value))
    except ValueError:
        raise InvalidCallError(
            "has a value that is none of true, false, 1, 0, yes and no"
        ) from None


def _signals(value: object) -> list[dict[str, Any]]:
    # A name alone is true, as documented. A value that is null says nothing: not sent.
    pairs = [(name, _truth(v)) for name, v in _pairs(value, default=True) if not is_blank(v)]
    signals = _named_once(pairs, str.casefold)  # "Names are matched case-insensitively."
    if len(signals) > SIGNALS_LIMIT:
        raise InvalidCallError(f"has more than {SIGNALS_LIMIT} signals")
    return signals


def _custom_data(value: object) -> list[dict[str, Any]]:
    return _named_once([(name, scalar(v)) for name, v in _pairs(value) if not is_blank(v)])


def _canonical(pairs: list[dict[str, Any]], fold: Callable[[str], str] = str) -> str:
    return json.dumps({fold(pair["name"]): pair["value"] for pair in pairs}, sort_keys=True)


_ID = Kind("number or text", _id)


_START = Kind(
    "date and time, sent as the epoch in milliseconds; bare times are in `timezone`",
    scalar,
    in_identity,
)
_NUMBER = Kind("phone number, sent as E.164", scalar, in_identity)
_SIGNALS = Kind(
    "object of name and truth, or list of `name` and `value`",
    _signals,
    partial(_canonical, fold=str.casefold),
)
_CUSTOM = Kind("object of name and value, or list of `name` and `value`", _custom_data, _canonical)

# In the order of the vendor's documented requests.
CALL = (
    Parameter(KEY, text(), "Id of the call; `call_prefix` goes before it", required=True),
    Parameter("start_time", _START, "When the call started", required=True),
    Parameter(
        "destination_phone_number",
        _NUMBER,
        "The **business's** number, whatever the direction",
        required=True,
    ),
    Parameter(
        "calling_phone_number",
        _NUMBER,
        "The **customer's** number, whatever the direction",
        required=True,
    ),
    Parameter(
        CAMPAIGN,
        _ID,
        "Id from network of the campaign, of type ExternalOnly",
        required=True,
        setting=CAMPAIGN,
    ),
    Parameter(
        "call_direction",
        choice(*DIRECTIONS),
        "Tells the channels of the recording",
        required=True,
        setting="call_direction",
    ),
    Parameter(
        "recording_url",
        url("https"),
        "Downloads the stereo WAV or MP3 file; http:// if `allow_http_recordings`",
    ),
    Parameter("recording_filename", text(), "In place of `recording_url`: path in your storage"),
    Parameter(
        "language_code",
        choice(*LANGUAGES),
        "Language of the transcription",
        setting="language_code",
    ),
    Parameter(
        "recording_auth_config_id",
        _ID,
        "How Invoca authenticates for the recording",
        setting="recording_auth_config_id",
    ),
)
BESIDE_CALL = (
    Parameter("signals", _SIGNALS, f"At most {SIGNALS_LIMIT}; names must exist at Invoca"),
    Parameter("custom_data", _CUSTOM, "Partner (API) names, which must exist at Invoca"),
)
PARAMETERS = (*CALL, *BESIDE_CALL)
_CALL_OVER_HTTP = tuple(
    replace(one, kind=url("https", "http")) if one.name == "recording_url" else one for one in CALL
)
PLACE = tuple(one for one in CALL if one.name in {CAMPAIGN, KEY})


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders records as Invoca's calls.

    Attributes:
        settings: The plugin's; what they say holds for calls that don't say it themselves.
        local: How bare times and numbers are read.
        recordings: What the settings say of recordings in the user's store.
        call: ``CALL``, as the settings change it.
    """

    settings: Mapping[str, Any]
    local: Local
    recordings: Recordings
    call: tuple[Parameter, ...] = CALL

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Renderer:
        """The renderer that these settings describe."""
        allow_http = settings.get("allow_http_recordings")
        own = _CALL_OVER_HTTP if allow_http else CALL
        return cls(settings, Local.of(settings), Recordings(settings), own)

    def render(self, record: Mapping[str, Any]) -> Rendered:
        """One record as one request: ``call``, and if there are any ``signals``, ``custom_data``.

        Raises:
            InvalidCallError: The record can't become a call.
        """
        values = given(PARAMETERS, record, self.settings)
        self._prefix(values)
        own = {name: value for name, value in record.items() if name not in recording.FIELDS}
        warnings = ignored("Invoca", PARAMETERS, own)
        moment = self._moment(values, warnings)
        numbers = {name: self._number(name, values) for name in NUMBERS if name in values}
        call = render(self.call, values)
        said: tuple[str, ...] = ()
        if not any(name in call.values for name in _RECORDINGS):
            kept = self.recordings.read(record)
            if kept is not None:
                call.values[self.recordings.parameter] = kept
                said = (f"recording={record['recording_path']}",)
        if not any(name in call.values for name in _RECORDINGS):
            raise InvalidCallError(
                "is missing: Invoca takes no call without a recording; filter such calls, or map "
                "recording_url or recording_filename",
                "recording_url",
            )
        beside = render(BESIDE_CALL, values)
        called, caller = (numbers[name] for name in NUMBERS)
        return Rendered(
            {
                "call": call.values,
                **{name: pairs for name, pairs in beside.values.items() if pairs},
            },
            warnings=tuple(warnings),
            canonical=(
                *call.canonical,
                *said,
                *beside.canonical,
                *(f"{name}=+{number.calling_code}" for name, number in numbers.items()),
            ),
            key=call.values[KEY],
            campaign=str(call.values[CAMPAIGN]),
            moment=moment,
            caller=caller.e164[1:],
            called=called.e164[1:],
        )

    def beside(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """Signals and custom data of a record, as Invoca's lists.

        Raises:
            InvalidCallError: One of them can't be read.
        """
        return render(BESIDE_CALL, given(BESIDE_CALL, record, self.settings)).values

    def place(self, record: Mapping[str, Any]) -> tuple[str, str, int | None]:
        """Which call this is, also when it can't be rendered.

        Returns:
            Campaign, key and moment (UTC seconds, None when it can't be read).

        Raises:
            InvalidCallError: Campaign or key can't be read.
        """
        values = given(PLACE, record, self.settings)
        self._prefix(values)
        rendered = render(PLACE, values).values
        try:
            moment = self._moment({"start_time": record.get("start_time")}, [])
        except InvalidCallError:
            moment = None
        return str(rendered[CAMPAIGN]), rendered[KEY], moment

    def _prefix(self, values: dict[str, Any]) -> None:
        if KEY in values:
            prefix = self.settings.get("call_prefix") or ""
            values[KEY] = prefix + named(KEY, scalar, values[KEY])

    def _moment(self, values: dict[str, Any], warnings: list[str]) -> int | None:
        if is_blank(values.get("start_time")):
            return None
        start, told = self.local.moment("start_time", values["start_time"])
        warnings += told
        # "UTC milliseconds since 1/1/70 [...] i.e. a 13 digit start time": the one form that every
        # reading of the documents allows. Theirs with slashes stands beside examples with dashes.
        milliseconds = (start - _EPOCH) // timedelta(milliseconds=1)
        values["start_time"] = str(milliseconds)
        return milliseconds // 1000

    def _number(self, name: str, values: dict[str, Any]) -> phone.Phone:
        value = values[name]
        if phone.is_withheld(value):
            raise InvalidCallError("is withheld: filter such calls, Invoca needs a number", name)
        number = self.local.number(name, value)
        known = number.calling_code in CALLING_CODES
        if not known and not self.settings.get("allow_other_countries"):
            raise InvalidCallError(
                "is of a country that Invoca's documents don't name, they have +1, +44 and +34: "
                "filter such calls, or ask Invoca and set allow_other_countries",
                name,
            )
        values[name] = number.e164
        return number
