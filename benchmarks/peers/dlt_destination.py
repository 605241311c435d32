# /// script
# requires-python = ">=3.11"
# dependencies = ["dlt==1.31.0", "requests>=2.32"]
# ///
"""dlt with a custom destination: its own workers send, each the calls of one file."""

from __future__ import annotations

import os
import tempfile

from calls import calls, settings

config = settings()
found = list(calls())
width = config["in_flight"]
os.environ |= {
    "LOAD__WORKERS": str(width),
    "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": str(max(1, -(-len(found) // width))),
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}

import dlt  # noqa: E402 - reads its settings from the environment
import requests  # noqa: E402
from requests.adapters import HTTPAdapter  # noqa: E402

session = requests.Session()
session.auth = (config["username"], config["password"])
session.mount("http://", HTTPAdapter(pool_maxsize=width))


@dlt.destination(batch_size=1, naming_convention="direct", skip_dlt_columns_and_tables=True)
def vendor(item: list[dict[str, object]], table: object) -> None:
    """One call."""
    del table
    for call in item if isinstance(item, list) else [item]:
        session.post(config["url"], data=call, timeout=30).raise_for_status()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("calls", destination=vendor, pipelines_dir=folder)
        if found:
            pipeline.run(found, table_name="calls").raise_on_failed_jobs()
