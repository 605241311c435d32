"""Decode and write: one GET after the other, no typing. The ceiling for a tap in Python."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import count
from pathlib import Path

import msgspec
import requests


def main() -> None:
    """Write each record of each page as a line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    config = json.loads(parser.parse_args().config.read_text())
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    session = requests.Session()
    session.headers.update(config["headers"])
    write = sys.stdout.buffer.write
    for page in count(1):
        params = {**config["params"], **({"page": page} if config["pages"] else {})}
        answer = session.get(config["base"] + config["url"], params=params, timeout=600)
        answer.raise_for_status()
        found = decode(answer.content)
        rows = found if isinstance(found, list) else found[config["rows"]]
        for row in rows:
            write(encode({"type": "RECORD", "stream": "calls", "record": row}) + b"\n")
        if not config["pages"] or len(rows) < config["params"]["limit"]:
            return


if __name__ == "__main__":
    main()
