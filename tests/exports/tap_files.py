"""A tap of CSV files on the Singer SDK: a stream for each, all columns text."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream, Tap
from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterable


class File(Stream):
    def __init__(self, tap: Tap, path: Path) -> None:
        self._path = path
        columns = [th.Property(name, th.StringType) for name in next(self._rows())]
        super().__init__(tap, name=path.stem, schema=th.PropertiesList(*columns).to_dict())

    def _rows(self) -> Iterable[dict[str, Any]]:
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                yield {_snake(name): value for name, value in row.items()}

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:  # noqa: ARG002
        yield from self._rows()


class TapFiles(Tap):
    name = "tap-files"
    config_jsonschema = th.PropertiesList(th.Property("folder", th.StringType)).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [File(self, path) for path in sorted(Path(self.config["folder"]).glob("*.csv"))]


def _snake(header: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", header)
    return re.sub(r"\W+", "_", words).strip("_").lower()


if __name__ == "__main__":
    TapFiles.cli()
