"""A process that forks importing processes and kills them; `test_kill.py` starts it and talks to it in JSON lines.

A fork of a process that has everything imported begins its work within milliseconds, so that a hundred kills hit the
work and not Python's start. What runs is the command line's own import, in small groups. The process that forks has
no store open.

    {"arguments": [...], "seconds": 0.1 or null, "output": path} -> exit code, or minus the signal's number
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys

import apps.keystore
from microrollup.cli import main
from microrollup.deployment import importing


def run(arguments: list[str], output: str) -> int:
    """The command line in this process; its exit code."""
    with open(output, "wb") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
    sys.argv = ["microrollup", *arguments]
    try:
        main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def serve(group_size: int) -> None:
    """Run one request after the other until standard input ends."""
    importing.CHUNK_SIZE, importing.GROUP_CHUNKS = group_size, 1
    assert apps.keystore.app.name == "keystore"
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                code = run(request["arguments"], request["output"])
                sys.stdout.flush()
                os._exit(code)
            finally:
                os._exit(99)
        handle = os.pidfd_open(child)
        select.select([handle], [], [], request["seconds"])
        signal.pidfd_send_signal(handle, signal.SIGKILL if request["seconds"] is not None else 0)
        os.close(handle)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve(int(sys.argv[1]))
