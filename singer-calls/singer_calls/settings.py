"""The vocabulary of settings, each defined once: the same word means the same in every plugin.

Times and rates are integers, with the unit in the name or the description. A plugin's
``config_jsonschema`` is ``schema([...its own...], common(...), taps(...) or targets(...))``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterable

_DATES = "An ISO 8601 date-time with an offset or Z, or a date; a bare time is read as UTC."


_CENTURY_DAYS = 36_500  # before which there is no call, and no date to subtract from
_DAY_SECONDS = 86_400


def schema(*groups: Iterable[th.Property[Any]]) -> dict[str, Any]:
    """Join groups of settings into one JSON Schema.

    Returns:
        A JSON Schema object, the settings in the order given.
    """
    return th.PropertiesList(*(item for group in groups for item in group)).to_dict()


def secret(name: str, *, title: str, description: str, required: bool = True) -> th.Property[Any]:
    """A credential. An empty one fails at start, not at the vendor."""
    return th.Property(
        name,
        th.StringType(min_length=1),
        required=required,
        secret=True,
        title=title,
        description=description,
    )


def integer(
    name: str,
    default: int | None = None,
    *,
    title: str,
    description: str,
    minimum: int = 1,
    maximum: int | None = None,
) -> th.Property[Any]:
    """A whole number with its bounds."""
    return th.Property(
        name,
        th.IntegerType(minimum=minimum, maximum=maximum),
        default=default,
        title=title,
        description=description,
    )


def identifier(
    name: str, *, title: str, description: str, required: bool = False
) -> th.Property[Any]:
    """An id of the vendor's: a whole number, or a text.

    The number stands first: Meltano Hub's tools take a text whose name has ``id`` in it for a
    password.
    """
    return th.Property(
        name,
        th.CustomType({"type": ["integer", "string"], "minimum": 1, "minLength": 1}),
        required=required,
        title=title,
        description=description,
    )


def _api_url(default: str | None, docs: str) -> th.Property[Any]:
    here = "Must be https unless its host is this machine."
    if default is None:  # whoever knows the address of a webhook can post there
        return th.Property(
            "api_url",
            th.StringType(min_length=1),
            required=True,
            secret=True,
            title="Address",
            description=f"Where each call is posted: the whole address, without a query. {here}",
        )
    return th.Property(
        "api_url",
        th.StringType(min_length=1),
        default=default,
        title="API address",
        description=(
            "Where the vendor is asked: scheme and host, without the path of an endpoint. "
            f"{here} Vendor documentation: {docs}"
        ),
    )


def common(
    *,
    api_url: str | None,
    docs: str = "",
    request_timeout: int = 30,
    requests_per_minute: int | None = None,
) -> list[th.Property[Any]]:
    """The settings of every plugin.

    Args:
        api_url: The vendor's own address, the default; None where the user has to name one.
        docs: Link to the vendor's documentation.
        request_timeout: Default of that setting, seconds.
        requests_per_minute: Default of that setting, where the vendor says what it allows.
    """
    return [
        _api_url(api_url, docs),
        integer(
            "request_timeout",
            request_timeout,
            maximum=_DAY_SECONDS,
            title="Request timeout (seconds)",
            description="Longest time for one request, connecting included, in seconds.",
        ),
        integer(
            "backoff_max_tries",
            5,
            title="Tries per request",
            description="How often one request is tried before the run ends, the first try "
            "included.",
        ),
        integer(
            "retry_after_max",
            300,
            title="Longest pause (seconds)",
            description="Longest pause, in seconds, that the vendor may ask for (Retry-After). "
            "A longer one ends the run cleanly, with its state, to be run again later.",
        ),
        integer(
            "requests_per_minute",
            requests_per_minute,
            title="Requests per minute",
            description="Never more requests than this over any 60 seconds, for the whole "
            "process. Without it there is no limit.",
        ),
        th.Property(
            "user_agent",
            th.StringType,
            title="User agent",
            description="Sent as the User-Agent header. Default: the plugin's name and version.",
        ),
    ]


def requests_per_second() -> th.Property[Any]:
    """For a plugin whose vendors count seconds, beside ``requests_per_minute``."""
    return integer(
        "requests_per_second",
        title="Requests per second",
        description="Never more requests than this over any second, for the whole process. "
        "Without it there is no limit.",
    )


def recordings(*, use: str) -> list[th.Property[Any]]:
    """The settings of the store of recordings, the same words for whoever fills or reads it.

    Args:
        use: What the plugin does with it, a sentence.
    """
    return [
        th.Property(
            "recordings_url",
            th.StringType(min_length=1),
            title="Recordings",
            description=f"{use} s3://bucket/prefix, az://container/prefix, gs://bucket/prefix or "
            "file:///folder; needs the extra recordings.",
        ),
        th.Property(
            "recordings_storage",
            th.ObjectType(additional_properties=True),
            secret=True,
            title="Store of recordings",
            description="How recordings_url is reached, an object: for S3 endpoint, region, "
            "access_key_id, secret_access_key; for Azure account_name, account_key; for Google "
            "service_account. What is left out comes from the environment, as for the vendor's own "
            "tools. https://developmentseed.org/obstore/latest/api/store/aws/",
        ),
    ]


def taps(*, timezone: str, window_days: int, lookback_days: int) -> list[th.Property[Any]]:
    """The settings of every tap that reads a past, with the vendor's defaults."""
    return [
        th.Property(
            "start_date",
            th.DateTimeType,
            title="Start date",
            description=f"First moment read, inclusive. {_DATES} Without it: everything the "
            "vendor has. Later than the bookmark, it wins.",
        ),
        th.Property(
            "end_date",
            th.DateTimeType,
            title="End date",
            description=f"End of reading, exclusive. {_DATES} A run with it is a backfill: the "
            "bookmark of the live pipeline is not moved past it. Without it: now.",
        ),
        integer(
            "lookback_days",
            lookback_days,
            minimum=0,
            maximum=_CENTURY_DAYS,
            title="Lookback (days)",
            description="Re-read this many days behind the bookmark, for what the vendor adds to "
            "a call late. Subtracted from the request, never from the stored bookmark.",
        ),
        integer(
            "window_days",
            window_days,
            maximum=_CENTURY_DAYS,
            title="Window (days)",
            description="One request, or one run of pages, covers at most this many days. The "
            "bookmark is saved after each window.",
        ),
        integer(
            "windows_in_flight",
            2,
            title="Windows in flight",
            description="How many windows are fetched ahead. They are emitted in order.",
        ),
        th.Property(
            "timezone",
            th.StringType(min_length=1),
            default=timezone,
            title="Time zone",
            description="IANA name of the zone of the vendor's bare local times, for example "
            f"{timezone}. https://en.wikipedia.org/wiki/List_of_tz_database_time_zones",
        ),
    ]


