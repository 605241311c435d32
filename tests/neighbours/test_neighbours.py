"""Other people's taps and targets at both ends of ours: docs/neighbours.md, row by row.

Each is installed from the package index in an environment of its own, as Meltano would.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from call_sandbox import Sandbox
from call_sandbox.credentials import (
    IMPACT_PASSWORD,
    IMPACT_USERNAME,
    INVOX_API_KEY,
    IOVOX_SECURE_KEY,
    IOVOX_USERNAME,
)

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "neighbours.md").read_text("utf-8")
CALLS = 60

# Package -> the part of its error that shows whose fault it is.
BROKEN = {
    "target-csv==0.3.0": "No module named 'pkg_resources'",
    "target-sqlite==0.2.0": "module 'collections' has no attribute 'MutableMapping'",
}
TAPS = ["tap-invox", "tap-iovox"]


def json_lines(folder):
    """Rows of target-jsonl."""
    return [json.loads(line) for file in folder.iterdir() for line in file.read_text().splitlines()]


def csv_rows(folder):
    """Rows of target-csv."""
    (file,) = folder.iterdir()
    return [*csv.DictReader(io.StringIO(file.read_text(), newline=""))]


def singer_lines(folder):
    """Rows of target-singer-jsonl: messages, compressed."""
    files = [gzip.decompress(file.read_bytes()) for file in folder.rglob("*.gz")]
    messages = [json.loads(line) for text in files for line in text.splitlines()]
    return [message["record"] for message in messages if message["type"] == "RECORD"]


# Package -> its settings for a folder, and how to read what it wrote there.
LOADERS = {
    "target-jsonl==0.1.4": (lambda folder: {"destination_path": folder}, json_lines),
    "meltanolabs-target-csv==0.5.0": (lambda folder: {"output_path": folder}, csv_rows),
    "target-singer-jsonl==0.1.0": (
        lambda folder: {"destination": "local", "local": {"folder": f"{folder}/"}},
        singer_lines,
    ),
}
POSTGRES = "pipelinewise-target-postgres==2.1.2"
EXTRACTORS = ["meltanolabs-tap-postgres==0.10.0", "pipelinewise-tap-postgres==2.1.0"]
SPREADSHEETS = "tap-spreadsheets==1.1.2"
MAPPER = "meltano-map-transform==0.12.3"
CHECK = "singer-tools==0.4.1"
# Package -> the release of a library that it pins and that no compiler takes on this Python.
PINNED = {
    "singer-target-postgres==0.2.4": "psycopg2 2.8.5",
    "target-postgres==1.1.3": "psycopg2 2.7.5",
    "tap-postgres==0.2.1": "psycopg2 2.7.4",
}
MAPPING = {
    "__key_properties__": ["CallSessionId"], "__else__": None,
    "CallSessionId": "'db:' + str(id)", "EventDate": "started", "CallStatus": "'ANSWER'",
    "CallerId": "caller", "CalledPhoneNumber": "called", "CallDuration": "seconds",
    "SaleAmount": "amount",
}  # fmt: skip

installed = pytest.mark.long  # from the package index


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """``program("target-jsonl==0.1.4")``: its command, of its name or of the one given."""

    def program(package, command=None):
        place = tmp_path_factory.getbasetemp() / re.sub(r"\W", "_", package)
        short = command or re.search(r"(tap|target)-[a-z-]+", package)[0]
        if not place.exists():
            for words in (
                ["venv", "-q", place, "--python", sys.executable],
                ["pip", "install", "-q", "--python", place / "bin" / "python", package],
            ):
                done = subprocess.run([BIN / "uv", *words], capture_output=True, check=False)
                if done.returncode:
                    pytest.skip(f"{package} can't be installed: is there a package index?")
        return place / "bin" / short

    return program


@pytest.fixture(scope="session")
def vendors():
    """All of them."""
    with Sandbox(calls=CALLS, seed=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def output(vendors, tmp_path_factory):
    """``output("tap-invox")``: all that it says."""
    start = {"start_date": "2020-01-01T00:00:00Z"}
    settings = {
        "tap-invox": {"api_key": INVOX_API_KEY, "api_url": f"{vendors.url}/invox"},
        "tap-iovox": {
            "username": IOVOX_USERNAME, "secure_key": IOVOX_SECURE_KEY,
            "api_url": f"{vendors.url}/iovox",
        },
    }  # fmt: skip

    def output(tap):
        config = tmp_path_factory.mktemp(tap) / "config.json"
        config.write_text(json.dumps(start | settings[tap]))
        done = subprocess.run([BIN / tap, "--config", config], capture_output=True, check=True)
        return done.stdout

    return output


@pytest.fixture
def served(database):
    """The URL of a new database, and a port of this machine that leads to its server's socket."""
    url = sa.make_url(database)

    class Way(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.socket(socket.AF_UNIX) as behind:
                behind.connect(f"{url.query['host']}/.s.PGSQL.5432")
                back = threading.Thread(target=pump, args=(behind, self.request), daemon=True)
                back.start()
                pump(self.request, behind)
                back.join(10)

    def pump(one, other):
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Way) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield url, server.server_address[1]
        server.shutdown()


