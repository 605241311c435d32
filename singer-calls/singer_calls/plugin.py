"""What every plugin does at its edges: check its settings, and end in one sentence."""

from __future__ import annotations

import atexit
import os
import re
import signal
import sys
import threading
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers._classproperty import classproperty
from singer_sdk.helpers.capabilities import PluginCapabilities
from singer_sdk.plugin_base import JSONSchemaValidator, PluginBase, _ConfigInput
from typing_extensions import override

from singer_calls.environment import settings_from, working_folder
from singer_calls.errors import PluginError, SettingsError
from singer_calls.http.trust import proxy_for
from singer_calls.output import let_go
from singer_calls.sentences import sentences
from singer_calls.text import shown_bare

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from jsonschema import ValidationError

_LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}

# Credentials of call-sandbox, which every .env.example of this project had once.
_SANDBOX = re.compile(r"sandbox-([a-z]+-)*(key|user|password|token)")

_NEAR = 0.8  # how alike two names must be for one to be meant by the other

# All that ask for the end; Windows lacks some.
_STOPS = {
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None
}

# What the SDK adds to --about and makes no sense here.
_NOT_OURS = ("add_record_metadata", "load_method", "batch_size_rows", "batch_config")


def _example(error: ValidationError) -> str:
    """One validation error as a sentence without the value."""
    where = ".".join(shown_bare(str(part)) for part in error.path) or "the settings"
    rule: Any = error.validator_value
    says: dict[str, Callable[[], str]] = {
        "required": lambda: f"{_missing(error)} is missing: set it",
        "additionalProperties": lambda: _not_allowed(error, where),
        "minLength": lambda: f"{where} is empty: set it",
        "type": lambda: f"{where} must be of type {rule if isinstance(rule, str) else rule[0]}",
        "enum": lambda: f"{where} must be one of {', '.join(str(v) for v in rule if v)}",
        "minimum": lambda: f"{where} must be at least {rule}",
        "maximum": lambda: f"{where} must be at most {rule}",
        "maxLength": lambda: f"{where} must have at most {rule} characters",
        "format": lambda: (
            f"{where} must be a {rule}, such as 2026-01-31T00:00:00Z"
            if "date" in str(rule)
            else f"{where} must be a {rule}"
        ),
    }
    return says.get(str(error.validator), lambda: f"{where} breaks the rule '{error.validator}'")()


def _not_allowed(error: ValidationError, where: str) -> str:
    allowed = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    instance = error.instance if isinstance(error.instance, dict) else {}
    names = ", ".join(f"{where}.{shown_bare(name)}" for name in instance if name not in allowed)
    return f"{names} is unknown: {where} can have {', '.join(allowed)}"


def _missing(error: ValidationError) -> str:
    instance = error.instance if isinstance(error.instance, dict) else {}
    required: Any = error.validator_value
    names = [name for name in required if name not in instance]
    prefix = ".".join(str(part) for part in error.path)
    return ", ".join(f"{prefix}.{name}" if prefix else name for name in names)


def check_api_url(config: Mapping[str, Any], name: str = "api_url") -> str | None:
    """Credentials never travel in clear: https, unless the host is this machine."""
    try:
        parts = urlsplit(config.get(name) or "")
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{name} is not a URL: give scheme and host, such as https://host.example"
    if parts.query or parts.fragment or parts.username or parts.password:
        return f"{name} must be scheme, host and path only: no query, no credentials in it"
    if not host or parts.scheme not in {"http", "https"}:
        return f"{name} is not a URL: give scheme and host, such as https://host.example"
    if parts.scheme == "http" and host not in _LOCAL_HOSTS:
        return f"{name} must begin with https://: credentials would travel in clear"
    return None


def check_sandbox(config: Mapping[str, Any]) -> str | None:
    """The sandbox's credentials open nothing else: sent elsewhere, a placeholder was left."""
    if check_api_url(config):
        return None
    host = urlsplit(config["api_url"]).hostname
    left = [name for name, value in config.items() if _SANDBOX.fullmatch(str(value))]
    if host in _LOCAL_HOSTS or not left:
        return None
    return f"{', '.join(left)} is the sandbox's own: set what the vendor gave you"


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


def check_header_text(name: str, value: object, encoding: str, *, spaces: bool) -> str | None:
    """What goes into a header holds nothing that ends or breaks it.

    A secret file ends with a line break more often than not.

    Args:
        name: Of the setting.
        value: Its value.
        encoding: What it is written in.
        spaces: Whether it may hold any.
    """
    if not isinstance(value, str):
        return None
    try:
        value.encode(encoding)
        fits = value.isprintable() and value == value.strip() and (spaces or " " not in value)
    except UnicodeEncodeError:
        fits = False
    if fits:
        return None
    return f"{name} holds a space, a line break or a letter that a header can't hold: copy it anew"


def unknown_settings(config: Mapping[str, Any], known: Collection[str]) -> dict[str, str | None]:
    """Settings that a plugin doesn't have, each with the one that is likely to be meant.

    Left out are what Meltano calls extras (``_select``) and what the SDK would know.
    """
    names = {_folded(name): name for name in known}
    unknown = [
        name for name in config if name not in {*known, *_NOT_OURS} and not name.startswith("_")
    ]
    near = {name: get_close_matches(_folded(name), names, 1, _NEAR) for name in unknown}
    return {name: names[found[0]] if found else None for name, found in near.items()}


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


