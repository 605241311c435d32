"""Two DAGs for each job of meltano.yml that has a schedule.

    <job>        its schedule: from the bookmark to now, one run at a time
    <job>.past   no schedule of its own: a backfill makes one run for each span of its past

A task is one run of Meltano. What becomes of it says what became of the calls; README.md, What the
colours mean. All that needs no engine to be understood is in pipeline.py and verdict.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator, CronDataIntervalTimetable
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

sys.path.append(str(Path(__file__).parent))

import pipeline
from pipeline import Job, Pools, WrongError
from verdict import Log, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
STOP_SECONDS = 180  # a target waits for answers so long at most: request_timeout of Invoca is 120
PROJECT = Path(os.environ.get("MELTANO_PROJECT_ROOT") or Path(__file__).resolve().parents[3])
RETRIES = {
    "retries": 6,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=30),
}


class DeliverOperator(BaseOperator):
    """Runs one pair of tap and target, and becomes what the target says of its calls.

    Args:
        job: Its job.
        tap: The tap.
        target: The target.
        past: Whether the interval of the DAG's run is read, instead of what is new.
        env: In addition to the worker's.
        wrong: A sentence, if it is known already that this can't be run.
    """

    def __init__(
        self,
        *,
        job: str,
        tap: str,
        target: str,
        past: bool,
        env: Mapping[str, str],
        wrong: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job, self.tap, self.target, self.past = job, tap, target, past
        self.env = dict(env)
        self.wrong = wrong
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> None:
        """Run Meltano, show its log, judge its end; the counts of the calls are in XCom."""
        if self.wrong:
            raise AirflowFailException(self.wrong)
        command = pipeline.live(self.tap, self.target)
        if self.past:
            start, end = context["data_interval_start"], context["data_interval_end"]
            command = pipeline.past(self.job, self.tap, self.target, start, end)
        log = Log()
        code = self._run(command, log)
        task = context["ti"]
        task.xcom_push(key="calls", value=dict(log.counts))
        verdict, said = log.verdict(
            code,
            counted=pipeline.has_summary(self.target, PROJECT),
            again=self.past or task.try_number > 1,
        )
        if verdict is Verdict.WRONG or verdict is Verdict.ASIDE:
            raise AirflowFailException(said)
        if verdict is Verdict.PENDING and not self.past:
            raise AirflowSkipException(f"{said} The next run sends them.")
        if verdict is not Verdict.DONE:
            raise AirflowException(said)

    def _run(self, command: pipeline.Command, log: Log) -> int:
        line = [*pipeline.program(PROJECT), *command.line]
        self.log.info("%s", " ".join(line))
        with subprocess.Popen(
            line,
            cwd=PROJECT,
            env=pipeline.surroundings() | self.env | command.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # The supervisor kills the task's group five seconds after it asked it to stop. A
            # target may need longer for the answers it is owed: out of the group, it has it.
            start_new_session=True,
        ) as self._process:
            for told in self._process.stdout or ():
                if heard := log.hear(told):
                    level, text = heard
                    getattr(self.log, level, self.log.info)("%s", text)
        return self._process.returncode

    def on_kill(self) -> None:
        """Let the target take no more calls, and wait for the answers it is owed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        # `meltano run` passes the signal on, and a second one would end the target at once.
        # `meltano el` ends, and leaves a target that goes on: there all of them get it.
        (os.killpg if self.past else os.kill)(process.pid, signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        with suppress(ProcessLookupError):
            while time.monotonic() < end:
                process.poll()
                os.killpg(process.pid, 0)  # is anybody left?
                time.sleep(0.2)


def tasks(job: Job, pools: Pools, *, past: bool) -> None:
    """A task for each pair of a job's, side by side."""
    for tap, target in job.tasks:
        pool, env, wrong = pools.pool(tap, target), dict(job.env), ""
        try:
            if pool:
                pools.check(pool)
            if past:
                pipeline.check_dates(tap, PROJECT)
            env |= pipeline.limits(pools, tap, target)
        except WrongError as error:
            wrong, pool = str(error), None
        DeliverOperator(
            task_id=tap,
            pool=pool or "default_pool",
            priority_weight=1 if past else 100,  # a past waits while there is something new
            job=job.name,
            tap=tap,
            target=target,
            past=past,
            env=env,
            wrong=wrong,
            doc_md=wrong or f"`{tap}` to `{target}`",
            **RETRIES,
        )


# A sentence instead of a traceback in the page: schedules.json or pools.json is at fault.
_jobs = pipeline.read_jobs(pipeline.HERE / "schedules.json")
_pools = Pools(pipeline.HERE / "pools.json", _jobs)

for _job in _jobs:
    with DAG(
        _job.name,
        schedule=_job.cron,
        start_date=BEGIN,
        catchup=False,
        max_active_runs=1,
        tags=["calls"],
        doc_md=f"Meltano's job `{_job.name}`, from its bookmark to now.",
    ):
        tasks(_job, _pools, past=False)
    with DAG(
        f"{_job.name}.past",
        schedule=CronDataIntervalTimetable(_job.partition, timezone="UTC"),
        start_date=BEGIN,
        # A schedule that has ended: its intervals are for backfills, which a DAG without a schedule
        # can't have. Nothing runs here that nobody asked for, so there is nothing to switch on.
        end_date=BEGIN,
        catchup=False,
        allowed_run_types=["scheduled", "backfill"],
        is_paused_upon_creation=False,
        tags=["calls", "past"],
        doc_md=f"Meltano's job `{_job.name}` over spans of its past: `{_job.partition}`.",
    ):
        tasks(_job, _pools, past=True)