def targets(*, plugin: str, on_unknown_outcome: str) -> list[th.Property[Any]]:
    """The settings of every target, with the vendor's policy for unknown outcomes.

    Args:
        plugin: The plugin's name, for the default ledger file.
        on_unknown_outcome: ``hold`` where a second send may be paid twice, ``retry`` where the
            vendor dedupes on our key.
    """
    return [
        integer(
            "max_in_flight",
            16,
            maximum=1000,
            title="Calls in flight",
            description="Calls being sent at once. 1 keeps strict order.",
        ),
        th.Property(
            "on_error",
            th.StringType,
            allowed_values=["skip", "fail"],
            default="skip",
            title="On a rejected call",
            description="What a rejected call does to the run: skip (write it to the rejected "
            "file and go on) or fail (the same, and the run ends).",
        ),
        integer(
            "max_rejected_percent",
            10,
            minimum=0,
            maximum=100,
            title="Rejected calls (percent)",
            description="When more than this percentage of the calls tried in this run is newly "
            "rejected or held, the run fails; of fewer than 100 tried calls as many may be as of "
            "100, but not all of three or more. Checked in the order of the input. 100: never.",
        ),
        th.Property(
            "on_unknown_outcome",
            th.StringType,
            allowed_values=["retry", "hold"],
            default=on_unknown_outcome,
            title="On an unknown outcome",
            description="When a request left but no answer came: retry (send it again) or hold "
            "(set it aside in the held file, for a person to decide).",
        ),
        th.Property(
            "ledger_url",
            th.StringType(min_length=1),
            default=f"sqlite:///{plugin}.ledger.db",
            secret=True,
            title="Ledger",
            description="SQLAlchemy URL of the ledger, which knows what was sent. SQLite on this "
            "machine by default; a PostgreSQL URL (postgresql+psycopg://...) shares it between "
            "workers. https://docs.sqlalchemy.org/en/20/core/engines.html#database-urls",
        ),
        th.Property(
            "same_call_other_id",
            th.StringType,
            allowed_values=["hold", "known", "send"],
            default="hold",
            title="On a known call with another id",
            description="A call that was delivered under another id, as after a new prefix, key "
            "mapping or campaign: set it aside (hold), count it as delivered under its old id "
            "(known: so a new id is adopted), or send it (send: where one call counts twice).",
        ),
        th.Property(
            "keep_connections",
            th.BooleanType,
            default=False,
            title="Keep connections",
            description="Use a connection for one call after the other, which is faster. On a kept "
            "connection a late or duplicated answer of an earlier call can't be told from the "
            "answer of the next one: calls may then count as accepted that never arrived. Only "
            "for a vendor that is reached without proxies and load balancers that do so.",
        ),
        th.Property(
            "allow_empty_ledger",
            th.BooleanType,
            default=False,
            title="Allow an empty ledger",
            description="Start with an empty ledger although there are signs of earlier runs (the "
            "tap resumes from a bookmark, or there are files of rejected calls). For one run: "
            "what was delivered before is not known, and would be sent again.",
        ),
        th.Property(
            "rejected_path",
            th.StringType(min_length=1),
            default="rejected/",
            title="Folder or bucket of rejected calls",
            description="Each run with rejected or held calls leaves a Singer file here, "
            "readable by its owner only, ready to be replayed with --input. Also a bucket, as "
            "s3://bucket/prefix, az:// or gs://, with the credentials in the environment: an "
            "object each time that calls are set aside (needs the extra recordings of "
            "singer-calls). A relative folder begins where a relative ledger_url does.",
        ),
        th.Property(
            "dry_run",
            th.BooleanType,
            default=False,
            title="Dry run",
            description="Everything but the request: maps and checks every call, shows some with "
            "what is personal masked, and counts all by partner and by reason. Sends nothing, "
            "records nothing, writes no file, emits no state; what the ledger knows is not asked.",
        ),
        th.Property(
            "timezone",
            th.StringType(min_length=1),
            default="UTC",
            title="Time zone",
            description="IANA name of the zone of times without an offset in the records.",
        ),
        th.Property(
            "default_country",
            th.StringType(min_length=2, max_length=2),
            default="US",
            title="Default country",
            description="ISO 3166 alpha-2 code of the country of phone numbers without a country "
            "code in the records, for example US, GB, RO.",
        ),
    ]
