"""A task of a Meltano job as a command.

Nothing here knows the engine: calls.py is the only file that does. Read once per parsing are

    schedules.json  what ``meltano schedule list --format=json`` said when this was built
    pools.json      the vendors' accounts: slots, the limit of requests, whose plugins they are
    plugins/        the settings of each plugin, as Meltano locked them
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

HERE = Path(__file__).resolve().parent.parent
DATES = {"start_date", "end_date"}
# Of the variables of a schedule, the one that is ours: the span of a partition, as a cron preset
# or expression.
PARTITION = "PAST_PARTITION"
WEEKLY = "@weekly"


class WrongError(Exception):
    """Running again won't help; ``str()`` is the sentence for the user."""


@dataclass(frozen=True)
class Job:
    """A job of meltano.yml that has a schedule.

    Attributes:
        name: Its name.
        cron: When it runs, as a cron expression in UTC.
        tasks: Its pairs of tap and target.
        env: The variables of its schedule.
    """

    name: str
    cron: str
    tasks: tuple[tuple[str, str], ...]
    env: Mapping[str, str]

    @property
    def partition(self) -> str:
        """The span of one partition of its past, as a cron preset or expression."""
        return self.env.get(PARTITION, WEEKLY)


def read_jobs(file: Path) -> list[Job]:
    """The jobs of the file that ``meltano schedule list --format=json`` made.

    Raises:
        WrongError: It is not there, or something else; or a task is no pair of tap and target.
    """
    try:
        plans = json.loads(file.read_text(encoding="utf-8"))["schedules"]["job"]
    except (OSError, ValueError, KeyError, TypeError):
        raise WrongError(
            f"{file.name} is missing or not what Meltano writes: run `make airflow`, or"
            f" `meltano schedule list --format=json > orchestrate/airflow/{file.name}`."
        ) from None
    return [
        Job(
            plan["job"]["name"],
            plan["cron_interval"],
            tuple(_pair(plan["job"]["name"], task) for task in plan["job"]["tasks"]),
            {name: str(value) for name, value in plan["env"].items()},
        )
        for plan in plans
        if plan["cron_interval"]  # @once and @manual have none: nothing to schedule
    ]


def _pair(job: str, task: object) -> tuple[str, str]:
    words = task.split() if isinstance(task, str) else []
    if len(words) != 2:  # noqa: PLR2004 - a tap and a target
        raise WrongError(f"A task of {job} is not `tap target`: correct meltano.yml.")
    return words[0], words[1]


