"""The project on this machine: Meltano in this checkout, against the vendors of the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
# Where Meltano installs plugins; .meltano without it.
PLUGINS_FOLDER = "MELTANO_SYS_DIR_ROOT"
RECORDINGS = "recordings"  # below the project's folder, and at the sandbox
# Who is on the line is watched for minutes; here one look is enough.
ONE_LOOK = {"TAP_INVOCA_CALLS__WAREHOUSE_WATCH_SECONDS": "0"}
# What the sandbox has.
CALLS = 600
DAYS = 30
HOURS = 24  # that are to pass until now


def _recordings(folder: Path, url: str) -> dict[str, str]:
    """Settings: recordings are kept in a folder, which the sandbox serves, and by two pipelines."""
    place = (folder / RECORDINGS).as_uri()
    return {
        "TAP_IOVOX__INVOCA_RECORDINGS_URL": place,
        "TAP_IOVOX__WAREHOUSE_RECORDINGS_URL": place,
        "TARGET_INVOCA_CALLS__IOVOX_RECORDINGS_URL": place,
        "TARGET_INVOCA_CALLS__IOVOX_RECORDINGS_STORAGE": json.dumps(
            {"served_at": f"{url}/{RECORDINGS}"}
        ),
    }


class Project:
    """Meltano in this checkout, its state, ledger and files in a folder of their own.

    It reads .env.example, and nothing of the user's; the sandbox has credentials of its own.

    Args:
        folder: Made if need be.
        url: The sandbox.
        variables: Instead of, or in addition to, those of .env.example.
    """

    def __init__(self, folder: Path, url: str, **variables: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        ours = {
            "SANDBOX_URL": url,
            "LEDGER_URL": f"sqlite:///{folder / 'calls.ledger.db'}",
            "REJECTED_PATH": str(folder / "rejected"),
            "OUTPUT_PATH": str(folder / "output"),
        }
        settings = dict(line.split("=", 1) for line in example if line and line[0] != "#")
        lines = [f"{name}={value}\n" for name, value in (settings | ours | variables).items()]
        (folder / "env").write_text("".join(lines), encoding="utf-8")
        known = (*settings, "MELTANO_", "TAP_", "TARGET_")
        self.environment = {
            **{
                k: v
                for k, v in os.environ.items()
                if k == PLUGINS_FOLDER or not k.startswith(known)
            },
            "MELTANO_DATABASE_URI": f"sqlite:///{folder / 'meltano.db'}",
            "XDG_STATE_HOME": str(folder / "log"),
            "NO_COLOR": "1",
            # Compiling all of an environment takes longer than what a few runs import of it.
            "UV_COMPILE_BYTECODE": "0",
            **ONE_LOOK,
            **_recordings(folder, url),
        }

    def meltano(
        self, *arguments: str, heard: Callable[[str], None] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Meltano; its log, standard output and error together, is ``stdout``.

        Args:
            arguments: Of the command.
            heard: Gets each line of the log when it comes.
            environment: More variables.
        """
        command = [str(BIN / "meltano"), f"--env-file={self.folder / 'env'}", *arguments]
        lines = []
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            for line in process.stdout or ():
                lines.append(line)
                if heard:
                    heard(line)
        return subprocess.CompletedProcess(command, process.returncode, "".join(lines))


def free_port(wanted: int) -> int:
    """The port itself, or the next one that nobody listens on."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if port != wanted:
                    print(f"Port {wanted} is taken, {port} is used.")
                return port
    sys.exit(f"Ports {wanted} to {wanted + 99} are taken: name another with PORT=...")


@contextlib.contextmanager
def sandbox(port: int, folder: Path) -> Iterator[str]:
    """The vendors, while the block runs; yields their address."""
    log = (folder / "sandbox.log").open("w", encoding="utf-8")
    serve = ["serve", f"--port={port}", f"--calls={CALLS}", f"--days={DAYS}", f"--now={HOURS}h-ago"]
    serve.append(f"--recordings={folder / RECORDINGS}")
    command = [str(BIN / "call-sandbox"), *serve]
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            subprocess.run([str(BIN / "call-sandbox"), "wait", f"--port={port}"], check=True)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def ask(
    url: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Any:  # noqa: ANN401
    """JSON from the sandbox; with a body, a POST."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, dict(headers or {}))) as answer:  # noqa: S310 - loopback, our own
        return json.load(answer)
