# /// script
# requires-python = ">=3.11"
# dependencies = ["singer-sdk==0.54.9", "requests>=2.32"]
# ///
"""A target on the Singer SDK's BatchSink: batches of the SDK's default size, sent by threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import requests
from requests.adapters import HTTPAdapter
from singer_sdk import BatchSink, Target
from singer_sdk import typing as th


class CallSink(BatchSink):
    """Sends each call of a batch by a pool of threads; the batch is done when all are."""

    max_size = 10_000

    def setup(self) -> None:
        """Sessions keep connections, one for each thread."""
        super().setup()
        width = self.config["in_flight"]
        self.session = requests.Session()
        self.session.auth = (self.config["username"], self.config["password"])
        self.session.mount("http://", HTTPAdapter(pool_maxsize=width))
        self.pool = ThreadPoolExecutor(width)

    def send(self, record: dict[str, Any]) -> None:
        """One call."""
        self.session.post(self.config["url"], data=record, timeout=30).raise_for_status()

    def process_batch(self, context: dict[str, Any]) -> None:
        """All calls of a batch."""
        for _ in self.pool.map(self.send, context["records"]):
            pass


class TargetBatch(Target):
    """The SDK's stream maps and validation, and that sink."""

    name = "target-batch"
    default_sink_class = CallSink
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("username", th.StringType, required=True),
        th.Property("password", th.StringType, required=True),
        th.Property("in_flight", th.IntegerType, default=32),
    ).to_dict()


if __name__ == "__main__":
    TargetBatch.cli()
