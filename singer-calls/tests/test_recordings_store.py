"""The store of recordings, before a server of S3 (rclone: honest signatures) and a folder."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from email.utils import formatdate
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from importlib.resources import files
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest
import requests
import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from call_sandbox import Sandbox
from singer_calls.errors import PluginError, SettingsError
from singer_calls.recordings.audio import inspect
from singer_calls.recordings.checks import PathError
from singer_calls.recordings.refusals import StoreError, refusal
from singer_calls.recordings.store import Store, _fetch

PATH = "iovox/2026/11/25/30683207599876.mp3"
STEREO = (files("call_sandbox") / "audio" / "stereo.mp3").read_bytes()
AUDIO = inspect(io.BytesIO(STEREO), len(STEREO))
LARGE = 9 * 2**20


def opened(place, **changes):
    url = changes.pop("url", place.url)
    return Store.from_config({"recordings_url": url, "recordings_storage": place.storage | changes})


def put(store, data=STEREO, path=PATH, audio=AUDIO):
    return store.put(path, io.BytesIO(data), len(data), audio)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


@pytest.fixture(params=["s3", "folder"])
def store(request):
    if request.param == "s3":
        return opened(request.getfixturevalue("s3"))
    where = request.getfixturevalue("folder")
    return Store.from_config({"recordings_url": where.as_uri()})


def test_a_recording_is_found_with_what_it_is_until_it_is_deleted(store):
    assert store.look(PATH) is None
    kept = put(store)
    assert kept == (PATH, len(STEREO), AUDIO)
    assert store.look(PATH) == kept
    with store.open(PATH) as file:
        assert file.read() == STEREO
    store.delete(PATH)
    store.delete(PATH)
    assert store.look(PATH) is None
    with pytest.raises(KeyError):
        store.open(PATH)


def test_a_large_recording_is_put_in_parts(store):
    data = STEREO + os.urandom(LARGE)
    put(store, data)
    assert store.look(PATH).size == len(data)


def test_a_file_that_is_no_recording_counts_as_none(folder):
    store = Store.from_config({"recordings_url": folder.as_uri()})
    (folder / "iovox").mkdir()
    (folder / "iovox" / "1.mp3").write_bytes(b"<html>")
    assert store.look("iovox/1.mp3") is None


def test_a_recording_is_written_once(folder):
    """Before S3 the same is asked of moto: rclone overwrites whatever the condition."""
    store = Store.from_config({"recordings_url": folder.as_uri()})
    put(store)
    put(store, b"another")
    assert store.look(PATH).size == len(STEREO)


def test_a_folder_of_recordings_is_closed_to_others(folder):
    Store.from_config({"recordings_url": folder.as_uri()})
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("path", [PATH, "a b/ü?#%+&=;'().mp3", "emoji-\N{TELEPHONE RECEIVER}.wav"])
def test_whoever_has_a_signed_url_may_get_that_recording_and_nothing_else(s3, path):
    store = opened(s3)
    put(store, path=path)
    url = store.sign(path, 72)
    assert requests.get(url, timeout=9).content == STEREO
    last = "0" if url[-1] != "0" else "1"
    assert requests.get(url[:-1] + last, timeout=9).status_code == 403
    assert requests.get(url.partition("?")[0], timeout=9).status_code >= 400
    assert requests.put(url, data=b"", timeout=9).status_code >= 400


def test_a_signed_url_ends(s3):
    store = opened(s3)
    put(store)
    url = store.sign(PATH, 1 / 3600)
    deadline = time.monotonic() + 20
    while requests.get(url, timeout=9).status_code < 400:
        assert time.monotonic() < deadline


def test_a_store_that_a_stranger_with_the_url_can_fetch_from_passes(s3):
    opened(s3).check(72)
    opened(s3).check(168)


def test_a_store_whose_urls_do_not_open_is_told_before_a_call_is_sent(tmp_path):
    """A folder that nobody serves, and one that is served without the file."""
    nobody = {"served_at": "http://127.0.0.1:1/recordings"}
    with pytest.raises(StoreError, match="can't be fetched from here"):
        Store.from_config(
            {"recordings_url": tmp_path.as_uri(), "recordings_storage": nobody}
        ).check(72)
    with Sandbox(calls=1) as sandbox:
        elsewhere = {"served_at": f"{sandbox.url}/recordings"}
        settings = {"recordings_url": tmp_path.as_uri(), "recordings_storage": elsewhere}
        with pytest.raises(StoreError, match="answered with HTTP 404"):
            Store.from_config(settings).check(72)


def test_temporary_credentials_are_refused_with_the_remedy(s3):
    with pytest.raises(StoreError, match=r"temporary.*access key of a user"):
        opened(s3, session_token="SESSION").check(72)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"secret_access_key": "wrong-wrong"}, "refuses.*check key, secret"),
        ({"access_key_id": "WRONGWRONG"}, "refuses.*check key, secret"),
        ({"url": "s3://nobodys/kept"}, "does not exist: check recordings_url"),
        ({"endpoint": "http://127.0.0.1:1"}, "can't be reached"),
    ],
)
def test_what_the_store_refuses_is_told_without_its_address_or_a_key(s3, changes, says):
    store = opened(s3, **changes)
    for ask in (lambda: put(store), lambda: store.check(72)):
        with pytest.raises(StoreError, match=says) as raised:
            ask()
        for secret in (*s3.storage.values(), *changes.values(), "127.0.0.1", PATH):
            assert secret not in str(raised.value)


ASK = """
import io, json, sys
from singer_calls.recordings.audio import Audio
from singer_calls.recordings.store import Store
store = Store.from_config(json.loads(sys.argv[1]))
for ask in (
    lambda: store.look("a.mp3"),
    lambda: store.put("a.mp3", io.BytesIO(b"sound"), 5, Audio("mp3", 2, 1.0)),
    lambda: store.check(72),
):
    try:
        print("done", ask())
    except Exception as error:
        print(error)
