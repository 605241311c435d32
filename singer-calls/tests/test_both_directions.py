"""Taps and targets obey the same environment, and say the same when it fails them.

Each case is asked of both: of a tap's client (requests) and a target's transport (aiohttp).
"""

from __future__ import annotations

import asyncio
import base64
import gc
import ssl
import subprocess
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from wire import SECRET, abort, answer, listening, post, request

from singer_calls.deliver.outcome import Accepted, Fatal, Retry
from singer_calls.errors import PluginError, SettingsError
from singer_calls.extract import Client, UnansweredError
from singer_calls.http.retry import RetryPolicy

VARIABLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]

# Where a handshake is broken off, asyncio's own server leaves its side to the collector (3.11).
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module", autouse=True)
def _frozen():
    """What was there before is not looked through again after each test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _collected():
    """What a test leaves is none of the next one's."""
    yield
    gc.collect()


async def asked_by_a_tap(url, environ):
    """One GET, and what became of it."""

    def ask():
        client = Client(
            url,
            "The vendor",
            credential="key",
            headers={"Authorization": SECRET},
            timeout=1,
            policy=RetryPolicy(max_tries=1),
            environ=environ,
        )
        try:
            client.get(f"{url}/calls", {"a": "b"}, read=lambda body: b"".join(body.chunks))
        except UnansweredError as error:
            return "again", str(error)
        except PluginError as error:
            return "ended", str(error)
        finally:
            client._session.close()
        return "answered", ""

    return await asyncio.to_thread(ask)


async def asked_by_a_target(url, environ):
    """One POST, and what became of it."""
    became = await post(url, classify=lambda _: Accepted(), environ=environ, timeout=1)
    kinds = {Accepted: "answered", Retry: "again", Fatal: "ended"}
    return kinds.get(type(became), "held"), became.reason


