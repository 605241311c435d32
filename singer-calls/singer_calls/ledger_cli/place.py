"""Which ledger and which folder of files a command means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_calls.deliver.ledger import LedgerError
from singer_calls.deliver.ledger_place import anchored, folder_of
from singer_calls.deliver.messages import decode
from singer_calls.environment import working_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REJECTED_PATH = "rejected/"


def place(
    *,
    ledger_url: str | None,
    rejected_path: str | None,
    config: Path | None,
    target: str | None,
    environ: Mapping[str, str],
) -> tuple[str, str]:
    """The ledger's URL, absolute, and the place of files: a folder, or a bucket's URL.

    The first that says something counts: the options, a target's configuration file, the target's
    variables (``TARGET_NAME_LEDGER_URL``, as Meltano sets them), ``LEDGER_URL`` and
    ``REJECTED_PATH``, the target's default.

    Raises:
        LedgerError: Nothing says which ledger, or it is relative to nothing that stays.
    """
    settings = _settings(config)
    prefix = f"{target.upper().replace('-', '_')}_" if target else None

    def first(option: str | None, name: str, default: str | None) -> str | None:
        found = [option, settings.get(name)]
        found += [environ.get(prefix + name.upper())] if prefix else []
        found += [environ.get(name.upper()), default]
        return next((one for one in found if one is not None), None)

    url = first(ledger_url, "ledger_url", f"sqlite:///{target}.ledger.db" if target else None)
    if url is None:
        raise LedgerError(
            "Which ledger? Give --ledger-url, or --config with a target's configuration file, or "
            "--target with its name, or set LEDGER_URL"
        )
    files = [config] if config else []
    working = working_folder()
    anchor = anchored(url, environment=environ, config_files=files, working=working)
    kept = first(rejected_path, "rejected_path", REJECTED_PATH) or REJECTED_PATH
    return anchor, folder_of(kept, environment=environ, config_files=files, working=working)


def _settings(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        settings = decode(config.read_bytes())
    except (OSError, ValueError) as error:
        raise LedgerError("The file of --config can't be read: it must be JSON") from error
    if not isinstance(settings, dict):
        raise LedgerError("The file of --config must hold one JSON object")
    return settings
