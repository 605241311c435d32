"""The JSON Schemas of the streams, by name."""

import json
from importlib.resources import files

SCHEMAS = {
    file.name.removesuffix(".json"): json.loads(file.read_text("utf-8"))
    for file in files(__package__).iterdir()
    if file.name.endswith(".json")
}
