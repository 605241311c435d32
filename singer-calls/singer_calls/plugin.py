"""What every plugin does at its edges: check its settings, and end in one sentence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities
from singer_sdk.plugin_base import JSONSchemaValidator, PluginBase

from singer_calls.errors import PluginError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema import ValidationError

_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}

# What the SDK adds to --about and makes no sense here.
_NOT_OURS = ("add_record_metadata", "load_method", "batch_size_rows", "batch_config")


def _example(error: ValidationError) -> str:
    """One validation error as a sentence without the value."""
    where = ".".join(str(part) for part in error.path) or "the settings"
    rule: Any = error.validator_value
    says: dict[str, Callable[[], str]] = {
        "required": lambda: f"{_missing(error)} is missing: set it",
        "minLength": lambda: f"{where} is empty: set it",
        "type": lambda: f"{where} must be of type {rule if isinstance(rule, str) else rule[0]}",
        "enum": lambda: f"{where} must be one of {', '.join(str(v) for v in rule if v)}",
        "minimum": lambda: f"{where} must be at least {rule}",
        "maximum": lambda: f"{where} must be at most {rule}",
        "format": lambda: (
            f"{where} must be a {rule}, such as 2026-01-31T00:00:00Z"
            if "date" in str(rule)
            else f"{where} must be a {rule}"
        ),
    }
    return says.get(str(error.validator), lambda: f"{where} breaks the rule '{error.validator}'")()


def _missing(error: ValidationError) -> str:
    instance = error.instance if isinstance(error.instance, dict) else {}
    required: Any = error.validator_value
    names = [name for name in required if name not in instance]
    prefix = ".".join(str(part) for part in error.path)
    return ", ".join(f"{prefix}.{name}" if prefix else name for name in names)


def check_api_url(config: Mapping[str, Any]) -> str | None:
    """Credentials never travel in clear: https, unless the host is this machine."""
    try:
        parts = urlsplit(config.get("api_url") or "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "api_url is not a URL: give scheme and host, such as https://host.example"
    if parts.query or parts.fragment or parts.username or parts.password:
        return "api_url must be scheme, host and path only: no query, no credentials in it"
    if not host or parts.scheme not in {"http", "https"}:
        return "api_url is not a URL: give scheme and host, such as https://host.example"
    if parts.scheme == "http" and host not in _LOCAL_HOSTS:
        return "api_url must begin with https://: credentials would travel in clear"
    return None


def check_timezone(config: Mapping[str, Any]) -> str | None:
    """The zone must be known to the time zone database."""
    name = config.get("timezone")
    if name is None:
        return None
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return "timezone is not a known IANA zone: give a name such as Europe/Bucharest or UTC"
    return None


class CallPlugin(PluginBase):
    """Mixin for taps and targets, before the SDK's class in the bases."""

    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """Checks beyond the JSON Schema; a plugin adds its own to ``super()``'s.

        Yields:
            A sentence for each setting that is wrong, None for each that is right.
        """
        yield check_api_url(config)
        yield check_timezone(config)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # The SDK's own text quotes the value at fault, and that may be a credential.
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        errors = [
            _example(error) for error in JSONSchemaValidator(schema).iter_errors(self._config)
        ]
        if not errors:
            errors = [error for error in self.setting_errors(self._config) if error]
        if errors and raise_errors:
            # ConfigValidationError is what Singer tooling and the SDK's own tests expect.
            raise _WrongSettingsError("; ".join(errors), errors=errors, schema=schema)
        return errors

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings, less those that have no meaning for calls."""
        super().append_builtin_config(config_jsonschema)
        for name in _NOT_OURS:
            config_jsonschema["properties"].pop(name, None)

    @classmethod
    def invoke(cls, **kwargs: Any) -> None:  # noqa: ANN401
        """Run; a user's mistake ends in one sentence and exit code 1, never in a traceback."""
        try:
            super().invoke(**kwargs)
        except _WrongSettingsError as error:
            for sentence in error.errors:
                cls.logger.error("Setting %s.", sentence)  # noqa: TRY400
            sys.exit(1)
        except PluginError as error:
            cls.logger.error("%s", error)  # noqa: TRY400
            sys.exit(1)

    @property
    def user_agent(self) -> str:
        """The ``user_agent`` setting, or the plugin's name and version."""
        return self.config.get("user_agent") or f"{self.name}/{self.plugin_version}"


class _WrongSettingsError(ConfigValidationError, SettingsError):
    """Wrong settings, for the SDK and for our command line alike."""


CAPABILITIES = [
    PluginCapabilities.ABOUT,
    PluginCapabilities.STREAM_MAPS,
    PluginCapabilities.FLATTENING,
    PluginCapabilities.STRUCTURED_LOGGING,
]