def load(command, settings, messages, folder):
    """Run a target on this input."""
    config = folder / "loader.json"
    config.write_text(json.dumps(settings))
    return subprocess.run(
        [command, "--config", config], input=messages, capture_output=True, cwd=folder, check=False
    )


def impact(vendors, ledger, **settings):
    """The settings of target-impact-calls."""
    return {
        "username": IMPACT_USERNAME, "password": IMPACT_PASSWORD, "campaign_id": 1000,
        "media_id": 10000, "action_tracker_id": 4000, "vendor_name": "Example",
        "api_url": f"{vendors.url}/impact", "ledger_url": f"sqlite:///{ledger}", **settings,
    }  # fmt: skip


@installed
@pytest.mark.parametrize("tap", TAPS)
def test_singers_own_check_finds_nothing(tap, program, output, tmp_path):
    """Each record against the schema before it, with another library than ours."""
    done = subprocess.run(
        [program(CHECK, "singer-check-tap")],
        input=output(tap), capture_output=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert b"The output is valid" in done.stdout
    assert f"{CALLS} record messages" in done.stdout.decode()


@installed
@pytest.mark.parametrize("tap", TAPS)
@pytest.mark.parametrize("package", LOADERS)
def test_every_call_reaches_the_loader_and_its_state_comes_out(
    package, tap, program, output, tmp_path
):
    """By their ids, in whatever form it writes them."""
    settings, rows = LOADERS[package]
    folder = tmp_path / "out"
    folder.mkdir()
    messages = output(tap)
    done = load(program(package), settings(str(folder)), messages, tmp_path)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    key = "call_id" if tap == "tap-invox" else "id"
    sent = [json.loads(line) for line in messages.splitlines()]
    ids = {str(message["record"][key]) for message in sent if message["type"] == "RECORD"}
    assert len(ids) == CALLS
    assert {str(row[key]) for row in rows(folder)} == ids
    last = next(message["value"] for message in reversed(sent) if message["type"] == "STATE")
    assert json.loads(done.stdout.splitlines()[-1]) == last


@installed
@pytest.mark.parametrize("tap", TAPS)
def test_every_call_reaches_a_table(tap, program, output, served, tmp_path):
    """Of pipelinewise-target-postgres, nested parts as jsonb."""
    url, port = served
    settings = {
        "host": "127.0.0.1", "port": port, "user": url.username, "password": "none",
        "dbname": url.database, "default_target_schema": "warehouse",
    }  # fmt: skip
    done = load(program(POSTGRES), settings, output(tap), tmp_path)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM warehouse.calls"
        assert connection.exec_driver_sql(query).scalar() == CALLS
    engine.dispose()


@installed
@pytest.mark.parametrize("package", BROKEN)
def test_a_loader_that_fails_fails_by_itself(package, program, tmp_path):
    """With no input at all: what it needs is not on this Python."""
    done = load(program(package), {}, b"", tmp_path)
    assert done.returncode != 0
    assert BROKEN[package] in done.stderr.decode()


@installed
@pytest.mark.parametrize("package", EXTRACTORS)
def test_a_table_of_calls_is_delivered(package, program, vendors, served, tmp_path):
    """Numbers, times and money in the types that the tap gives them."""
    vendors.reset()
    url, port = served
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE calls (id bigint PRIMARY KEY, started timestamptz, caller text, "
            "called text, seconds integer, amount numeric(10, 2))"
        )
        connection.exec_driver_sql(
            "INSERT INTO calls SELECT n, timestamptz '2026-01-31 12:00:01Z' + n * interval '61 s', "
            "'+1415555' || lpad(n::text, 4, '0'), '+12125550123', n, 0.1 * n "
            "FROM generate_series(1, 20) n"
        )
    engine.dispose()
    where = {
        "host": "127.0.0.1", "port": port, "user": url.username,
        "password": url.password or "none", "database": url.database, "dbname": url.database,
        "filter_schemas": ["public"] if package.startswith("meltano") else "public",
    }  # fmt: skip
    tap = [program(package), "--config", tmp_path / "tap.json"]
    (tmp_path / "tap.json").write_text(json.dumps(where))
    found = subprocess.run([*tap, "--discover"], capture_output=True, check=False)
    assert found.returncode == 0, found.stderr.decode()[-2000:]
    catalog = json.loads(found.stdout)
    catalog["streams"] = [s for s in catalog["streams"] if s["table_name"] == "calls"]
    for part in catalog["streams"][0]["metadata"]:
        part["metadata"]["selected"] = True
        if not part["breadcrumb"]:
            part["metadata"]["replication-method"] = "FULL_TABLE"
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    option = "--catalog" if package.startswith("meltano") else "--properties"
    read = subprocess.run(
        [*tap, option, tmp_path / "catalog.json"], capture_output=True, check=False
    )
    assert read.returncode == 0, read.stderr.decode()[-2000:]
    assert (b"multipleOf" in read.stdout) == package.startswith("pipelinewise")
    settings = impact(vendors, tmp_path / "ledger.db", stream_maps={"public-calls": MAPPING})
    done = load(BIN / "target-impact-calls", settings, read.stdout, tmp_path)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert set(vendors.books("impact")) == {f"db:{n}" for n in range(1, 21)}
    sent = {e["form"]["CallSessionId"]: e["form"] for e in vendors.journal("impact")}
    assert sent["db:3"]["SaleAmount"] in {"0.3", "0.30"}
    moment = datetime.fromisoformat(sent["db:3"]["EventDate"])
    assert moment == datetime(2026, 1, 31, 12, 3, 4, tzinfo=UTC)


@installed
def test_a_spreadsheet_of_calls_is_delivered(program, vendors, tmp_path):
    """With the types that the tap sees in its columns."""
    vendors.reset()
    rows = [
        (n, f"2026-01-31T12:{n:02}:00Z", f"+1415555{n:04}", "+12125550123", n, f"{n}.50")
        for n in range(1, 21)
    ]
    with (tmp_path / "calls.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "started", "caller", "called", "seconds", "amount"), *rows]
        )
    files = {
        "path": f"{tmp_path}/calls.csv", "format": "csv", "table_name": "calls",
        "primary_keys": ["id"],
    }  # fmt: skip
    (tmp_path / "tap.json").write_text(json.dumps({"files": [files]}))
    read = subprocess.run(
        [program(SPREADSHEETS), "--config", tmp_path / "tap.json"], capture_output=True, check=False
    )
    assert read.returncode == 0, read.stderr.decode()[-2000:]
    settings = impact(vendors, tmp_path / "ledger.db", stream_maps={"calls": MAPPING})
    done = load(BIN / "target-impact-calls", settings, read.stdout, tmp_path)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert set(vendors.books("impact").values()) == {1}
    assert len(vendors.books("impact")) == len(rows)
    assert {e["form"]["CallerId"] for e in vendors.journal("impact")} == {row[2] for row in rows}


@installed
@pytest.mark.parametrize("source", ["invox", "iovox"])
def test_a_mapper_between_does_what_the_mapping_in_the_target_does(
    program, vendors, output, tmp_path, source
):
    """The pipeline's own mapping: the same calls are delivered, with the same parameters."""
    pipeline = yaml.safe_load((ROOT / "pipelines" / f"{source}-to-impact.meltano.yml").read_text())
    (loader,) = pipeline["plugins"]["loaders"]
    mapping = {key: loader["config"][key] for key in ("stream_maps", "stream_map_config")}
    country = {"default_country": loader["config"].get("default_country", "GB")}
    country["max_rejected_percent"] = 100
    messages = output(f"tap-{source}")
    (tmp_path / "mapper.json").write_text(json.dumps(mapping))
    mapped = subprocess.run(
        [program(MAPPER, "meltano-map-transform"), "--config", tmp_path / "mapper.json"],
        input=messages, capture_output=True, check=False,
    )  # fmt: skip
    assert mapped.returncode == 0, mapped.stderr.decode()[-2000:]
    sent = []
    for name, given, settings in (
        ("in", messages, country | mapping), ("before", mapped.stdout, country)
    ):  # fmt: skip
        vendors.reset()
        known = impact(vendors, tmp_path / f"{name}.db", **settings)
        done = load(BIN / "target-impact-calls", known, given, tmp_path)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        sent.append({e["form"]["CallSessionId"]: e["form"] for e in vendors.journal("impact")})
    assert sent[0] == sent[1]
    assert len(sent[0]) > CALLS / 2


@installed
@pytest.mark.parametrize("package", PINNED)
def test_what_pins_a_library_that_cannot_be_built_cannot_be_installed(package, tmp_path):
    """By nobody, on this Python: there is nothing of ours in that environment."""
    done = subprocess.run(
        [BIN / "uv", "pip", "install", "--dry-run", "--only-binary", ":all:", "--no-deps",
         "--target", tmp_path, PINNED[package].replace(" ", "==")],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0


def test_the_page_has_a_row_for_each():
    """With the release that was tried, and the words of what fails."""
    others = [SPREADSHEETS, MAPPER, CHECK]
    for package in [*LOADERS, POSTGRES, *EXTRACTORS, *BROKEN, *PINNED, *others]:
        assert package in PAGE
    for words in [*BROKEN.values(), *PINNED.values()]:
        assert words in PAGE
