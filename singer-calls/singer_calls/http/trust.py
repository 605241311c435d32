"""Through which proxy an address is reached, and whose certificates are believed.

Both are what the environment says, read the same way for taps (requests) and targets: their HTTP
libraries are given the results and never look for themselves. requests would: its sessions need
``trust_env = False``, or ``~/.netrc`` replaces our credentials.

    proxy   HTTPS_PROXY or HTTP_PROXY by the address's scheme, else ALL_PROXY; none for what
            NO_PROXY lists. Lower case wins over upper case, as in curl and requests.
    CA      REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in place of everything else; SSL_CERT_FILE and
            SSL_CERT_DIR as OpenSSL reads them; else the system's store.

What can't be used is one sentence that names the variable and never its value: a proxy's URL may
hold a password.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import sys
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from singer_calls.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\w.-]+", re.ASCII)
_WITH_PORT = re.compile(r"(?P<host>[^:]+|\[.*\]):(?P<port>\d+)")
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")  # as `openssl rehash` names them


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, asked with CONNECT for an https address.

    Attributes:
        scheme: Of the connection to the proxy itself, http or https.
        host: Its name or address, an IPv6 one without brackets.
        port: Its port.
        user: From the variable, decoded; None without.
        password: Likewise.
    """

    scheme: str
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization`` (RFC 7617, UTF-8), None without a user."""
        if self.user is None:
            return None
        pair = f"{self.user}:{self.password or ''}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    @property
    def url(self) -> str:
        """As requests wants it (``proxies={"https": proxy.url}``), credentials in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = (
            "" if self.user is None else f"{quote(self.user, '')}:{quote(self.password or '', '')}@"
        )
        return f"{self.scheme}://{user}{host}:{self.port}"


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy that the environment names for an address.

    Args:
        url: The address, http or https.
        environ: The environment.

    Returns:
        The proxy, None for a direct connection.

    Raises:
        SettingsError: The variable that counts names no proxy that can be used.
    """
    address = urlsplit(url)
    host = (address.hostname or "").rstrip(".")
    port = address.port or _PORTS[address.scheme]
    named = _variable(environ, f"{address.scheme}_proxy") or _variable(environ, "all_proxy")
    if named is None or _excepted(host, port, _variable(environ, "no_proxy")):
        return None
    return _proxy(*named)


def tls_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Whose certificates are believed; TLS 1.2 at least, host names are checked.

    For aiohttp and asyncio as it is; for requests in an adapter
    (``init_poolmanager(..., ssl_context=...)``) whose ``cert_verify`` does nothing, or requests
    adds certifi's store to it.

    Args:
        environ: The environment.

    Raises:
        SettingsError: A variable names certificates that can't be read.
    """
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if environ.get(name):
            return _believe(_nobody(), name, environ[name])
    named = {name: environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name)}
    if not named:
        return _system()
    context = _nobody()
    for name, value in named.items():
        _believe(context, name, value)
    # OpenSSL puts each in the place of its own default alone.
    defaults = ssl.get_default_verify_paths()
    if "SSL_CERT_FILE" not in named and Path(defaults.openssl_cafile).is_file():
        context.load_verify_locations(cafile=defaults.openssl_cafile)
    if "SSL_CERT_DIR" not in named and Path(defaults.openssl_capath).is_dir():
        context.load_verify_locations(capath=defaults.openssl_capath)
    return context


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """Name and value of a variable that is set and not empty."""
    for spelled in (name, name.upper()):
        if spelled in environ:
            value = environ[spelled].strip()
            return (spelled, value) if value else None
    return None


def _proxy(variable: str, value: str) -> Proxy:
    unusable = SettingsError(
        f"The environment variable {variable} names no usable proxy: give scheme, host and port, "
        "such as http://proxy.example:3128, with special characters of a password "
        "percent-encoded; or name the vendor's host in NO_PROXY."
    )
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname or "", parts.port
        scheme = parts.scheme
        if scheme not in _PORTS:
            raise SettingsError(
                f"The environment variable {variable} names a proxy of a kind that is not "
                "supported (socks is none of them): give an http:// or https:// proxy, or name "
                "the vendor's host in NO_PROXY."
            )
        user, password = (
            None if text is None else unquote(text, errors="strict")
            for text in (parts.username, parts.password)
        )
        if ":" in host:
            ipaddress.IPv6Address(host)
    except ValueError:  # urlsplit's own words quote the value
        raise unusable from None
    fits = ":" in host or _HOST.fullmatch(host)
    more = parts.path not in {"", "/"} or parts.query or parts.fragment
    if not fits or port == 0 or more or ":" in (user or ""):
        raise unusable
    return Proxy(scheme, host, port or _PORTS[scheme], user or None, password)


def _excepted(host: str, port: int, no_proxy: tuple[str, str] | None) -> bool:
    """Whether NO_PROXY lists an address: its host, a domain above it, a network, or ``*``."""
    entries = re.split(r"[\s,]+", no_proxy[1].lower()) if no_proxy else []
    return any(entry == "*" or _covers(entry, host, port) for entry in entries)


def _covers(entry: str, host: str, port: int) -> bool:
    with_port = _WITH_PORT.fullmatch(entry)
    if with_port is not None:
        if int(with_port["port"]) != port:
            return False
        entry = with_port["host"]
    entry = entry.replace("[", "").replace("]", "")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:  # one of them is a name
        domain = entry.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _nobody() -> ssl.SSLContext:
    """A context that believes nobody yet; a company's intermediate may stand for its root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _believe(context: ssl.SSLContext, variable: str, value: str) -> ssl.SSLContext:
    """Believe a file, a folder or (SSL_CERT_DIR) a list of folders."""
    for name in value.split(os.pathsep) if variable == "SSL_CERT_DIR" else [value]:
        try:
            if not Path(name).is_dir():
                context.load_verify_locations(cafile=name)
            elif _hashed(name):
                context.load_verify_locations(capath=name)
            else:
                raise SettingsError(
                    f"The environment variable {variable} names a folder without hashed "
                    "certificates: run `openssl rehash` on it, or correct the variable."
                )
        except ssl.SSLError:
            raise SettingsError(
                f"The environment variable {variable} names a file that holds no certificates in "
                "PEM form: correct or unset it."
            ) from None
        except OSError as error:
            raise SettingsError(
                f"The environment variable {variable} names a file or folder that can't be read "
                f"({error.strerror}): correct or unset it."
            ) from None
    return context


def _system() -> ssl.SSLContext:
    if sys.platform in {"darwin", "win32"}:  # OpenSSL's own store is not the system's there
        import truststore  # noqa: PLC0415 - not needed elsewhere

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not paths.cafile and not (paths.capath and _hashed(paths.capath)):
        import certifi  # noqa: PLC0415 - only on a slim container without ca-certificates

        context.load_verify_locations(cafile=certifi.where())
    return context


def _hashed(folder: str) -> bool:
    """Whether OpenSSL finds any certificate in a folder."""
    return any(_HASHED.fullmatch(file.name) for file in Path(folder).iterdir())
