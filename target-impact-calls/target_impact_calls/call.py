"""impact.com's call: its 50 documented parameters, and a record written as one of them.

Source: vendor docs, Call Data API (logCallData), Parameters; types and enumerations from the
vendor's OpenAPI description (impact-brand-calldata v14).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from singer_calls.deliver.local import Local
from singer_calls.deliver.outcome import InvalidCallError
from singer_calls.deliver.parameters import (
    DIGITS,
    DURATION,
    MONEY,
    NUMBER,
    WHOLE,
    Kind,
    Parameter,
    Written,
    choice,
    given,
    ignored,
    in_identity,
    is_blank,
    named,
    scalar,
    text,
    url,
    write,
)
from singer_calls.values import phone

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "CallSessionId"
CAMPAIGN = "CampaignId"
ANSWER = "ANSWER"
FAILURE = "FAILURE"
CANCEL = "CANCEL"
UNKNOWN_CALLERID = "UNKNOWN_CALLERID"

STATUSES = (
    UNKNOWN_CALLERID,
    "CONGESTION",
    "INCOMPLETE",
    CANCEL,
    "IVR_DROPOFF",
    "NO_TRANSFER_ATTEMPT",
    ANSWER,
    FAILURE,
)

# Words of the sources for the same thing. What stands in none of these lists is a FAILURE:
# impact.com takes a missing status for ANSWER, and may pay for it.
_SOURCE_WORDS = {
    ANSWER: ("Answered", "Invoca: Max Call Duration"),
    "CONGESTION": ("User busy", "Busy", "Destination: Error (503 or Fast Busy)"),
    CANCEL: (
        *("No answer", "Call Rejected", "Hangup", "Cancelled", "Rejected"),
        "Destination: No Answer",
    ),
    "IVR_DROPOFF": (
        *("Voice Mail", "Answered [machine detected]", "Hangup-record-alert"),
        *("Hangup-whisper-caller", "IVR: Hang-up"),
    ),
    "INCOMPLETE": (
        *("Unallocated (unassigned) number", "Destination is voxnumber"),
        "Destination: Number Not In Service",
    ),
    FAILURE: (
        *("No rules set", "Rules broken", "Number on hold", "Blocked"),
        "Unknown: Unknown Cause",
    ),
}
# Invoca's hang-ups say who ended the call, not whether it was answered: the talk time does.
_HANG_UPS = ("Caller: Hang-up", "Destination: Hang-up")
# INVOX and Invoca say so of a call that goes on.
_NOT_FINAL = ("Calling", "Bridged")


def _fold(word: str) -> str:
    return " ".join(word.replace("_", " ").casefold().split())


_BY_WORD = MappingProxyType(
    {_fold(word): status for status, words in _SOURCE_WORDS.items() for word in words}
    | {_fold(status): status for status in STATUSES}
)
_HANG_UP_WORDS = frozenset(map(_fold, _HANG_UPS))
_NOT_FINAL_WORDS = frozenset(map(_fold, _NOT_FINAL))

_SHORT = text(64)
_EVENT_DATE = Kind("ISO 8601 date-time; bare times are in `timezone`", scalar, in_identity)
_CALLER = Kind("phone number, sent as E.164; at most 64 characters", _SHORT.write, in_identity)
_CALLED = Kind("phone number, sent as national digits (10 in the US)", scalar, in_identity)
_LIST = Kind("text, or a list of texts", lambda value: ",".join(map(scalar, _items(value))))


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _country(value: object) -> str:
    code = scalar(value).upper()
    if not phone.is_country(code):
        raise InvalidCallError("must be an ISO 3166 alpha-2 code, such as US, GB or RO")
    return code


_COUNTRY = Kind("ISO 3166 alpha-2 code; by default that of the number", _country, in_identity)
_SESSION = "Id of the call in the source: our key, a call is sent once under it"

# In the order of the vendor's documented request.
PARAMETERS = (
    Parameter(CAMPAIGN, WHOLE, "Program", required=True, setting="campaign_id"),
    Parameter("MediaId", WHOLE, "Partner or media source", required=True, setting="media_id"),
    Parameter("EventDate", _EVENT_DATE, "When the call took place; or `NOW`", required=True),
    Parameter("ActionTrackerId", WHOLE, "Event type", required=True, setting="action_tracker_id"),
    Parameter("CallProvider", _SHORT, "Who sends the call", required=True, setting="vendor_name"),
    Parameter(KEY, text(), _SESSION, required=True),
    Parameter("CallerId", _CALLER, "The caller's number", required=True),
    Parameter("CalledPhoneNumber", _CALLED, "The number that received the call", required=True),
    Parameter("CallDuration", DURATION, "Whole call, seconds", required=True),
    Parameter(
        "TalkDuration",
        DURATION,
        "Talk, seconds; by default `CallDuration` when answered, else 0",
        required=True,
    ),
    Parameter("AdId", WHOLE, "Ad that led to the call"),
    Parameter("CallStatus", choice(*STATUSES), "Always sent; see the mapping of words below"),
    Parameter("CallerPhoneNumberCountry", _COUNTRY, "Country of the caller's number"),
    Parameter("CalledPhoneNumberCountry", _COUNTRY, "Country of the called number"),
    Parameter("SubId1", _SHORT, "The partner's first value"),
    Parameter("SubId2", _SHORT, "The partner's second value"),
    Parameter("SubId3", _SHORT, "The partner's third value"),
    Parameter("ClickId", text(), "impact.com's click id from the landing page"),
    Parameter("City", text(), "City of the caller"),
    Parameter("Region", text(), "Region of the caller"),
    Parameter("Zip", DIGITS, "Postcode of the caller, when it is digits", decoration=True),
    Parameter("RepeatCaller", text(), "Repeat or new caller"),
    Parameter("PhoneType", choice("Landline", "Mobile"), "Of the caller", decoration=True),
    Parameter("CallRecording", url("https", "http"), "Recording", decoration=True),
    Parameter("IvrDuration", DURATION, "Time in the IVR tree, seconds"),
    Parameter("Keypresses", _LIST, "Keys pressed during the call"),
    Parameter("Key1", text(), "First key pressed"),
    Parameter("Key2", text(), "Second key pressed"),
    Parameter("Key3", text(), "Third key pressed"),
    Parameter("Key4", text(), "Fourth key pressed"),
    Parameter("TrafficSource", text(), "Referring media source"),
    Parameter("OptInSms", text(), "Whether the caller opted in to SMS"),
    Parameter("UserAgent", text(), "User agent of the conversion's generator"),
    Parameter("DispositionName", text(), "Name of the conversion event"),
    Parameter("SaleAmount", MONEY, "Amount of the sale, if there was one"),
    Parameter("ReferenceId", NUMBER, "The customer's disposition code"),
    *(
        Parameter(f"CustomConversionEvent{n}{part}", text(), f"{part} {n} on conversion events")
        for part in ("Name", "Value")
        for n in (1, 2, 3)
    ),
    Parameter("VendorEventId", text(), "The vendor's id of call and conversion"),
    Parameter("PromoNumberDescription", text(), "Describes the called number"),
    *(
        Parameter(f"CustomCallEvent{n}{part}", text(), f"{part} {n} on call events")
        for part in ("Name", "Value")
        for n in (1, 2, 3)
    ),
)

PLACE = tuple(one for one in PARAMETERS if one.name in {CAMPAIGN, KEY})


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes records as impact.com's calls.

    Attributes:
        settings: The plugin's; what they say holds for calls that don't say it themselves.
        local: How bare times and numbers are read.
        words: The user's source words for call statuses, folded.
    """

    settings: Mapping[str, Any]
    local: Local
    words: Mapping[str, str]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Writer:
        """The writer that these settings describe."""
        words: Mapping[str, str] = settings.get("call_status_map") or {}
        return cls(
            settings=settings,
            local=Local.of(settings),
            words={_fold(word): status for word, status in words.items()},
        )

    def write(self, record: Mapping[str, Any]) -> Written:
        """One record as one call.

        Returns:
            The parameters in the documented order, as text and whole numbers.

        Raises:
            InvalidCallError: The record can't become a call.
        """
        values = given(PARAMETERS, record, self.settings)
        remarks = ignored("impact.com", PARAMETERS, record)
        status = self._status(values)
        if status is None:
            remarks.append(f"CallStatus is missing or no known word: sent as {FAILURE}")
        values["CallStatus"] = status or FAILURE
        values.setdefault("TalkDuration", values.get("CallDuration") if status == ANSWER else 0)
        moment = self._moment(values)
        caller = self._caller(values)
        called = self._called(values)
        written = write(PARAMETERS, values)
        numbers = {"CallerId": caller, "CalledPhoneNumber": called}
        return replace(
            written,
            remarks=(*remarks, *written.remarks),
            canonical=(
                *written.canonical,
                *(f"{name}=+{number.calling_code}" for name, number in numbers.items() if number),
            ),
            key=written.values[KEY],
            campaign=str(written.values[CAMPAIGN]),
            moment=moment,
            caller=caller.e164[1:] if caller else None,
            withheld=caller is None,
            called=called.e164[1:] if called else None,
            duration=written.values["CallDuration"],
        )

    def place(self, record: Mapping[str, Any]) -> tuple[str, str, int | None]:
        """Which call this is, also when it can't be written.

        Returns:
            Campaign, key and moment (UTC seconds, None when it can't be read).

        Raises:
            InvalidCallError: Campaign or key can't be read.
        """
        values = given(PLACE, record, self.settings)
        written = write(PLACE, values).values
        try:
            moment = self._moment(values | {"EventDate": record.get("EventDate")})
        except InvalidCallError:
            moment = None
        return str(written[CAMPAIGN]), written[KEY], moment

    def _status(self, values: Mapping[str, Any]) -> str | None:
        word = _fold(named("CallStatus", scalar, values.get("CallStatus", "")))
        if word in _NOT_FINAL_WORDS:
            raise InvalidCallError(
                "the call still goes on: filter such calls in the mapping, they come again "
                "when they have ended",
                "CallStatus",
            )
        if word in _HANG_UP_WORDS and word not in self.words:
            talked = named("TalkDuration", DURATION.write, values.get("TalkDuration", 0))
            return ANSWER if talked else CANCEL
        return self.words.get(word) or _BY_WORD.get(word)

    def _moment(self, values: dict[str, Any]) -> int | None:
        # "Alternatively, submit NOW" (vendor docs, Log call data).
        if is_blank(values.get("EventDate")) or values["EventDate"] == "NOW":
            return None
        moment = self.local.moment("EventDate", values["EventDate"])
        values["EventDate"] = moment.isoformat(timespec="seconds")
        return int(moment.timestamp())

    def _caller(self, values: dict[str, Any]) -> phone.Phone | None:
        caller = values.get("CallerId")
        if caller is not None and not phone.is_withheld(caller):
            number = self._number(values, "CallerId", "CallerPhoneNumberCountry")
            # impact.com matches conversions by it, so it has one form for good.
            values["CallerId"] = number.e164
            return number
        if values["CallStatus"] != UNKNOWN_CALLERID:
            raise InvalidCallError(
                "the caller's number is missing or withheld: filter such calls, or map "
                f"CallStatus to {UNKNOWN_CALLERID} and CallerId to a word such as anonymous",
                "CallerId",
            )
        return None

    def _called(self, values: dict[str, Any]) -> phone.Phone | None:
        if "CalledPhoneNumber" not in values:
            return None
        number = self._number(values, "CalledPhoneNumber", "CalledPhoneNumberCountry")
        # Documented are only the 10 digits of the US. What other countries' numbers look like is
        # unknown: national digits beside their country say the same, everywhere.
        values["CalledPhoneNumber"] = number.national
        return number

    def _number(self, values: dict[str, Any], name: str, country_name: str) -> phone.Phone:
        country = named(country_name, _country, values.get(country_name, self.local.country))
        number = self.local.number(name, values[name], country)
        # impact.com takes a missing country for US.
        values.setdefault(country_name, number.country)
        return number
