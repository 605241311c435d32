"""Where a ledger and its files are: the same place from whatever folder a run is started.

A file that is looked for in the working folder is another one for cron than for its operator, and
an empty ledger pays every call of the lookback again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from singer_calls.deliver.dead_letters_bucket import is_bucket
from singer_calls.deliver.ledger import LedgerError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PROJECT = "MELTANO_PROJECT_ROOT"  # what Meltano tells the plugins that it runs
_ENVIRONMENT = "ENV"  # a --config that is no file
# Not tempfile.gettempdir(): it tries to write, fails where all is read-only, and takes the working
# folder for temporary where that alone is not.
_NAMED = (os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP"))
TEMPORARY = frozenset(
    Path(folder).resolve()
    for folder in (*filter(os.path.isabs, _NAMED), "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - not to write there
)


def anchored(
    url: str,
    *,
    environment: Mapping[str, str],
    config_files: Sequence[str | Path],
    working: Path,
    temporary: Collection[Path] = TEMPORARY,
) -> str:
    """A ledger's URL that means the same from every folder.

    A relative file belongs to the root of the Meltano project, else to the folder of the first
    configuration file.

    Args:
        url: ``ledger_url``.
        environment: Variables of the process.
        config_files: Arguments of ``--config``, in order.
        working: The folder that the process was started in.
        temporary: Folders in which nothing lasts.

    Raises:
        LedgerError: It is empty, or relative without a lasting place to begin at, or a ledger of
            the first format is where that release would have looked for it.
    """
    import sqlalchemy as sa  # noqa: PLC0415 - what --version can do without

    if not url.strip():
        raise LedgerError(
            "ledger_url is empty: name a ledger, or remove the setting (LEDGER_URL too) for the "
            "default"
        )
    if url != url.strip() or not url.isprintable():
        raise LedgerError(
            "ledger_url has a blank or a line break at an end, or a character that can't be seen "
            "in it, as from a file of secrets: it would be another ledger. Remove it"
        )
    try:
        address = sa.engine.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        return url  # whoever opens it says what is wrong
    name = address.database or ""
    if address.get_backend_name() != "sqlite" or name in {"", ":memory:"} or name[:5] == "file:":
        return url
    if Path(name).is_absolute():
        return url
    before = working / name
    root = _root(environment, config_files, working, temporary)
    if root is None:
        raise LedgerError(
            f"ledger_url is a relative path, and nothing lasting says where it begins (a Meltano "
            f"project, or the folder of a --config file): give an absolute one, such as "
            f"sqlite:///{before.resolve()}"
        )
    place = root / name
    if before.resolve() != place.resolve() and _is_first(before):
        raise LedgerError(
            f"The release before this one kept its ledger at {before.resolve()}, where this run "
            f"was started; a relative ledger_url now means {place}. Move the file there, with its "
            f"-wal and -shm if it has them, or name it: sqlite:///{before.resolve()}"
        )
    return address.set(database=str(place)).render_as_string(hide_password=False)


def folder_of(
    path: str,
    *,
    environment: Mapping[str, str],
    config_files: Sequence[str | Path],
    working: Path,
    temporary: Collection[Path] = TEMPORARY,
) -> str:
    """A folder (``rejected_path``) beside a ledger: a relative one begins where that does.

    Args:
        path: The folder, or the URL of a bucket.
        environment: Variables of the process.
        config_files: Arguments of ``--config``, in order.
        working: The folder that the process was started in: where nothing lasting says more.
        temporary: Folders in which nothing lasts.
    """
    if is_bucket(path):
        return path
    return str((_root(environment, config_files, working, temporary) or working) / path)


def _root(
    environment: Mapping[str, str],
    config_files: Sequence[str | Path],
    working: Path,
    temporary: Collection[Path],
) -> Path | None:
    if project := environment.get(PROJECT):
        return Path(project)
    files = [working / file for file in config_files if str(file) != _ENVIRONMENT]
    if not files or not files[0].is_file():  # a pipe lasts no longer than the run
        return None
    folder = files[0].resolve().parent
    return None if any(folder.is_relative_to(one) for one in temporary) else folder


def _is_first(file: Path) -> bool:
    """Whether a file may be a ledger of the first format: it does not say that it is newer."""
    if not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as ledger:
            [version] = ledger.execute("SELECT version FROM call_ledger_version").fetchone()
    except (sqlite3.Error, TypeError):
        return True
    return bool(version == 1)
