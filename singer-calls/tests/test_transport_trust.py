"""What stands between us and the vendor gets none of our credentials, and holds no call."""

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

VARIABLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]


# Where a handshake is broken off, asyncio's own server leaves its side to the collector (3.11).
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True, scope="module")
def _collected():
    """What these tests leave is none of the next ones'."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(ca, tmp_path_factory):
    """For each variable, a value that names the authority: a file, or a hashed folder."""
    folder = tmp_path_factory.mktemp("ca")
    file = folder / "ca.pem"
    ca.cert_pem.write_to_path(file)
    name = subprocess.run(
        ["openssl", "x509", "-subject_hash", "-noout", "-in", file],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    hashed = folder / "hashed"
    hashed.mkdir()
    ca.cert_pem.write_to_path(hashed / f"{name}.0")
    return {name: str(hashed if name == "SSL_CERT_DIR" else file) for name in VARIABLES}


def identity(authority, *names, **dates):
    """A server's side of TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names, **dates).configure_cert(context)
    return context


@asynccontextmanager
async def vendor(tls):
    """A vendor that accepts each call.

    Yields:
        Its address and the requests it got.
    """
    requests = []

    async def serve(reader, writer):
        if came := await request(reader):
            requests.append(came)
            writer.write(answer(201))

    async with listening(serve, tls) as port:
        scheme = "https" if tls else "http"
        yield f"{scheme}://localhost:{port}", requests


def accepted(_answer):
    return Accepted()


async def told(tls, environ, **options):
    """What becomes of one call, and how many requests the vendor saw."""
    async with vendor(tls) as (url, requests):
        return await post(url, classify=accepted, environ=environ, **options), len(requests)


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_company_s_own_authority_is_believed(variable, ca, trusted):
    """By each variable that curl, requests or OpenSSL read."""
    tls = identity(ca, "localhost")
    assert asyncio.run(told(tls, {variable: trusted[variable]})) == (Accepted(), 1)


YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    ("names", "dates", "words"),
    [
        (["localhost"], {"not_after": YESTERDAY}, "expired"),
        (
            ["localhost"],
            {
                "not_before": datetime.now(UTC) + timedelta(days=1),
                "not_after": datetime.now(UTC) + timedelta(days=2),
            },
            "not valid yet",
        ),
        (["vendor.example"], {}, "another host's"),
        (["127.0.0.1"], {}, "another host's"),
    ],
)
def test_a_certificate_that_does_not_hold_ends_the_run(names, dates, words, ca, trusted):
    """With what is wrong; no wait mends it, and no call was sent."""
    tls = identity(ca, *names, **dates)
    became, sent = asyncio.run(told(tls, {"SSL_CERT_FILE": trusted["SSL_CERT_FILE"]}))
    assert isinstance(became, Fatal)
    assert words in became.reason
    assert not sent


def test_an_unknown_authority_ends_the_run_and_says_where_to_name_it(ca):
    """What looks into TLS in a company's network; not "run again when the vendor is back"."""
    became, sent = asyncio.run(told(identity(ca, "localhost"), {}))
    assert isinstance(became, Fatal)
    assert "not known here" in became.reason
    assert "SSL_CERT_FILE" in became.reason
    assert not sent


