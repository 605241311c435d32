"""The JSON Schemas of the streams."""

import json
from importlib.resources import files

CALLS = json.loads((files(__package__) / "calls.json").read_text("utf-8"))