class CallPlugin(PluginBase):
    """Mixin for taps and targets, before the SDK's class in the bases."""

    credentials_encoding: ClassVar[str] = "ascii"
    """What the credentials are written in: ASCII as they are, UTF-8 in Basic authentication."""

    def setting_errors(self, config: Mapping[str, Any]) -> Iterator[str | None]:
        """Checks beyond the JSON Schema; a plugin adds its own to ``super()``'s.

        Yields:
            A sentence for each setting that is wrong, None for each that is right.
        """
        yield check_api_url(config)
        yield check_sandbox(config)
        yield check_timezone(config)
        encoding = self.credentials_encoding
        for name, schema in self.config_jsonschema["properties"].items():
            if name == "username" or (schema.get("secret") and not name.endswith("_url")):
                spaces = name == "username" or encoding != "ascii"
                yield check_header_text(name, config.get(name), encoding, spaces=spaces)
        yield check_header_text("user_agent", config.get("user_agent"), "ascii", spaces=True)

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        # A setting that is null says nothing: its default counts.
        self._config = {name: value for name, value in self._config.items() if value is not None}
        # The SDK's own text quotes the value at fault, and that may be a credential.
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        errors = [
            _example(error) for error in JSONSchemaValidator(schema).iter_errors(self._config)
        ]
        unknown = unknown_settings(self._config, schema["properties"])
        errors += [
            f"{shown_bare(name)} does not exist: {near} is meant? Correct or remove it"
            for name, near in unknown.items()
            if near
        ]
        if not errors:
            errors = [error for error in self.setting_errors(self._config) if error]
        if errors and raise_errors:
            # ConfigValidationError is what Singer tooling and the SDK's own tests expect.
            raise _WrongSettingsError("; ".join(errors), errors=errors, schema=schema)
        if raise_errors:
            if unknown:
                self.logger.warning(
                    "Settings that %s doesn't have, ignored: %s",
                    *(self.name, ", ".join(map(shown_bare, unknown))),
                )
            proxy_for(self._config["api_url"], os.environ)  # a wrong one is told at the start
        return errors

    @classproperty
    @override
    def _env_var_config(cls) -> dict[str, Any]:  # noqa: N805 (the SDK's own form)
        """The settings of ``--config=ENV``."""
        schema = cls.config_jsonschema
        cls.append_builtin_config(schema)
        settings, from_file = settings_from(
            os.environ,
            working_folder(),
            prefix=cls._env_var_prefix,
            properties=schema["properties"],
        )
        if from_file:
            cls.logger.info("Settings from .env in the working directory: %s", ", ".join(from_file))
        return settings

    @classmethod
    @override
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings, less those that have no meaning for calls."""
        super().append_builtin_config(config_jsonschema)
        for name in _NOT_OURS:
            config_jsonschema["properties"].pop(name, None)

    @classmethod
    def run(cls, **arguments: Any) -> None:  # noqa: ANN401
        """Do what the command line asks for; a plugin with work of its own overrides this."""
        try:
            super().invoke(**arguments)
        finally:
            sys.stdout.flush()  # of a tap's calls that wait for others, see CallWriter

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        """The SDK's command line; what it prints before a run, or instead, may find no place."""
        command = super().get_singer_command()
        main = command.main

        @wraps(main)
        def in_words(*given: Any, **more: Any) -> Any:  # noqa: ANN401
            try:
                return main(*given, **more)
            except (OSError, PluginError) as error:
                cls._end(error)

        command.main = in_words  # type: ignore[method-assign]
        return command

    @classmethod
    @override
    def invoke(cls, **arguments: Any) -> None:
        """Run from the command line; whatever goes wrong ends in one sentence and exit code 1."""
        atexit.register(_let_go_of_log)  # a log on a full disk makes no run a failed one
        try:
            refuse_closed_output()
            cls.run(**arguments)
        except Exception as error:  # noqa: BLE001 - a traceback helps no user, and may quote a call
            cls._end(error)

    @classmethod
    def _end(cls, error: Exception) -> NoReturn:
        for sentence in sentences(error):
            cls.logger.error("%s", sentence)
        sys.exit(1)

    @override
    def _setup_signal_handlers(self) -> None:
        """Hear what asks for the end, also where the parent had it blocked.

        What it had ignored stays so: ``nohup`` means SIGHUP, a shell's ``&`` means Ctrl-C. SIGTERM
        is heard always; a container's first process would have no other end.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _STOPS:
            if number == signal.SIGTERM or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle_termination)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)

    @classmethod
    @override
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> _ConfigInput:
        """Read the configuration files; a missing or malformed one is a usage error."""
        try:
            return super().cb_config(ctx, param, value)
        except OSError as error:
            raise click.BadParameter(
                f"can't be read: {error.strerror or 'no such file'}", ctx, param
            ) from None
        except ValueError:
            raise click.BadParameter("is not a JSON file", ctx, param) from None

    @property
    def user_agent(self) -> str:
        """The ``user_agent`` setting, or the plugin's name and version."""
        return self.config.get("user_agent") or f"{self.name}/{self.plugin_version}"


def refuse_closed_output() -> None:
    """Refuse to begin what has no standard output."""
    if sys.stdout is None:
        raise PluginError("Standard output is closed: messages have nowhere to go.")


def _let_go_of_log() -> None:
    let_go(sys.stderr)


class _WrongSettingsError(ConfigValidationError, SettingsError):
    """Wrong settings, for the SDK and for our command line alike."""


CAPABILITIES = [
    PluginCapabilities.ABOUT,
    PluginCapabilities.STREAM_MAPS,
    PluginCapabilities.FLATTENING,
    PluginCapabilities.STRUCTURED_LOGGING,
]