BOTH = pytest.mark.parametrize("asked", [asked_by_a_tap, asked_by_a_target], ids=["tap", "target"])


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(ca, tmp_path_factory):
    """For each variable, a value that names the authority: a file, or a hashed folder."""
    folder = tmp_path_factory.mktemp("ca")
    file, hashed = folder / "ca.pem", folder / "hashed"
    ca.cert_pem.write_to_path(file)
    name = subprocess.run(
        ["openssl", "x509", "-subject_hash", "-noout", "-in", file],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    hashed.mkdir()
    ca.cert_pem.write_to_path(hashed / f"{name}.0")
    return {name: str(hashed if name == "SSL_CERT_DIR" else file) for name in VARIABLES}


def identity(authority, *identities, **dates):
    """A server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*identities, **dates).configure_cert(context)
    return context


@asynccontextmanager
async def vendor(tls, said=None):
    """A vendor that takes whatever comes.

    Yields:
        Its address and the heads of the requests it got.
    """
    heads = []

    async def serve(reader, writer):
        if came := await request(reader):
            heads.append(came[0])
            writer.write(said or answer(200, b"[]"))

    async with listening(serve, tls) as port:
        yield f"{'https' if tls else 'http'}://localhost:{port}", heads


class Proxy:
    """Passes on, or answers CONNECT in its own way."""

    def __init__(self, fails=None):
        self.heads = []
        self.fails = fails

    async def serve(self, reader, writer):
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.fails == "reset":
            abort(writer)
        elif self.fails == "silence":
            await asyncio.sleep(30)
        elif self.fails is not None:
            writer.write(self.fails)
        else:
            host, _, port = self.heads[-1].split()[1].decode().rpartition(":")
            to = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(self.pipe(reader, to[1]), self.pipe(to[0], writer))

    async def pipe(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()


def through(asked, proxy, environ, tls, *, user=""):
    """One request through a proxy: what became of it, and the heads that the vendor got."""

    async def run():
        async with vendor(tls) as (url, heads), listening(proxy.serve) as port:
            variables = {"HTTPS_PROXY": f"http://{user}localhost:{port}", **environ}
            return *await asked(url, variables), heads

    return asyncio.run(run())


@BOTH
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_company_s_own_authority_is_believed(asked, variable, ca, trusted):
    """By each variable that curl, requests or OpenSSL read."""

    async def run():
        async with vendor(identity(ca, "localhost")) as (url, heads):
            return await asked(url, {variable: trusted[variable]}), len(heads)

    assert asyncio.run(run()) == (("answered", ""), 1)


YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@BOTH
@pytest.mark.parametrize(
    ("issued", "words"),
    [
        ((["localhost"], {"not_after": YESTERDAY}), "expired"),
        ((["vendor.example"], {}), "another host's"),
        ((["localhost"], {}), "not known here"),
    ],
)
def test_a_certificate_that_does_not_hold_ends_the_run_at_once(asked, issued, words, ca, trusted):
    """With what is wrong and where to name an authority; not "run again when it is back"."""
    known = words != "not known here"
    environ = {"SSL_CERT_FILE": trusted["SSL_CERT_FILE"]} if known else {}

    async def run():
        async with vendor(identity(ca, *issued[0], **issued[1])) as (url, heads):
            return *await asked(url, environ), heads

    kind, told, heads = asyncio.run(run())
    assert kind == "ended"
    assert words in told
    assert "SSL_CERT_FILE" in told
    assert "again" not in told
    assert not heads


@BOTH
@pytest.mark.parametrize("user", ["", "user:p%40ss%C3%A9@"])
def test_a_proxy_reads_its_own_credentials_at_most(asked, user, ca, trusted):
    """Captured: nothing of the vendor's is in CONNECT, and all of it reaches the vendor."""
    proxy = Proxy()
    environ = {"SSL_CERT_FILE": trusted["SSL_CERT_FILE"]}
    kind, told, (head,) = through(asked, proxy, environ, identity(ca, "localhost"), user=user)
    assert (kind, told) == ("answered", "")
    assert SECRET.encode() in head
    assert b"proxy-authorization" not in head.lower()
    expected = base64.b64encode("user:p@ssé".encode())
    for connect in proxy.heads:  # a target opens connections ahead of need
        assert connect.startswith(b"CONNECT localhost:")
        assert SECRET.encode() not in connect
        assert b"\r\nauthorization" not in connect.lower()
        assert (b"Proxy-Authorization: Basic " + expected in connect) == bool(user)


@BOTH
@pytest.mark.parametrize(
    "fails",
    [
        "reset",
        "silence",
        b"",
        b"nonsense\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 Connection established\r\n\r\nnonsense instead of TLS",
        b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nab",
    ],
    ids=lambda fails: str(fails)[:40],
)
def test_a_proxy_that_fails_is_asked_again_and_the_vendor_got_nothing(asked, fails, ca, trusted):
    """Before the tunnel is up nothing was sent, whatever happens."""
    environ = {"SSL_CERT_FILE": trusted["SSL_CERT_FILE"]}
    kind, told, heads = through(asked, Proxy(fails), environ, identity(ca, "localhost"))
    assert kind == "again", told
    assert not heads


@BOTH
def test_a_proxy_that_asks_for_credentials_ends_the_run(asked, ca):
    """No wait mends it."""
    proxy = Proxy(b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
    kind, told, heads = through(asked, proxy, {}, identity(ca, "localhost"))
    assert kind == "ended"
    assert "HTTPS_PROXY" in told
    assert not heads


@BOTH
@pytest.mark.parametrize("place", ["localhost:1", "http://proxy.invalid:3128"])
def test_a_proxy_that_is_not_there_is_told_as_such(asked, place):
    """Not as a vendor that is down, nor as a wrong api_url; with and without a scheme."""
    kind, told = asyncio.run(asked("https://vendor.example", {"ALL_PROXY": place}))
    assert kind == "again"
    assert "proxy" in told
    assert "api_url" not in told


@BOTH
@pytest.mark.parametrize("value", ["socks5://localhost:1080", "http://localhost:notaport"])
def test_a_proxy_that_can_not_be_used_is_one_sentence_before_anything_is_asked(asked, value):
    """It names the variable and not its value."""
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as error:
        asyncio.run(asked("https://vendor.example", {"HTTPS_PROXY": value}))
    assert "localhost" not in str(error.value)


@BOTH
def test_no_proxy_is_asked_for_what_it_is_not_for(asked, ca, trusted):
    """NO_PROXY, by name."""
    environ = {"NO_PROXY": "localhost", "SSL_CERT_FILE": trusted["SSL_CERT_FILE"]}
    proxy = Proxy()
    kind, _, heads = through(asked, proxy, environ, identity(ca, "localhost"))
    assert (kind, len(heads), proxy.heads) == ("answered", 1, [])


@BOTH
def test_nothing_of_netrc_goes_to_anybody(asked, tmp_path, monkeypatch):
    """Its ``default`` has a password for every host, and is for ftp."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine localhost login mine password of-netrc\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))

    async def run():
        async with vendor(None) as (url, heads):
            return await asked(url, {}), heads

    became, (head,) = asyncio.run(run())
    assert became == ("answered", "")
    (line,) = [line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization:")]
    assert line.split(b": ")[1] == SECRET.encode()


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_goes_along_a_redirect(asked, status):
    """Neither the credentials nor the request."""

    async def run():
        async with vendor(None) as (elsewhere, heads):
            said = answer(status, b"", f"Location: {elsewhere}/calls")
            async with vendor(None, said) as (url, asked_once):
                await asked(url, {})
                return heads, len(asked_once)

    assert asyncio.run(run()) == ([], 1)


def test_what_a_tap_asks_holds_what_its_settings_say_and_no_more():
    """A captured GET."""

    async def run():
        async with vendor(None) as (url, heads):
            await asked_by_a_tap(url, {})
            return heads

    (head,) = asyncio.run(run())
    start, *lines = head.decode().strip().split("\r\n")
    assert start == "GET /calls?a=b HTTP/1.1"
    assert {line.split(":")[0] for line in lines} == {
        "Host", "User-Agent", "Accept-Encoding", "Accept", "Connection", "Authorization"
    }  # fmt: skip
