"""impact.com's call: its 50 documented parameters, and a record rendered as one.

Source: vendor docs, Call Data API (logCallData), Parameters; types and enumerations from the
vendor's OpenAPI description (impact-brand-calldata v14).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from singer_calls.deliver import (
    DIGITS,
    DURATION,
    MONEY,
    NUMBER,
    WHOLE,
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
from singer_calls.values.country import calling_code, country
from target_impact_calls.status import ANSWER, STATUSES, UNKNOWN_CALLERID, Statuses

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "CallSessionId"
CAMPAIGN = "CampaignId"

_ZIP_4 = re.compile(r"\d{5}[- ]?\d{4}", re.ASCII)
_WITHHELD = "anonymous"  # what is sent for a caller without a word for that

_SHORT = text(64)
_EVENT_DATE = Kind("ISO 8601 date-time; bare times are in `timezone`", scalar, in_identity)
_CALLER = Kind("phone number, sent as E.164; at most 64 characters", _SHORT.render, in_identity)
_CALLED = Kind("phone number, sent as national digits (10 in the US)", scalar, in_identity)


def _keys(value: object) -> str:
    # "List of unique keynames that were pressed during the call."
    items = value if isinstance(value, list) else scalar(value).split(",")
    return ",".join(dict.fromkeys(scalar(item) for item in items if not is_blank(item)))


def _country(value: object) -> str:
    code = country(scalar(value))
    if code is None:
        raise InvalidCallError("must be an ISO 3166 code of a country, such as US, GB or RO")
    return code


def _zip(value: object) -> str:
    # A whole number by the vendor's description; ZIP+4 names a side of a street.
    code = scalar(value)
    digits: str = DIGITS.render(code[:5] if _ZIP_4.fullmatch(code) else code)
    return digits


def _click(value: object) -> str:
    # One in ten ids has a colon, and is `xgMQ4KWb%3Axy...` in the address of the landing page.
    return scalar(unquote(scalar(value)))


_CLICK = Kind("text; what is percent-encoded, as in an address, is decoded", _click)
_COUNTRY = Kind(
    "ISO 3166 code, sent as alpha-2; by default that of the number", _country, in_identity
)
_KEYS = Kind("text, or a list of texts: each key once, joined by commas", _keys)
_POSTCODE = Kind("digits; of ZIP+4 the first five", _zip)
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
    Parameter("ClickId", _CLICK, "impact.com's click id from the landing page"),
    Parameter("City", text(), "City of the caller"),
    Parameter("Region", text(), "Region of the caller"),
    Parameter("Zip", _POSTCODE, "Postcode of the caller", decoration=True),
    Parameter("RepeatCaller", text(), "Repeat or new caller"),
    Parameter("PhoneType", choice("Landline", "Mobile"), "Of the caller", decoration=True),
    Parameter("CallRecording", url("https", "http"), "Recording", decoration=True),
    Parameter("IvrDuration", DURATION, "Time in the IVR tree, seconds"),
    Parameter("Keypresses", _KEYS, "Keys pressed during the call"),
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
class Renderer:
    """Renders records as impact.com's calls.

    Attributes:
        settings: The plugin's; what they say holds for calls that don't say it themselves.
        local: How bare times and numbers are read.
        statuses: What the source's words for statuses mean.
    """

    settings: Mapping[str, Any]
    local: Local
    statuses: Statuses

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Renderer:
        """The renderer that these settings describe."""
        return cls(settings, Local.of(settings), Statuses.of(settings))

    def render(self, record: Mapping[str, Any]) -> Rendered:
        """One record as one call.

        Returns:
            The parameters in the documented order, as text and whole numbers.

        Raises:
            NotYetError: The call still goes on.
            InvalidCallError: The record can't become a call.
        """
        values = given(PARAMETERS, record, self.settings)
        warnings = ignored("impact.com", PARAMETERS, record)
        self._status(values, warnings)
        moment = self._moment(values, warnings)
        caller = self._caller(values)
        called = self._called(values)
        rendered = render(PARAMETERS, values)
        if rendered.values["TalkDuration"] > rendered.values["CallDuration"]:
            warnings.append("TalkDuration is longer than CallDuration: are both in seconds?")
        numbers = {"CallerId": caller, "CalledPhoneNumber": called}
        return replace(
            rendered,
            warnings=(*warnings, *rendered.warnings),
            canonical=(
                *rendered.canonical,
                *(f"{name}=+{number.calling_code}" for name, number in numbers.items() if number),
            ),
            key=rendered.values[KEY],
            campaign=str(rendered.values[CAMPAIGN]),
            moment=moment,
            caller=caller.e164[1:] if caller else None,
            withheld=caller is None,
            called=called.e164[1:] if called else None,
            duration=rendered.values["CallDuration"],
        )

    def place(self, record: Mapping[str, Any]) -> tuple[str, str, int | None]:
        """Which call this is, also when it can't be rendered.

        Returns:
            Campaign, key and moment (UTC seconds, None when it can't be read).

        Raises:
            InvalidCallError: Campaign or key can't be read.
        """
        values = given(PLACE, record, self.settings)
        rendered = render(PLACE, values).values
        try:
            moment = self._moment(values | {"EventDate": record.get("EventDate")}, [])
        except InvalidCallError:
            moment = None
        return str(rendered[CAMPAIGN]), rendered[KEY], moment

    def _status(self, values: dict[str, Any], warnings: list[str]) -> None:
        """Always sent: impact.com takes a missing status for ANSWER, and may pay for it."""
        talk = values.get("TalkDuration")
        talked = None if talk is None else named("TalkDuration", DURATION.render, talk)
        word = named("CallStatus", scalar, values.get("CallStatus", ""))
        values["CallStatus"], told = self.statuses.read(word, talked)
        warnings += told
        answered = values["CallStatus"] == ANSWER
        values.setdefault("TalkDuration", values.get("CallDuration") if answered else 0)

    def _moment(self, values: dict[str, Any], warnings: list[str]) -> int | None:
        # "Alternatively, submit NOW" (vendor docs, Log call data).
        if is_blank(values.get("EventDate")) or values["EventDate"] == "NOW":
            return None
        moment, told = self.local.moment("EventDate", values["EventDate"])
        warnings += told
        values["EventDate"] = moment.isoformat(timespec="seconds")
        return int(moment.timestamp())

    def _caller(self, values: dict[str, Any]) -> phone.Phone | None:
        caller = values.get("CallerId")
        said = values["CallStatus"] == UNKNOWN_CALLERID
        word = said and isinstance(caller, str) and not any(map(str.isdecimal, caller))
        if caller is not None and not word and not phone.is_withheld(caller):
            number = self._number(values, "CallerId", "CallerPhoneNumberCountry")
            # impact.com matches conversions by it, so it has one form for good.
            values["CallerId"] = number.e164
            return number
        if not said:
            raise InvalidCallError(
                f"the caller's number is {'missing' if caller is None else 'withheld'}: filter "
                f"such calls, or map CallStatus to {UNKNOWN_CALLERID}",
                "CallerId",
            )
        # Not the digits of a word that was typed on a keypad: they are somebody's number.
        values["CallerId"] = caller if word else _WITHHELD
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
        said = values.get(country_name)
        code = None if said is None else named(country_name, _country, said)
        number = self.local.number(name, values[name], code)
        if number.country == phone.NO_COUNTRY:
            # Of a satellite or an international service: only the user can name a country.
            if code is None:
                raise InvalidCallError(
                    f"is a number of no one country: say in {country_name} which one to send", name
                )
        elif code and calling_code(code) != number.calling_code:
            raise InvalidCallError(
                f"is a number of another country than {country_name} says: correct one of them",
                name,
            )
        # impact.com takes a missing country for US.
        values.setdefault(country_name, number.country)
        return number