"""


@pytest.mark.parametrize("shift", ["+2h", "-2h"])
def test_a_clock_that_differs_from_the_stores_is_told(s3, program, shift):
    """Ours is ahead of its, or behind, by more than S3 allows (15 minutes)."""
    config = json.dumps({"recordings_url": s3.url, "recordings_storage": s3.storage})
    command = [program("faketime"), "-f", shift, sys.executable, "-c", ASK, config]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    look, *others = told.splitlines()
    assert "this machine's clock" in look  # what is asked for with a HEAD is refused without a word
    assert len(others) == 2
    assert all("its clock and this machine's differ" in one for one in others)


def test_what_stores_say_that_are_full_is_told():
    assert "full" in refusal(OSError(28, "No space left on device"))
    assert "full" in refusal(OSError("507 Insufficient Storage: XMinioStorageFull"))
    assert "has room" in refusal(OSError("status code: 500 Internal Server Error"))
    assert "of this kind" in refusal(OSError("ETag Header missing from response"))
    assert "expired" in refusal(OSError("400: <Code>ExpiredToken</Code>"))
    assert refusal(OSError("+40722000111")) == "failed (OSError): run again later"


@pytest.mark.parametrize(
    "path", ["", "../x.mp3", "a//b.mp3", "/a.mp3", "a/./b", "http://x/y", "a\nb"]
)
def test_what_is_no_path_is_refused(store, path):
    with pytest.raises(PathError):
        store.sign(path, 72)


@pytest.mark.parametrize("path", ["../x.mp3", "iovox/../../x.mp3", "a//b.mp3", "a\nb"])
def test_no_path_leads_out_of_the_store(store, tmp_path, path):
    """Whatever is asked of it; what lies beside it is neither read nor written over."""
    beside = tmp_path / "x.mp3"
    beside.write_bytes(STEREO)
    for ask in (store.look, store.open, lambda path: put(store, b"over", path)):
        with pytest.raises(PathError):
            ask(path)
    assert beside.read_bytes() == STEREO


def test_a_signed_url_over_https_is_fetched_with_the_certificates_that_are_believed(
    tmp_path, monkeypatch
):
    """As a store in a company's own house has them."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.mp3").write_bytes(STEREO)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "served")
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    monkeypatch.setattr(HTTPServer, "handle_error", lambda *_: None)  # who hangs up is no fault
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{server.server_port}/a.mp3"
        with pytest.raises(StoreError, match="can't be fetched from here"):
            _fetch(url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        _fetch(url)
        with pytest.raises(StoreError, match="answered with HTTP 404"):
            _fetch(f"{url}x")
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "storage", "says"),
    [
        ("bucket/prefix", {}, "must be one of s3://"),
        ("https://bucket.s3.amazonaws.com", {}, "must be one of s3://"),
        ("s3://[bucket/prefix", {}, "must be one of s3://"),
        ("s3://b", {"endpoint": "http://[store.example"}, "must be an https:// URL"),
        ("s3://", {}, "lacks the bucket"),
        ("s3://key:secret@bucket/x", {}, "must be one of"),
        ("file://calls/x", {}, "from the root on"),
        ("file:///", {}, "from the root on"),
        ("s3://b", {"acess_key": "SECRET"}, r"key that this store doesn't know \(acess_key\)"),
        ("s3://b", {"access_key_id": "SECRET"}, "can't be used with these credentials"),
        ("s3://b", {"endpoint": "http://store.example"}, "must be an https:// URL"),
        ("s3://b", {"served_at": "http://127.0.0.1:1/"}, "is for file://"),
        ("file:///tmp/calls", {"served_at": "https://store.example"}, "is for file://"),
        ("gs://b", {"service_account_key": '{"private": "SECRET"}'}, "can't be used with these"),
    ],
)
def test_settings_that_name_no_store_are_told_without_a_value(url, storage, says):
    with pytest.raises((SettingsError, StoreError), match=says) as raised:
        Store.from_config({"recordings_url": url, "recordings_storage": storage})
    assert "SECRET" not in str(raised.value)
    assert "store.example" not in str(raised.value)
    assert isinstance(raised.value, PluginError)