class Pools:
    """The vendors' accounts, each with so many slots: the file that ``airflow pools import`` takes.

    Args:
        file: JSON: name -> ``slots``, ``description``, ``plugins`` (names, or what they inherit
            from) and ``requests_per_minute`` of the account (null: not known).
        jobs: All jobs.

    Raises:
        WrongError: It can't be read.
    """

    def __init__(self, file: Path, jobs: list[Job]) -> None:
        try:
            self._pools = json.loads(file.read_text(encoding="utf-8"))
            self._of = {plugin: name for name, p in self._pools.items() for plugin in p["plugins"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise WrongError(
                f"{file.name} is missing or not in its form: README.md says what stands in it."
            ) from None
        # Pools whose tasks use an account: their slots are how many processes it may meet at once.
        users: dict[str, set[str]] = {}
        for job in jobs:
            for pair in job.tasks:
                for account in filter(None, map(self.account, pair)):
                    users.setdefault(account, set()).add(self.pool(*pair) or account)
        self._processes = {
            account: sum(self._pools[pool]["slots"] for pool in pools)
            for account, pools in users.items()
        }

    def account(self, plugin: str) -> str | None:
        """The account of a plugin, its own or that of the one it inherits from."""
        return self._of.get(plugin) or self._of.get(parent(plugin))

    def pool(self, tap: str, target: str) -> str | None:
        """The pool of a task: what limits a delivery is who receives, else who is read."""
        return self.account(target) or self.account(tap)

    def check(self, pool: str) -> None:
        """Tasks of a pool without slots would wait for ever, and nothing would say why.

        Raises:
            WrongError: It has none.
        """
        slots = self._pools[pool]["slots"]
        if not isinstance(slots, int) or slots < 1:
            raise WrongError(
                f"The pool {pool} has no slots: give it at least 1 in pools.json, and run"
                " `airflow pools import orchestrate/airflow/pools.json`."
            )

    def share(self, plugin: str) -> int | None:
        """Requests a minute of one process: the account's, shared by all that may run at once.

        Raises:
            WrongError: Less than one a minute is left for each.
        """
        account = self.account(plugin)
        limit = self._pools[account].get("requests_per_minute") if account else None
        if not limit or account is None:
            return None
        processes = self._processes.get(account, 1)
        if limit < processes:
            raise WrongError(
                f"{processes} runs may use the account {account} at once, but it allows {limit}"
                " requests a minute: lower the slots in pools.json."
            )
        return int(limit // processes)


def parent(plugin: str) -> str:
    """The plugin that another inherits from, by Meltano's convention ``parent--name``."""
    return plugin.partition("--")[0]


def settings_of(plugin: str, project: Path) -> set[str]:
    """The names of a plugin's settings, from Meltano's lock of it; empty without a lock."""
    return {
        setting["name"]
        for lock in (project / "plugins").glob(f"*/{parent(plugin)}--*.lock")
        for setting in json.loads(lock.read_text(encoding="utf-8"))["settings"]
    }


def check_dates(tap: str, project: Path) -> None:
    """A past is read from a tap that can be asked for a span of time.

    Raises:
        WrongError: This one can't.
    """
    if not settings_of(tap, project) >= DATES:
        raise WrongError(f"{tap} has no start_date and end_date: what it reads has no past.")


def has_summary(target: str, project: Path) -> bool:
    """Whether a target counts what became of the calls: those that deliver to vendors do."""
    return "ledger_url" in settings_of(target, project)


@dataclass(frozen=True)
class Command:
    """A command line, and what its environment has in addition."""

    line: tuple[str, ...]
    env: Mapping[str, str]


def variable(plugin: str, setting: str) -> str:
    """The environment variable of a plugin's setting, as Meltano names it."""
    return re.sub(r"[^A-Z0-9]", "_", f"{plugin}_{setting}".upper())


def live(tap: str, target: str) -> Command:
    """From the bookmark to now."""
    return Command(("run", "--no-install", tap, target), {})


def past(job: str, tap: str, target: str, start: datetime, end: datetime) -> Command:
    """All of ``start`` (inclusive) to ``end`` (exclusive), whatever an earlier run of it did.

    ``--full-refresh``: a run that went on at the bookmark of an earlier one would not read the
    calls that the earlier one set aside, and would find nothing wrong. The ledger knows what was
    sent. ``--force``: Meltano's lock outlives a machine by five minutes, and the ledger holds.
    """
    state = f"past-{job}-{tap}-{start:%Y-%m-%d}"
    return Command(
        (
            *("el", "--no-install", "--force", "--full-refresh", f"--state-id={state}"),
            *(tap, target),
        ),
        {
            variable(tap, "start_date"): f"{start:%Y-%m-%dT%H:%M:%SZ}",
            variable(tap, "end_date"): f"{end:%Y-%m-%dT%H:%M:%SZ}",
        },
    )


def limits(pools: Pools, *plugins: str) -> dict[str, str]:
    """What each plugin of a task may ask of its account, as variables."""
    shares = {plugin: pools.share(plugin) for plugin in plugins}
    return {
        variable(plugin, "requests_per_minute"): str(share)
        for plugin, share in shares.items()
        if share
    }


def program(project: Path) -> tuple[str, ...]:
    """Meltano of the project, else of the PATH; killed with whoever started it, where Linux can.

    A Meltano that outlives its task goes on delivering, while the task runs again elsewhere.
    """
    own = project / ".venv" / "bin" / "meltano"
    meltano = str(own) if own.exists() else "meltano"
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", meltano) if setpriv else (meltano,)


def surroundings() -> dict[str, str]:
    """Our environment less the engine's own: plugins have no use for its keys and its database."""
    kept = {name: v for name, v in os.environ.items() if not name.lstrip("_").startswith("AIRFLOW")}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        kept.pop(name, None)
    # JSON: the level and the plugin of each line, and no line in two.
    return {"MELTANO_ENVIRONMENT": "prod", **kept, "MELTANO_CLI_LOG_FORMAT": "json"}