def test_where_no_tls_is_spoken_no_call_is_held():
    """A wrong port, or a captive portal."""

    async def serve(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 X\r\n\r\n")

    async def portal():
        async with listening(serve) as port:
            return await post(f"https://localhost:{port}")

    assert asyncio.run(portal()) == Retry("no secure connection to the vendor")


class Proxy:
    """A proxy; it passes on, or fails in its own way.

    Attributes:
        heads: The head of each request that it got.
    """

    def __init__(self, fails=None):
        self.heads = []
        self.fails = fails

    async def serve(self, reader, writer):
        if self.fails == "at once":
            abort(writer)
            return
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.fails == "silence":
            await asyncio.sleep(30)
        if self.fails == "reset":
            abort(writer)
        elif isinstance(self.fails, bytes):
            writer.write(self.fails)
        elif self.fails is None:
            host, _, port = head.split()[1].decode().rpartition(":")
            to = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(self.pipe(reader, to[1]), self.pipe(to[0], writer))

    async def pipe(self, reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()


@pytest.mark.parametrize("user", ["", "user:p%40ss%C3%A9@"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_reads_nothing_of_ours(user, scheme, ca, trusted):
    """Captured: its own credentials, if it has any, and never the vendor's."""
    proxy = Proxy()

    async def through():
        async with listening(
            proxy.serve, identity(ca, "localhost") if scheme == "https" else None
        ) as port:
            environ = {
                "HTTPS_PROXY": f"{scheme}://{user}localhost:{port}",
                "SSL_CERT_FILE": trusted["SSL_CERT_FILE"],
            }
            return await told(
                identity(ca, "localhost"), environ, headers=lambda: {"X-Ours": SECRET}
            )

    assert asyncio.run(through()) == (Accepted(), 1)
    for head in proxy.heads:
        assert head.startswith(b"CONNECT localhost:")
        assert SECRET.encode() not in head
        assert b"x-ours" not in head.lower()
        assert b"\r\nauthorization" not in head.lower()
        expected = base64.b64encode("user:p@ssé".encode())
        assert (b"Proxy-Authorization: Basic " + expected in head) == bool(user)


FAILS = [
    "at once",
    "reset",
    "silence",
    b"",
    b"nonsense\r\n\r\n",
    b"SSH-2.0-OpenSSH\r\n",
    b"HTTP/1.1 200 Connection established\r\n\r\n",  # and then the end
    b"HTTP/1.1 200 Connection established\r\n\r\nnonsense instead of TLS",
    b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nab",
    b"HTTP/1.1 999\r\nContent-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("fails", FAILS, ids=lambda fails: str(fails)[:40])
def test_a_proxy_that_fails_holds_no_call(fails, ca, trusted):
    """Before the tunnel is up nothing was sent, whatever happens."""
    proxy = Proxy(fails)

    async def through():
        async with listening(proxy.serve) as port:
            environ = {
                "HTTPS_PROXY": f"localhost:{port}",
                "SSL_CERT_FILE": trusted["SSL_CERT_FILE"],
            }
            return await told(identity(ca, "localhost"), environ, timeout=1)

    became, sent = asyncio.run(through())
    assert isinstance(became, Retry)
    assert not sent


@pytest.mark.parametrize("place", ["localhost:1", "proxy.invalid:3128"])
def test_a_proxy_that_is_not_there_is_told_as_such(place):
    """Not as a vendor that is down, nor as a wrong api_url."""
    became = asyncio.run(post("https://vendor.example", environ={"ALL_PROXY": place}))
    assert isinstance(became, Retry)
    assert "proxy" in became.reason


def test_a_proxy_that_asks_for_credentials_ends_the_run(ca):
    """No wait mends it."""
    proxy = Proxy(b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")

    async def through():
        async with listening(proxy.serve) as port:
            environ = {"HTTPS_PROXY": f"http://localhost:{port}"}
            return await told(identity(ca, "localhost"), environ)

    became, sent = asyncio.run(through())
    assert isinstance(became, Fatal)
    assert "proxy" in became.reason
    assert not sent


def test_a_local_address_through_a_proxy_is_asked_for_whole():
    """As RFC 9112 has it (section 3.2.2), with the proxy's credentials."""
    proxy = Proxy(answer(201))

    async def through():
        async with listening(proxy.serve) as port:
            environ = {"HTTP_PROXY": f"http://user:pass@localhost:{port}"}
            return await post("http://localhost:9", environ=environ, classify=accepted)

    assert asyncio.run(through()) == Accepted()
    head = proxy.heads[0].decode()
    assert head.startswith("POST http://localhost:9/calls?a=b HTTP/1.1\r\nHost: localhost:9\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'user:pass').decode()}" in head


def test_no_proxy_is_asked_for_what_it_is_not_for(ca, trusted):
    """NO_PROXY, by name."""
    environ = {"HTTPS_PROXY": "localhost:1", "NO_PROXY": "localhost", **trusted}
    assert asyncio.run(told(identity(ca, "localhost"), environ)) == (Accepted(), 1)
