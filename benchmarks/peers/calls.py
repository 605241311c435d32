"""For peers that are no Singer targets: their settings, and the calls of the input, mapped."""

from __future__ import annotations

import argparse
import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator


def settings() -> dict[str, Any]:
    """From ``--config``: url, username, password, in_flight, keep_connections."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    found: dict[str, Any] = json.loads(parser.parse_args().config.read_text())
    return found


def mapped(record: dict[str, Any]) -> dict[str, Any]:
    """What the stream map of the Singer targets makes of a record."""
    return {
        "CallSessionId": f"invox:{record['call_id']}",
        "CampaignId": 1,
        "MediaId": 2,
        "ActionTrackerId": 3,
        "CallProvider": "INVOX",
        "EventDate": record["date"],
        "CallStatus": "ANSWER",
        "CallerId": record["caller"],
        "CalledPhoneNumber": record["destinationnumber"],
        "CallDuration": record["duration"],
    }


def calls() -> Iterator[dict[str, Any]]:
    """The calls on standard input, as they are to be sent."""
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message["type"] == "RECORD":
            yield mapped(message["record"])


def forms() -> Iterator[bytes]:
    """The same as form bodies."""
    for call in calls():
        yield urlencode(call).encode()


def authorization(config: dict[str, Any]) -> str:
    """The value of the header."""
    pair = f"{config['username']}:{config['password']}"
    return f"Basic {b64encode(pair.encode()).decode()}"
