"""Runs what a page of the documentation shows: its Python, its files, its shell commands, its node.

A fenced block with a title is a file. A comment on the line above a block says how it is run:

    <!-- no run: REASON -->   it is not run
    <!-- run -->              it is run, where shell blocks are not run by themselves (outside the tutorial)
    <!-- background -->       shell: started, waited for until it listens, ended with the page
    <!-- node: APP -->        Python: before it, `microrollup run APP` is started, as if by a background block
    <!-- output -->           text: what the block before it has printed; `…` stands for anything

Ports 8650 to 8699 stand for free ones, the same on a whole page.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from paths import ROOT
from ports import find_port

__all__ = ["Block", "PageRunner", "read_blocks"]

_FENCE: Final = re.compile(
    r"(?:^<!-- (?P<marker>[^\n]*?) -->\n)?"
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_PORT: Final = re.compile(r"\b86[5-9][0-9]\b")
_SECONDS: Final = 240
_MODULE: Final = "page"


class Block(msgspec.Struct, frozen=True):
    """One fenced block."""

    line: int
    language: str
    text: str
    title: str | None
    marker: str


def read_blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [
        Block(
            text.count("\n", 0, found.start("text")) + 1,
            found["language"],
            found["text"],
            found["title"],
            found["marker"] or "",
        )
        for found in _FENCE.finditer(text)
    ]


class PageRunner:
    """One directory, one namespace, one event loop; what it started ends with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        module = ModuleType(_MODULE)
        sys.modules[_MODULE] = module  # where annotations of the page's classes are looked up
        self.namespace: dict[str, Any] = vars(module)
        self._hidden: dict[str, ModuleType] = {}
        self._ports: dict[str, str] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._loop = asyncio.Runner()
        self._printed = ""
        self._write_commands(directory.parent / f"{directory.name}-bin")

    def run(self, text: str, *, commands: bool) -> None:
        """Run a page's blocks; `commands` if its shell blocks run without being marked."""
        for block in read_blocks(_PORT.sub(lambda found: self._choose_port(found[0]), text)):
            if not block.marker.startswith("no run: "):
                self._run_block(block, commands=commands)

    def close(self) -> None:
        """End all processes and forget the page's modules."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=_SECONDS)
        self._loop.close()
        sys.modules.pop(_MODULE, None)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(self.directory)):
                del sys.modules[name]
        sys.modules.update(self._hidden)

    def _hide(self, name: str) -> None:
        """Set aside what other tests have imported by a name that a file of the page has, until the page is done."""
        for each, module in list(sys.modules.items()):
            own = str(getattr(module, "__file__", None)).startswith(str(self.directory))
            if each.partition(".")[0] == name and not own:
                self._hidden[each] = sys.modules.pop(each)

    # Blocks

    def _run_block(self, block: Block, *, commands: bool) -> None:
        if block.title is not None:
            path = self.directory / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            self._hide(block.title.removesuffix(".py").partition("/")[0])
        if block.marker.startswith("node: "):
            self._start(f"microrollup run {block.marker.removeprefix('node: ')} --data node --block-time 100ms")
        match block.language:
            case "python" if block.title is not None and block.title.startswith("test_"):
                command = f"python -m pytest -q -p no:cacheprovider {shlex.quote(block.title)}"
                self._printed = self._run_shell(f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {command}")  # half of a short run
            case "python":
                self._printed = self._run_python(block)
            case "sh" if block.marker == "background":
                self._start(block.text)
            case "sh" if commands or block.marker == "run":
                self._printed = self._run_shell(block.text)
            case _ if block.marker == "output":
                self._compare(block)
            case _:
                pass

    def _run_python(self, block: Block) -> str:
        """Execute in the page's namespace, `await` included; a file is a module whose names the page then has."""
        out = io.StringIO()
        with contextlib.chdir(self.directory), contextlib.redirect_stdout(out), _path(self.directory):
            if block.title is not None:
                importlib.invalidate_caches()
                module = importlib.import_module(block.title.removesuffix(".py").replace("/", "."))
                self.namespace.update(vars(module))
            else:
                source = "\n" * (block.line - 1) + block.text
                code = compile(source, "page.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
                outcome = eval(code, self.namespace)  # noqa: S307  (what pages show)
                if inspect.iscoroutine(outcome):
                    self._loop.run(outcome)
        return out.getvalue()

    def _run_shell(self, text: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(
            command, cwd=self.directory, env=self._environment, capture_output=True, timeout=_SECONDS, check=False
        )
        assert 0 == done.returncode, f"{text}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return done.stdout.decode()

    def _compare(self, block: Block) -> None:
        pattern = "[^\n]*".join(re.escape(part) for part in block.text.strip().split("…"))
        shown = "\n".join(line.rstrip() for line in self._printed.strip().splitlines())
        assert re.fullmatch(pattern, shown), f"line {block.line} shows\n{block.text}\nand it prints\n{shown}"

    # Processes

    def _start(self, text: str) -> None:
        """Start a command that serves, and wait until its port, 8650's stand-in, takes connections."""
        port = int(self._choose_port("8650"))
        log = self.directory.parent / f"{self.directory.name}-{port}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {text.strip()}"],
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        deadline = time.monotonic() + _SECONDS
        while not _listens(port):
            assert process.poll() is None, f"{text}\n{log.read_text()}"
            assert time.monotonic() < deadline, f"nothing listens: {text}"
            time.sleep(0.05)

    def _choose_port(self, shown: str) -> str:
        """A free port for one that the page shows."""
        if shown not in self._ports:
            self._ports[shown] = str(find_port())
        return self._ports[shown]

    def _write_commands(self, directory: Path) -> None:
        """`microrollup` and `python` as an activated environment has them; `run` takes the page's port."""
        directory.mkdir()
        python, port = shlex.quote(sys.executable), self._choose_port("8650")
        lines = {
            "python": f'exec {python} "$@"',
            "microrollup": f'if [ "$1" = run ]; then shift; set -- run --port {port} "$@"; fi\n'
            f'exec {python} -m microrollup "$@"',
        }
        for name, text in lines.items():
            (directory / name).write_text(f"#!/bin/sh\n{text}\n")
            (directory / name).chmod(0o755)
        self._environment = {
            **os.environ,
            "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }


@contextlib.contextmanager
def _path(directory: Path) -> Iterator[None]:
    """What is in the page's directory can be imported."""
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
