"""Answers in pages: an object around the list, which says where the next page is.

    read_pages     the records of all pages, one request after the other
    next_link      the object has the next page's address: ``{"next": "https://..."}``
    cursor         the object has a text to ask on with: ``{"cursor": "b2Zmc2V0"}``
    page_number    the object has the number of pages: ``{"page": 1, "total_pages": 9}``

These three make a ``Follow``: from a request and its answer to the next request, None after the
last page. A vendor that does it another way has a function of its own. A field may lie deeper, with
points between the names: ``paging.next``.

An answer leads nowhere but to the vendor: an address of another origin is refused, since
credentials go along. A page that was asked for before ends the run, and so does a list that goes on
and on with nothing on its pages, or the same: each would be read for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from singer_calls.errors import PluginError
from singer_calls.extract.errors import RetriableError
from singer_calls.extract.json_array import decode_json
from singer_calls.extract.records import SchemaDrift, usable
from singer_calls.http.origin import origin_of
from singer_calls.http.statuses import Meaning, meaning

if TYPE_CHECKING:
    from singer_calls.extract.client import Body, Client
    from singer_calls.extract.json_array import Record

_IDLE_PAGES = 100  # in a row; a vendor that filters after it has cut its pages sends some

_NO_LIST = "answered something that is not a list of calls"
_NO_NEXT = "says that there is a next page, and not which"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        url: A next link's own query stays in it.
        params: The query beside that; None values are left out.
    """

    url: str
    params: Mapping[str, object]


Follow = Callable[[Request, Mapping[str, Any]], Request | None]


class OtherOriginError(PluginError):
    """The next page lies where the vendor's credentials must not go."""


def next_link(field: str, *, more: str | None = None) -> Follow:
    """The next page's address stands in the answer, whole or relative to this one's.

    Args:
        field: Where it stands; null or missing on the last page.
        more: A boolean that says whether there is a next page at all.
    """

    def follow(request: Request, page: Mapping[str, Any]) -> Request | None:
        link = value_at(page, field)
        if not _goes_on(page, more, link):
            return None
        if not isinstance(link, str):
            raise RetriableError(_NO_NEXT)
        url = urljoin(request.url, link)
        if "@" in urlsplit(url).netloc or not _is_of(url, origin_of(request.url)):
            raise OtherOriginError("names a next page at another address than its own")
        return Request(url, {})

    return follow


def cursor(field: str, *, param: str = "cursor", more: str | None = None) -> Follow:
    """A text stands in the answer, and asks for the next page beside the same query.

    Args:
        field: Where it stands; null, empty or missing on the last page.
        param: As what it is sent.
        more: A boolean that says whether there is a next page at all.
    """

    def follow(request: Request, page: Mapping[str, Any]) -> Request | None:
        text = value_at(page, field)
        if not _goes_on(page, more, text):
            return None
        if isinstance(text, bool) or not isinstance(text, str | int):
            raise RetriableError(_NO_NEXT)
        return Request(request.url, {**request.params, param: text})

    return follow


def page_number(total: str = "total_pages", *, param: str = "page", first: int = 1) -> Follow:
    """Pages are numbered, and the answer says how many there are.

    Args:
        total: Where that number stands.
        param: As what a page's number is sent.
        first: The number of the first page, which is asked for without one.
    """

    def follow(request: Request, page: Mapping[str, Any]) -> Request | None:
        pages = value_at(page, total)
        if type(pages) is not int:
            raise RetriableError("does not say how many pages there are")
        asked = request.params.get(param)
        number = (first if asked is None else int(str(asked))) + 1
        if number >= pages + first:
            return None
        return Request(request.url, {**request.params, param: number})

    return follow


def read_pages(
    client: Client,
    url: str,
    params: Mapping[str, object],
    *,
    elements: str,
    follow: Follow,
    convert: Callable[[SchemaDrift], Callable[[Any], Record]],
    drift: SchemaDrift,
    where: str = "",
    divisible: bool = False,
) -> Iterator[Record]:
    """The records of all pages; each page is asked for when the one before was taken.

    Args:
        client: Of the vendor.
        url: Of the first page, without a query.
        params: Its query; None values are left out.
        elements: Where in the answer the list stands.
        follow: To the next page.
        convert: As of ``Client.array``, as all below.
        drift: What the vendor sent and no schema expects.
        where: Which part of the calls is asked for, for people.
        divisible: Raise ResponseTooLargeError at once, for the caller to ask for less.

    Yields:
        Records; a call may come twice where the list moves between two pages.

    Raises:
        ResponseTooLargeError: Only if ``divisible``.
        PluginError: The vendor can't be asked any further, or its pages have no end.
    """
    request: Request | None = Request(url, params)
    before: list[Record] = []
    asked, idle, number = set[int](), 0, 0

    def read(body: Body) -> tuple[list[Record], SchemaDrift, Request | None]:
        answer = SchemaDrift()
        if meaning(body.status) is Meaning.EMPTY:
            return [], answer, None
        page = _object(body, answer)
        found = value_at(page, elements)
        if not isinstance(found, list):
            raise RetriableError(_NO_LIST)
        told = f"{where}, page {number}".removeprefix(", ")
        records = [*usable(found, convert(answer), answer, told)]
        return records, answer, follow(this, page)

    while request is not None:
        this, number = request, number + 1
        mark = hash((this.url, *sorted((name, str(value)) for name, value in this.params.items())))
        if mark in asked or idle > _IDLE_PAGES:
            raise PluginError(
                f"{client.vendor} sends pages without end ({where or 'of its list'}, page "
                f"{number}): see whether this version of the plugin still fits it."
            )
        asked.add(mark)
        try:
            records, answer, request = client.get(
                this.url, this.params, read=read, divisible=divisible
            )
        except OtherOriginError as error:
            raise PluginError(
                f"{client.vendor} {error}, where its credentials are not sent: check the setting "
                "api_url."
            ) from None
        client.tell(drift, answer)
        idle = idle + 1 if records in ([], before) else 0
        before = [*map(dict, records)]  # as they are now: whoever takes them may change them
        yield from records


def value_at(page: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 (JSON)
    """What stands in an answer below names with points between them, None for nothing."""
    value: Any = page
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_of(url: str, origin: str) -> bool:
    try:
        return origin_of(url) == origin
    except ValueError:  # a port that is none
        return False


def _goes_on(page: Mapping[str, Any], more: str | None, following: object) -> bool:
    """Whether there is a next page: as is said, or else when something leads there."""
    said = value_at(page, more) if more is not None else None
    return said if isinstance(said, bool) else following is not None and following != ""


def _object(body: Body, drift: SchemaDrift) -> Mapping[str, Any]:
    try:
        page = decode_json("".join(body.text(drift.count_lost)))
    except (ValueError, RecursionError):
        page = None
    if not isinstance(page, dict):
        raise RetriableError(_NO_LIST)
    return page
