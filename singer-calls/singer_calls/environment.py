"""Settings from the environment (``--config=ENV``): what is exported wins.

The SDK looks for a ``.env`` in every folder above its own installation and lets it override what is
exported: a file of another project could choose the account. Here a ``.env`` counts only in the
working directory, and only for settings that are not exported.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values

from singer_calls.errors import PluginError, SettingsError
from singer_calls.values.boolean import boolean

if TYPE_CHECKING:
    from collections.abc import Mapping


def working_folder() -> Path:
    """The folder that the process was started in.

    Raises:
        PluginError: It is gone: what is relative begins nowhere.
    """
    try:
        return Path.cwd()
    except OSError:
        raise PluginError(
            "The folder that this was started in was removed: start it in one that exists."
        ) from None


def settings_from(
    environ: Mapping[str, str],
    folder: Path,
    *,
    prefix: str,
    properties: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Any], list[str]]:
    """The settings that the environment has.

    Args:
        environ: What is exported.
        folder: Where a ``.env`` is read.
        prefix: Of the variables, such as ``TAP_NAME_``.
        properties: The JSON Schema of each setting, by its name.

    Returns:
        The settings, each of its schema's type or, where its text is none of it, as it is: the
        schema has the sentence for that. And the names of those that came from ``.env``.

    Raises:
        SettingsError: The file can't be read.
    """
    file = folder / ".env"
    try:
        written = dotenv_values(file) if file.is_file() else {}
    except (OSError, ValueError):
        raise SettingsError(
            "The file .env in the working directory can't be read: see that it is a text of lines "
            "NAME=value in UTF-8, and readable."
        ) from None
    settings: dict[str, Any] = {}
    from_file = []
    for name, schema in properties.items():
        variable = prefix + name.upper().replace("-", "_")
        value = environ.get(variable, written.get(variable))
        if value is not None:
            settings[name] = _coerced(value, schema)
            if variable not in environ:
                from_file.append(name)
    return settings, from_file


def _coerced(text: str, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON)
    declared = schema.get("type", "string")
    kinds = {declared} if isinstance(declared, str) else {*declared}
    try:
        if "integer" in kinds:
            return int(text)
        if "boolean" in kinds:
            return boolean(text)
        if kinds & {"object", "array", "number"}:
            return json.loads(text)
    except ValueError:
        pass
    return text
