"""What holds for all tests: the fast lane, the seed, what may be skipped, and how long each room took."""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from microrollup.limits import MEMORY_BYTES, use_no_linear_algebra

use_no_linear_algebra()
RECURSION_LIMIT = sys.getrecursionlimit()

SLOW = (
    "_native/test_both_paths", "_native/test_build",
    "based/", "cli/test_cli", "cli/test_demo",
    "cli/test_new", "client/", "deployment/", "explorer/", "house/test_benchmarks",
    "house/test_ci", "house/test_examples", "house/test_interpreters", "house/test_reference", "house/test_site",
    "house/test_soak", "house/test_system", "house/test_wheel", "keystore/test_accounts_forge",
    "keystore/test_axiom_chain", "keystore/test_bls_validator",
    "keystore/test_bundle", "keystore/test_chains", "keystore/test_configurations", "keystore/test_erc7562",
    "keystore/test_estimates", "keystore/test_explain", "keystore/test_keeper", "keystore/test_keystore_contracts",
    "keystore/test_l1_story", "keystore/test_outbox_chain", "keystore/test_paymaster", "keystore/test_plus_admission",
    "keystore/test_plus_chain", "keystore/test_plus_deploy", "keystore/test_plus_determinism",
    "keystore/test_plus_machine", "keystore/test_plus_one_time", "keystore/test_published", "keystore/test_resolver",
    "keystore/test_safe_owner", "keystore/test_signing_in", "keystore/test_smart_account_chain",
    "keys/", "keystore/test_story", "keystore/test_ucmt_chain", "keystore/test_ucmt_forge", "keystore/test_vault_chain",
    "keystore/test_vault_forge", "ledger/test_indexes", "maintenance/", "node/", "replication/", "rpc/",
    "segments/", "sequencer/test_envelope", "sequencer/test_fan_out", "sequencer/test_full",
    "sequencer/test_kill", "sequencer/test_upgrade", "settlement/",
    "store/test_environment", "verifier/",
)  # fmt: skip
"""Folders and files that run commands, nodes, L1, compilers or browsers: marked `slow`, left out by `-m "not slow"`."""

LONG = (
    "_native/test_both_paths", "cli/test_new", "client/test_js", "house/test_benchmarks", "house/test_examples",
    "house/test_interpreters", "house/test_pyright", "house/test_soak",
    "keystore/test_axiom_sdk", "keystore/test_l1_story", "keystore/test_sdk", "keystore/test_story",
    "node/test_ethereumjs", "node/test_l1_kill", "node/test_node_quorums", "node/test_on_call",
    "replication/test_failover", "settlement/test_artifacts", "settlement/test_inbox_contract",
)  # fmt: skip
"""Files of few tests that take a minute or two: they come first, or the last of them would keep one core waiting."""

TOGETHER = (
    ("explorer/",),
    ("keystore/test_bundled_", "keystore/test_bundler", "keystore/test_delegation", "keystore/test_estimates",
     "keystore/test_paymaster"),
    ("keystore/test_chains", "keystore/test_keeper"),
)  # fmt: skip
"""Files that share what takes long to start, as a browser, bundlers, three chains: they run in one process."""

MAY_BE_SKIPPED = ("third-party vectors", "CPython 3.", "there is no C compiler")
"""How the reasons begin for which a run in CI may skip a test. Anything else that is missing there fails it."""

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # else each of hundreds of processes would compile every module anew
    sys.dont_write_bytecode = False

settings.register_profile("same every time", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile("same every time")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """A process of tests holds what thousands of them left behind: a sequencer's bound of memory counts from there.

    The tests of the bound itself run in processes of their own.
    """
    held = count_private_bytes()
    for name in ("microrollup.cli.serving", "microrollup.deployment.importing"):
        if (module := sys.modules.get(name)) is not None and held > MEMORY_BYTES // 4:
            setattr(module, "MEMORY_BYTES", MEMORY_BYTES + held)  # noqa: B010 - of whatever module it is


def count_private_bytes() -> int:
    """What counts against RLIMIT_DATA; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmData"))


@pytest.fixture(autouse=True)
def python_s_own_recursion_limit() -> Iterator[None]:
    """Every test runs under CPython's recursion limit: importing `eth_account`, which some tests compare with, sets it
    to 100,000 for the whole process.
    """
    sys.setrecursionlimit(RECURSION_LIMIT)
    yield
    sys.setrecursionlimit(RECURSION_LIMIT)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file run in one process, in the order that the seed gives: what one file starts is started once,
    and the order does not depend on how fast the others are.
    """
    config.option.loadscopereorder = False
    scheduling = importlib.import_module("xdist.scheduler").LoadScopeScheduling(config, log)
    scheduling._split_scope = find_scope
    return scheduling


def find_scope(nodeid: str) -> str:
    """What runs in one process: a file, or several that are started together."""
    file = nodeid.removeprefix("tests/").split("::")[0]
    return next((files[0] for files in TOGETHER if file.startswith(files)), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow by where it stands; the longest files first, then those with the most tests."""
    counts = Counter(item.path for item in items)
    first = (*LONG, *chain.from_iterable(TOGETHER))
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(SLOW):
            item.add_marker("slow")
    items.sort(key=lambda item: (not item.nodeid.removeprefix("tests/").startswith(first), -counts[item.path]))


def refuse_skip(report: Any) -> None:
    """In CI, a test that is skipped because something is missing has failed."""
    if report.outcome != "skipped" or hasattr(report, "wasxfail") or os.environ.get("CI") != "true":
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith(MAY_BE_SKIPPED):
        report.outcome, report.longrepr = "failed", f"skipped where CI=true: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Reports of tests."""
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Reports of modules, which skip all of their tests at once."""
    report = yield
    refuse_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how long the tests of each room took, over all processes, and how to repeat their order."""
    seconds: Counter[str] = Counter()
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        if hasattr(report, "duration") and report.nodeid.startswith("tests/"):
            seconds[report.nodeid.split("/")[1]] += report.duration
    rooms = " · ".join(f"{room} {spent / 60:.1f}" for room, spent in seconds.most_common())
    terminalreporter.write_line(f"minutes per room: {rooms}")
    seed = terminalreporter.config.getoption("randomly_seed", None)
    terminalreporter.write_line(f"the same order again: --randomly-seed={seed}")