def test_google_opens_a_url_that_is_signed_as_it_documents(tmp_path):
    """V4, by the account's key alone: no server of Google's is asked, none can be had here.

    https://cloud.google.com/storage/docs/authentication/canonical-requests
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {"client_email": "calls@example.iam.gserviceaccount.com", "private_key_id": "1"}
    file = tmp_path / "account.json"
    file.write_text(json.dumps(account | {"type": "service_account", "private_key": pem.decode()}))
    settings = {"recordings_storage": {"service_account": str(file)}}
    url = Store.from_config(settings | {"recordings_url": "gs://calls/kept"}).sign(PATH, 72)

    parts = urlsplit(url)
    query, _, signature = parts.query.rpartition("&X-Goog-Signature=")
    asked = dict(parse_qsl(query))
    assert (parts.scheme, parts.netloc) == ("https", "storage.googleapis.com")
    assert unquote(parts.path) == f"/calls/kept/{PATH}"
    assert asked["X-Goog-Expires"] == str(72 * 3600)
    assert asked["X-Goog-Credential"].startswith(account["client_email"])
    scope = asked["X-Goog-Credential"].partition("/")[2]
    ordered = "&".join(f"{name}={quote(asked[name], safe='')}" for name in sorted(asked))
    canonical = f"GET\n{parts.path}\n{ordered}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signed = f"GOOG4-RSA-SHA256\n{asked['X-Goog-Date']}\n{scope}\n{digest}"
    public = key.public_key()
    public.verify(bytes.fromhex(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.long
def test_two_that_put_one_recording_leave_the_first():
    """Conditional creation at S3, as moto does it."""
    command = Path(sys.executable).parent / "moto_server"
    with subprocess.Popen(
        [command, "-p", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        address = next(line.split()[-1] for line in server.stdout if "Running on http://" in line)
        requests.put(f"{address}/calls", timeout=9)
        storage = {
            "endpoint": address,
            "region": "us-east-1",
            "access_key_id": "k" * 10,
            "secret_access_key": "s" * 10,
        }
        config = {"recordings_url": "s3://calls/kept", "recordings_storage": storage}
        store = Store.from_config(
            config | {"recordings_storage": storage | {"region": "us-east-1"}}
        )
        put(store)
        put(store, b"another")
        assert store.look(PATH) == (PATH, len(STEREO), AUDIO)
        server.kill()


def _make_container(storage):
    """With a signature by hand (Azure, Shared Key): obstore makes none."""
    name, date = storage["account_name"], formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
    signed = "".join(f"{header}:{value}\n" for header, value in headers.items())
    blank = "\n" * 12
    signed = f"PUT{blank}{signed}/{name}/{name}/calls\nrestype:container"
    digest = hmac.digest(base64.b64decode(storage["account_key"]), signed.encode(), "sha256")
    headers["Authorization"] = f"SharedKey {name}:{base64.b64encode(digest).decode()}"
    url = f"{storage['endpoint']}/calls?restype=container"
    assert requests.put(url, headers=headers, timeout=9).status_code == 201


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("azurite-blob"), reason="azurite (npm) is not installed")
def test_azure_keeps_and_signs_alike(tmp_path):
    name, key = "devstoreaccount1", "Zm9yIHRlc3RzIG9ubHk="
    with subprocess.Popen(
        [
            "azurite-blob",
            "--blobPort",
            "0",
            "--inMemoryPersistence",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ],
        env=os.environ | {"AZURITE_ACCOUNTS": f"{name}:{key}"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        line = next(line for line in server.stdout if "successfully listens on" in line)
        storage = {"account_name": name, "account_key": key}
        storage["endpoint"] = f"{line.split()[-1]}/{name}"
        settings = {"recordings_url": "az://calls/kept", "recordings_storage": storage}
        store = Store.from_config(settings)
        with pytest.raises(StoreError, match="does not exist"):
            put(store)
        _make_container(storage)
        put(store)
        put(store, b"another")
        assert store.look(PATH) == (PATH, len(STEREO), AUDIO)
        assert requests.get(store.sign(PATH, 72), timeout=9).content == STEREO
        store.check(72)
        server.kill()
