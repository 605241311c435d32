# /// script
# requires-python = ">=3.11"
# dependencies = ["singer-sdk==0.54.9", "requests>=2.32"]
# ///
"""A target on the Singer SDK's RecordSink: one call after the other."""

from __future__ import annotations

from typing import Any, ClassVar

import requests
from singer_sdk import RecordSink, Target
from singer_sdk import typing as th


class CallSink(RecordSink):
    """Sends each record as it comes."""

    def setup(self) -> None:
        """A session keeps its connection."""
        super().setup()
        self.session = requests.Session()
        self.session.auth = (self.config["username"], self.config["password"])

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """One call."""
        del context
        self.session.post(self.config["url"], data=record, timeout=30).raise_for_status()


class TargetRecord(Target):
    """The SDK's stream maps and validation, and that sink."""

    name = "target-record"
    default_sink_class = CallSink
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("username", th.StringType, required=True),
        th.Property("password", th.StringType, required=True),
        th.Property("in_flight", th.IntegerType),
    ).to_dict()


if __name__ == "__main__":
    TargetRecord.cli()
