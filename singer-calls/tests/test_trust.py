"""The environment says through which proxy an address is reached, and whose word counts."""

from __future__ import annotations

import ssl
import sys

import pytest
import trustme

from singer_calls.errors import SettingsError
from singer_calls.http.trust import Proxy, proxy_for, tls_context

VENDOR = "https://vendor.example"
PROXY = Proxy("http", "proxy.example", 3128)
PASSWORD = "s3cret"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        (VENDOR, {}, None),
        (VENDOR, {"HTTPS_PROXY": "http://proxy.example:3128"}, PROXY),
        (VENDOR, {"https_proxy": "http://proxy.example:3128/"}, PROXY),
        (VENDOR, {"ALL_PROXY": "http://proxy.example:3128"}, PROXY),
        (VENDOR, {"all_proxy": "proxy.example:3128"}, PROXY),
        (VENDOR, {"https_proxy": " proxy.example:3128 "}, PROXY),
        (VENDOR, {"HTTP_PROXY": "http://proxy.example:3128"}, None),
        ("http://127.0.0.1:8000/x", {"http_proxy": "proxy.example:3128"}, PROXY),
        ("http://[::1]:8000", {"HTTP_PROXY": "proxy.example:3128"}, PROXY),
        # Lower case wins, also when it says "none"; then there is ALL_PROXY.
        (VENDOR, {"https_proxy": "proxy.example:3128", "HTTPS_PROXY": "other:1"}, PROXY),
        (VENDOR, {"https_proxy": "", "HTTPS_PROXY": "other:1"}, None),
        (VENDOR, {"https_proxy": "", "ALL_PROXY": "proxy.example:3128"}, PROXY),
        (VENDOR, {"HTTPS_PROXY": "proxy.example:3128", "ALL_PROXY": "other:1"}, PROXY),
        # Ports, IPv6, credentials.
        (VENDOR, {"HTTPS_PROXY": "proxy.example"}, Proxy("http", "proxy.example", 80)),
        (VENDOR, {"HTTPS_PROXY": "HTTPS://Proxy.Example"}, Proxy("https", "proxy.example", 443)),
        (VENDOR, {"HTTPS_PROXY": "127.0.0.1:3128"}, Proxy("http", "127.0.0.1", 3128)),
        (VENDOR, {"HTTPS_PROXY": "[fd00::1]:3128"}, Proxy("http", "fd00::1", 3128)),
        (VENDOR, {"HTTPS_PROXY": "http://[::1]"}, Proxy("http", "::1", 80)),
        (
            VENDOR,
            {"HTTPS_PROXY": f"us%40er:{PASSWORD}%2F%C3%A9@proxy.example:3128"},
            Proxy("http", "proxy.example", 3128, "us@er", f"{PASSWORD}/é"),
        ),
        (
            VENDOR,
            {"HTTPS_PROXY": "http://user@proxy.example:3128"},
            Proxy("http", "proxy.example", 3128, "user"),
        ),
    ],
)
def test_an_address_gets_the_proxy_that_counts_for_it(url, environ, expected):
    """By scheme, then for all; lower case before upper case; with and without a scheme."""
    assert proxy_for(url, environ) == expected


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        (VENDOR, "*", True),
        (VENDOR, "other.example, *", True),
        (VENDOR, "vendor.example", True),
        (VENDOR, "VENDOR.Example.", True),
        ("https://vendor.example.:443", "vendor.example", True),
        (VENDOR, "example", True),
        (VENDOR, ".example", True),
        (VENDOR, "*.example", True),
        (VENDOR, "other.example vendor.example", True),
        (VENDOR, "vendor.example:443", True),
        (VENDOR, "vendor.example:8443", False),
        ("https://vendor.example:8443", "vendor.example:8443", True),
        (VENDOR, "api.vendor.example", False),
        (VENDOR, "endor.example", False),
        (VENDOR, "", False),
        (VENDOR, ",. ,", False),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3:8443", "10.1.2.3:8443", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.9/255.255.0.0", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.0.0.0/99", False),
        ("https://10.1.2.3", "fd00::/8", False),
        (VENDOR, "0.0.0.0/0", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]", "[fd00::]/8", True),
        ("https://[fd00::1]", "fd00:0::1", True),
        ("https://[fd00::1]:8443", "[fd00::1]:8443", True),
        ("https://[fd00::1]", "[fd00::1]:8443", False),
        ("https://[fd01::1]", "[fd00::1]", False),
    ],
)
@pytest.mark.parametrize("spelled", ["no_proxy", "NO_PROXY"])
def test_no_proxy_lists_hosts_domains_networks_and_ports(url, no_proxy, direct, spelled):
    """Also with a network mask, which only some programs read."""
    environ = {"HTTPS_PROXY": "proxy.example:3128", spelled: no_proxy}
    assert (proxy_for(url, environ) is None) == direct


