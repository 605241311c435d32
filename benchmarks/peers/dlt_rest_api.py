# /// script
# requires-python = ">=3.11"
# dependencies = ["dlt==1.31.0"]
# ///
"""dlt's rest_api source: extracted and normalized to files, which is what makes rows typed."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    """Read all pages."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    config = json.loads(parser.parse_args().config.read_text())
    paginator = (
        {"type": "page_number", "base_page": 1, "total_path": None, "stop_after_empty_page": True}
        if config["pages"]
        else "single_page"
    )
    endpoint = {
        "path": config["url"],
        "params": config["params"],
        "data_selector": config["rows"] or "$",
        "paginator": paginator,
    }
    client = {"base_url": config["base"], "headers": config["headers"]}
    source = rest_api_source(
        {"client": client, "resources": [{"name": "calls", "endpoint": endpoint}]}
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("calls", destination="filesystem", pipelines_dir=folder)
        pipeline.extract(source)
        info = pipeline.normalize()
        counts = info.row_counts
        print(json.dumps({"rows": counts["calls"]}))


if __name__ == "__main__":
    main()
