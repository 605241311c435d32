"""A vendor's call as a table: its parameters, what each may hold, how it is rendered.

A target's ``call.py`` lists the documented parameters as ``Parameter`` rows; ``render`` turns what
a record gives into what goes over the wire, or says which parameter is wrong and why. Nothing
here knows a vendor, and no reason holds a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from singer_calls.deliver.identity import WITHHELD, Identity, mark
from singer_calls.deliver.outcome import InvalidCallError
from singer_calls.values.duration import seconds
from singer_calls.values.numbers import decimal, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_T = TypeVar("_T")

_WHOLE = re.compile(r"(\d{1,16})(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,16}(\.\d{1,16})?", re.ASCII)
_AMOUNT = re.compile(r"-?\d{1,16}(\.\d{1,40})?", re.ASCII)
_DIGITS = re.compile(r"\d{1,16}", re.ASCII)
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
_URL_END = re.compile(r"[?#]")
_LARGEST_EXPONENT = 16
_LARGEST_INT = 10**40
_CENT = Decimal("0.01")
_NAMES_SHOWN = 5  # unknown names in a warning
_NAME_CHARS = 60  # of one


@dataclass(frozen=True, slots=True)
class Kind:
    """What a parameter may hold.

    Attributes:
        says: The rule in words, for the README.
        write: From a record's value to the wire's; raises ``InvalidCallError`` with the reason.
        canonical: From the wire's value to the text that tells whether the call has changed.
    """

    says: str
    render: Callable[[Any], Any]
    canonical: Callable[[Any], str] = str


def in_identity(_: object) -> str:
    """``Kind.canonical`` of what the call's identity compares by rules of its own."""
    return ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One documented parameter of a call.

    Attributes:
        name: As the vendor writes it.
        kind: What it may hold.
        description: What it means, for the README.
        required: Whether a call without it is rejected.
        setting: The setting that speaks for calls that don't carry it.
        decoration: Whether a wrong value is left out with a warning, instead of the call being
            rejected: for what neither identifies a call nor prices it.
    """

    name: str
    kind: Kind
    description: str
    required: bool = False
    setting: str | None = None
    decoration: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A call as it goes over the wire, and who it is.

    Attributes:
        values: By parameter, in the documented order.
        warnings: What was left out or guessed, in words for the log, without values.
        canonical: ``name=value`` of each parameter in a form that says the same of the same call
            for good: no phone number but its calling code, no query of a URL, and no moment (the
            identity has it).
        key: The call's own key at the vendor.
        campaign: The campaign at the vendor.
        moment: When the call took place, UTC seconds since the epoch; None when nobody said.
        caller: Digits of the caller's number, None when withheld or missing.
        withheld: Whether the caller withheld the number.
        called: Digits of the number called.
        duration: Of the whole call, seconds; None where the vendor has no such parameter.
    """

    values: dict[str, Any]
    warnings: tuple[str, ...] = ()
    canonical: tuple[str, ...] = ()
    key: str = ""
    campaign: str = ""
    moment: int | None = None
    caller: str | None = None
    withheld: bool = False
    called: str | None = None
    duration: int | None = None

    @property
    def identity(self) -> Identity:
        """What stays the same of the call, whatever it is called."""
        length = () if self.duration is None else (self.duration,)
        return Identity(
            moment=self.moment,
            caller=WITHHELD if self.withheld else mark(self.caller),
            called=mark(self.called, *length),
        )


def is_blank(value: object) -> bool:
    """Whether this says nothing: None, empty or white text, an empty list or object."""
    return value is None or value in ({}, []) or (isinstance(value, str) and not value.strip())