@pytest.mark.parametrize(
    "value",
    [
        f"socks5://user:{PASSWORD}@proxy.example:1080",
        "socks5h://proxy.example",
        "ftp://proxy.example",
        f"http://user:{PASSWORD}@proxy.example:notaport",
        "proxy.example:70000",
        "proxy.example:0",
        "http://",
        "http://:3128",
        f"http://user:{PASSWORD}/x@proxy.example:3128",
        f"http://user:1{PASSWORD}#@proxy.example:3128",
        f"user:12/{PASSWORD}@proxy.example:3128",
        "http://pro xy.example:3128",
        "http://[::1:3128",
        "http://[proxy]:3128",
        "::1:3128",
        "http://proxy.example/proxy.pac",
        "http://us%3Aer:x@proxy.example",
        "http://us%FFer:x@proxy.example",
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable(variable, value):
    """Before anything is asked, and without its password; api_url is not blamed."""
    with pytest.raises(SettingsError) as caught:
        proxy_for(VENDOR, {variable: value})
    sentence = str(caught.value)
    assert variable in sentence
    assert PASSWORD not in sentence
    assert "api_url" not in sentence
    # One that isn't used for this address does no harm.
    assert proxy_for(VENDOR, {variable: value, "NO_PROXY": "vendor.example"}) is None


def test_a_proxy_keeps_its_password_to_itself():
    """It stands in the header and in the URL for requests, not in a repr."""
    proxy = Proxy("http", "fd00::1", 3128, "us@er", f"{PASSWORD}/é")
    assert PASSWORD not in repr(proxy)
    assert proxy.url == f"http://us%40er:{PASSWORD}%2F%C3%A9@[fd00::1]:3128"
    assert proxy_for(VENDOR, {"HTTPS_PROXY": proxy.url}) == proxy
    assert Proxy("http", "h", 1, "Aladdin", "open sesame").authorization == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617, section 2
    )
    assert PROXY.authorization is None


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A CA in a file, and in a folder as OpenSSL wants it."""
    folder = tmp_path_factory.mktemp("ca")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "hashed").mkdir()
    ca.cert_pem.write_to_path(folder / "hashed" / "0a1b2c3d.0")
    return folder


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_bundle_stands_in_the_place_of_all_other_authorities(variable, authority):
    """A company that pins its own CA trusts nobody else."""
    environ = {variable: str(authority / "ca.pem"), "SSL_CERT_FILE": "/nowhere"}
    context = tls_context(environ)
    assert context.cert_store_stats()["x509_ca"] == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_one_of_the_openssl_variables_leaves_the_other_default_in_place(authority):
    """As OpenSSL, curl and Python read them."""
    context = tls_context({"SSL_CERT_FILE": str(authority / "ca.pem")})
    assert context.cert_store_stats()["x509_ca"] == 1  # a folder is looked into later
    folders = tls_context({"SSL_CERT_DIR": f"{authority / 'hashed'}:{authority / 'hashed'}"})
    assert folders.verify_mode is ssl.CERT_REQUIRED


def test_without_a_variable_the_system_is_believed():
    """An empty one says nothing."""
    assert tls_context({"REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": ""}).check_hostname


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="the system's store is no file")
@pytest.mark.parametrize("there", [True, False])
def test_on_a_slim_container_without_certificates_those_of_certifi_are_believed(
    tmp_path, monkeypatch, there
):
    """OpenSSL is told that its defaults lie elsewhere: in a folder that is empty, or is none."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path if there else tmp_path / "none"))
    assert ssl.create_default_context().cert_store_stats()["x509_ca"] == 0
    context = tls_context({})
    assert context.cert_store_stats()["x509_ca"] > 50
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]
)
@pytest.mark.parametrize("fault", ["missing", "empty file", "not PEM", "empty folder"])
def test_certificates_that_cannot_be_read_are_one_sentence(variable, fault, tmp_path):
    """At start, naming the variable: not "run again when the vendor is back"."""
    path = tmp_path / "ca"
    if fault == "empty folder":
        path.mkdir()
    elif fault != "missing":
        path.write_text("" if fault == "empty file" else "a certificate, but not in PEM form")
    with pytest.raises(SettingsError) as caught:
        tls_context({variable: str(path)})
    assert variable in str(caught.value)
    assert str(path) not in str(caught.value)