def given(
    parameters: Iterable[Parameter], record: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What the record says, and for what it leaves blank, what the settings say."""
    found = {}
    for parameter in parameters:
        value = record.get(parameter.name)
        if parameter.setting is not None and is_blank(value):
            value = settings.get(parameter.setting)
        if not is_blank(value):
            found[parameter.name] = value
    return found


def unknown_names(parameters: Iterable[Parameter], record: Mapping[str, Any]) -> list[str]:
    """The record's fields that are no parameter, except what Singer itself adds."""
    known = {parameter.name for parameter in parameters}
    return [name for name in record if name not in known and not name.startswith("_sdc_")]


def ignored(vendor: str, parameters: Iterable[Parameter], record: Mapping[str, Any]) -> list[str]:
    """At most one warning on the record's fields that are no parameter of the vendor."""
    names = unknown_names(parameters, record)
    if not names:
        return []
    shown = ", ".join(shown_name(name) for name in names[:_NAMES_SHOWN])
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    verb = "is no parameter" if len(names) == 1 else "are no parameters"
    return [f"{shown}{more} {verb} of {vendor}: ignored"]


def shown_name(name: str) -> str:
    """A name that the data chose, fit for a log line: printable ASCII, not longer than a line."""
    cut = f"{name[:_NAME_CHARS]}..." if len(name) > _NAME_CHARS else name
    return cut.encode("unicode_escape").decode()


def render(parameters: Iterable[Parameter], values: Mapping[str, Any]) -> Rendered:
    """Render each parameter that has a value.

    Raises:
        InvalidCallError: A required one is missing, or one holds what it may not.
    """
    rendered: dict[str, Any] = {}
    canonical: list[str] = []
    warnings: list[str] = []
    for parameter in parameters:
        name = parameter.name
        if name not in values:
            if parameter.required:
                raise InvalidCallError(_missing(parameter), name)
            continue
        try:
            rendered[name] = named(name, parameter.kind.render, values[name])
        except InvalidCallError as error:
            if not parameter.decoration:
                raise
            warnings.append(f"{name} {error.reason}: left out")
        else:
            canonical.append(f"{name}={parameter.kind.canonical(rendered[name])}")
    return Rendered(rendered, tuple(warnings), tuple(canonical))


def named(name: str, function: Callable[[Any], _T], value: object) -> _T:
    """``function(value)``; when that says the value is wrong, it is the parameter ``name``'s.

    Raises:
        InvalidCallError: What the function raised, with the field.
    """
    try:
        return function(value)
    except InvalidCallError as error:
        raise InvalidCallError(error.reason, error.field or name) from None


def _missing(parameter: Parameter) -> str:
    remedy = f", or set {parameter.setting}" if parameter.setting else ""
    return f"is missing: map it{remedy}"


def scalar(value: object) -> str:
    """One value as text: numbers without an exponent, truth as ``true`` and ``false``.

    A whole number has no point, and 0.1 + 0.2 is 0.3; a text stays as it is.

    Raises:
        InvalidCallError: It is a list, an object, or no text that can be sent.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (float, Decimal)):
        return _number_text(value)
    if not isinstance(value, (str, int)):
        raise InvalidCallError("must be a single value, not a list or an object")
    if isinstance(value, int) and abs(value) >= _LARGEST_INT:
        raise InvalidCallError("is a number out of bounds")
    text = str(value).strip()
    if _UNSENDABLE.search(text):
        raise InvalidCallError("holds a character that can't be sent: NUL or half a pair")
    return text


def _number_text(value: float | Decimal) -> str:
    exact = decimal(value)
    if not exact.is_finite() or abs(exact.adjusted()) > _LARGEST_EXPONENT:
        raise InvalidCallError("is a number out of bounds")
    rendered = format(decimal(whole(exact)), "f")
    if len(rendered) > 3 * _LARGEST_EXPONENT:
        raise InvalidCallError("is a number out of bounds")
    return rendered


def text(limit: int | None = None) -> Kind:
    """Text of at most ``limit`` characters."""

    def render(value: object) -> str:
        rendered = scalar(value)
        if limit is not None and len(rendered) > limit:
            raise InvalidCallError(f"must be at most {limit} characters long")
        return rendered

    return Kind("text" if limit is None else f"text, at most {limit} characters", render)


def _matching(pattern: re.Pattern[str], says: str) -> Callable[[object], str]:
    def render(value: object) -> str:
        rendered = scalar(value)
        if not pattern.fullmatch(rendered):
            raise InvalidCallError(f"must be {says}")
        return rendered

    return render


def _whole(value: object) -> int:
    says = "a whole number, not negative"
    return int(_matching(_WHOLE, says)(value).partition(".")[0])


def _duration(value: object) -> int:
    try:
        return seconds(value)
    except ValueError:
        raise InvalidCallError("must be a duration: seconds, or a clock such as 00:08:10") from None


def _money(value: object) -> str:
    amount = Decimal(_matching(_AMOUNT, "an amount, such as 12.50")(value))
    return scalar(amount.quantize(_CENT, ROUND_HALF_UP))


WHOLE = Kind("whole number", _whole)
NUMBER = Kind("number", _matching(_NUMBER, "a number"))
MONEY = Kind("amount, at most 2 decimal places", _money)
DURATION = Kind("duration: seconds (parts are cut), or a clock such as 00:08:10", _duration)
DIGITS = Kind("digits", _matching(_DIGITS, "digits only"))


def url(*schemes: str) -> Kind:
    """An absolute URL of one of these schemes; its query may hold a signature that expires."""
    says = f"a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    pattern = re.compile(rf"(?:{'|'.join(schemes)})://[^\s/?#]\S*", re.IGNORECASE)
    return Kind(says, _matching(pattern, says), lambda value: _URL_END.split(value, 1)[0])


def choice(*words: str) -> Kind:
    """One of these words, whatever its case, sent as documented."""
    by_fold = {word.casefold(): word for word in words}
    says = f"one of {', '.join(words)}"

    def render(value: object) -> str:
        word = by_fold.get(scalar(value).casefold())
        if word is None:
            raise InvalidCallError(f"must be {says}")
        return word

    return Kind(says, render)


def markdown(parameters: Iterable[Parameter]) -> str:
    """The table for a README."""
    rows = [
        f"| `{one.name}` | {one.kind.says} | {_need(one)} | {one.description} |"
        for one in parameters
    ]
    return "\n".join(
        ["| parameter | holds | needed | meaning |", "|---|---|---|---|", *rows],
    )


def _need(parameter: Parameter) -> str:
    setting = f"or setting `{parameter.setting}`" if parameter.setting else ""
    return f"yes {setting}".strip() if parameter.required else setting
