"""The benchmarks run, on sizes at which no figure means anything: every row is there with its limit and target."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from rich.console import Console

from apps.keystore import app
from benchmarks.__main__ import main, run
from benchmarks.context import FULL, TINY, Bench
from benchmarks.counting import count_keccaks
from benchmarks.history import MEASURED, append_run, draw_history, make_run, make_table, read_history, write_table
from benchmarks.installing import find_closure
from benchmarks.measure import compare
from benchmarks.plot import write_png
from benchmarks.report import Report, Row, describe_cpu, make_ratio_row, make_size_row, print_report, write_json
from benchmarks.rows import ROWS
from benchmarks.signing import sign_senders
from benchmarks.stackr_peer import SDK, PeerUnavailable, install_sdk
from benchmarks.stores import build_store, create_genesis
from benchmarks.workload import ACTIONS_PER_SENDER, Population
from l1_fixtures import find_tool
from microrollup.crypto import keccak
from microrollup.crypto.merkle import indexed
from microrollup.execution.authentication import Authenticator
from microrollup.ledger.ledger import Ledger
from microrollup.store.tables import get_receipt

BUDGETS = [
    ("execution", "60 % Register", "bare fold", 0.5),
    ("end-to-end", "400 accounts in the store, in Python, beside C", "recovery and address in C, same cores", 0.28),
    ("end-to-end", "400 accounts in the store, native, beside C", "recovery and address in C, same cores", 0.34),
    ("end-to-end", "400 accounts in the store, in Python, CPU", "-", 110.0),
    ("end-to-end", "400 accounts in the store, native, CPU", "-", 90.0),
    ("end-to-end", "empty store, native, beside the wrapper", "bare recovery, same cores", 0.35),
    ("state-root", "tree of a block", "bare keccaks", 0.4),
    ("growth", "cost per action", "flat", 2.0),
    ("replay", "log into an empty store, signatures checked, in Python", "bare recovery, same cores", 0.38),
    ("replay", "log into an empty store, signatures checked, native", "bare recovery, same cores", 0.45),
    ("growth", "the writer's CPU per action", "flat", 2.0),
    ("deferred", "written per action, large store", "-", 9.0),
    ("native", "state root of 20 updates, durable, in Python", "-", 25.0),
    ("native", "state root of 20 updates, durable, native", "-", 18.0),
    ("node", "one client alone at C0, into a new store, CPU", "-", 700.0),
    ("node", "one client alone at C0, into a new store, p50", "-", 0.8),
    ("opening", "clean", "-", 1.0),
    ("opening", "after kill -9", "-", 1.0),
    ("memory", "importing", "-", 200.0),
    ("memory", "log of", "-", 200.0),
    ("proof", "inclusion, newest height", "-", 1.0),
]
"""The rows that the budgets name: group, part of the description, limit, target."""

DURABLE = ["balances", "end-to-end", "state-root", "growth", "deferred", "replay", "stackr"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One tiny run of every row."""
    bench = Bench(tmp_path_factory.mktemp("bench"), TINY, 1, lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(Path(find_tool("anvil")).parent), prepend=":")  # what the rows of L1 start
        return run(bench, tuple(ROWS), quick=True)


def find_row(report: Report, name: str, what: str) -> Row:
    """The one row of that group whose description holds `what`."""
    found = [row for row in report.rows if row.name == name and what in row.what]
    assert 1 == len(found), (name, what)
    return found[0]


@pytest.mark.parametrize(("name", "what", "limit", "target"), BUDGETS)
def test_every_budget_has_its_row(report: Report, name: str, what: str, limit: str, target: float) -> None:
    """Each budget is measured, beside the limit it is held against, with its target."""
    row = find_row(report, name, what)
    assert (limit, target) == (row.limit_name, row.target)
    assert row.ours > 0
    assert row.verdict in ("met", "below")


@pytest.mark.parametrize(
    ("what", "target"), [("from microrollup import Client", 200.0), ("verify of two blocks", 600.0)]
)
def test_starting_is_held_against_cpu(report: Report, what: str, target: float) -> None:
    """What a process takes before it does anything is in CPU, beside an interpreter that imports nothing."""
    row = find_row(report, "imports", what)
    assert (target, "ms, bare") == (row.target, row.limit_name[-8:])
    assert row.ours == pytest.approx(1e-3 * sum(row.cpu.values()))


def test_rows_name_accounts_and_cpu_of_each_process(report: Report) -> None:
    """Every figure of time or growth says for how many accounts it is, and what each process took of CPU."""
    for row in report.rows:
        if row.unit in ("us", "ms", "s", "x", "KB"):
            assert row.cpu, row.headline
            assert all(microseconds >= 0 for microseconds in row.cpu.values()), row.headline
            assert "accounts" in row.headline or "store" in row.headline or row.name == "imports", row.headline
    assert {"node", "verifier", "clients"} <= find_row(report, "node", "the same singly: WebSocket").cpu.keys()
    assert "workers 1.5 s, node 20 ms, verifier 3 us" == describe_cpu({"workers": 1.5e6, "node": 2e4, "verifier": 3.0})


@pytest.mark.parametrize("name", ["replay", "l1", "export", "end-to-end"])
def test_checked_signatures_stand_beside_both_limits(report: Report, name: str) -> None:
    """What checks signatures is held against bare recovery from Python, and against recovery and address in C."""
    limits = {row.limit_name for row in report.rows if row.name == name}
    assert {"bare recovery, same cores", "recovery and address in C, same cores"} <= limits


def test_every_group_gives_rows(report: Report) -> None:
    """Each name that `--only` takes gives at least one row, under that name, in the table's order."""
    assert list(ROWS) == list(dict.fromkeys(row.name for row in report.rows))


def test_l1_rows(report: Report) -> None:
    """Each kind of data has its gas by batch size, and derivation stands beside bare recovery."""
    sizes = [f"{size:,} actions in {da}" for da in ("blobs", "calldata") for size in TINY.settled]
    for what in sizes:
        row = find_row(report, "l1", what)
        assert "gas" == row.unit
        assert ("131,072 of blobs" in row.note) == ("blobs" in what)
    assert "bare recovery, same cores" == find_row(report, "l1", "checked, native").limit_name


def test_limits_are_measured_in_the_same_run(report: Report) -> None:
    """A ratio is the measured limit over our own figure, and is there for every row that is held against a path."""
    for row in report.rows:
        if row.higher_is_better:
            assert row.limit is not None
            assert row.limit / row.ours == pytest.approx(row.score)


@pytest.mark.parametrize("name", DURABLE)
def test_durable_figures_stand_beside_sync_latency(report: Report, name: str) -> None:
    """Every row of durable work carries the disk's own sync latency, median and 90th percentile."""
    rows = [row for row in report.rows if row.name == name]
    assert all(row.fsync is not None and 0 < row.fsync.p50_us <= row.fsync.p90_us for row in rows)


def test_peer_that_is_not_there_is_named(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our figure stands alone where Stackr's SDK is not measured, and the row says why."""
    row = find_row(report, "stackr", f"{TINY.stackr[0]} accounts")
    assert row.limit is None
    assert f"{SDK} is not measured: left out" in row.note
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PeerUnavailable, match="npm is not installed"):
        install_sdk()


def test_install_counts_what_is_required() -> None:
    """A plain install is what the package requires, and what that does; extras are not of it."""
    found = find_closure("microrollup")
    assert {"microrollup", "numpy", "uvicorn", "h11", "cffi"} <= found
    assert {"pytest", "eventsourcing", "ckzg", "pip"}.isdisjoint(found)


def test_growth_gives_a_curve(report: Report) -> None:
    """The growth row holds a point for each size of store, the large one last."""
    row = find_row(report, "growth", "cost per action")
    assert [*TINY.growth, TINY.accounts] == [accounts for accounts, _ in row.points]


def test_json_and_picture_are_written(report: Report, tmp_path: Path) -> None:
    """The JSON file holds every row with its verdict, and the picture is a PNG."""
    write_json(tmp_path / "results.json", report)
    write_png(tmp_path / "results.png", report)
    written = json.loads((tmp_path / "results.json").read_bytes())
    assert [row.verdict for row in report.rows] == [row["verdict"] for row in written["rows"]]
    assert {"cores", "cpu", "native", "python", "system"} == written["machine"].keys()
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_command_writes_results(tmp_path: Path) -> None:
    """The command prints the rows it was asked for, writes both files, and ends well whatever the figures are."""
    done = CliRunner().invoke(main, ["--quick", "--only", "imports", "--out", str(tmp_path / "out")])
    assert (0, None) == (done.exit_code, done.exception)
    assert "import microrollup" in done.output
    assert {"results.json", "results.png", "history.png"} == {path.name for path in (tmp_path / "out").iterdir()}


def test_history_is_kept_and_drawn(report: Report, tmp_path: Path) -> None:
    """A run is a line with each row's figures at a commit; the picture has a panel per row with a target."""
    path = tmp_path / "history.jsonl"
    assert [] == read_history(path)
    run = make_run(report)
    append_run(run, path)
    append_run(msgspec.structs.replace(run, commit="abc1234"), path)
    assert [run.commit, "abc1234"] == [kept.commit for kept in read_history(path)]
    assert {f"{row.name}: {row.what}" for row in report.rows} == read_history(path)[0].rows.keys()
    draw_history(tmp_path / "history.png", read_history(path))
    draw_history(tmp_path / "empty.png", [])
    assert (tmp_path / "history.png").stat().st_size > (tmp_path / "empty.png").stat().st_size


def test_measured_holds_the_recorded_targets(tmp_path: Path) -> None:
    """The page's table of targets is that of the newest recorded runs: met or missed, each with its commit."""
    assert make_table(read_history()) in MEASURED.read_text()
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- targets -->\nold\n<!-- end of targets -->\nb\n")
    write_table(read_history(), page)
    assert f"a\n<!-- targets -->\n\n{make_table(read_history())}\n<!-- end of targets -->\nb\n" == page.read_text()
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no marks"):
        write_table(read_history(), page)


def test_table_says_met_or_missed(report: Report) -> None:
    """A newer run's figure stands in the table, with its verdict and its commit."""
    run = make_run(report)
    name, row = next((name, row) for name, row in run.rows.items() if row.target == 0.5)
    older = msgspec.structs.replace(run, commit="0000000", rows={name: msgspec.structs.replace(row, score=0.5)})
    newer = msgspec.structs.replace(run, commit="1111111", rows={name: msgspec.structs.replace(row, score=0.49)})
    (line,) = make_table([older, newer]).splitlines()[2:]
    assert line.startswith(f"| {name}, {row.accounts} accounts | ")
    assert f"| {describe_cpu(row.cpu).replace(' us', ' µs')} | 0.5 |" in line
    assert line.endswith("| 0.5 | **missed** | `1111111` |")
    assert "| met | `0000000` |" in make_table([older])


def test_report_says_what_the_figures_are_worth(report: Report) -> None:
    """A busy machine and small sizes are said before the table, missed targets after it, in words."""
    rows = [make_size_row("x", "fast", 1.0, "ms", target=2.0), make_size_row("x", "slow", 3.0, "ms", target=2.0)]
    console = Console(width=200, record=True, file=StringIO())
    print_report(console, msgspec.structs.replace(report, rows=rows, load=9.0, quick=True))
    text = console.export_text()
    for part in ("Load average 9.0", "Small sizes", "1 of 2 targets met", "below target: x: slow"):
        assert part in text
    print_report(console, msgspec.structs.replace(report, rows=rows[:1], load=0.0, quick=False))
    text = console.export_text()
    assert "1 of 1 targets met" in text
    assert not {part for part in ("Load average", "Small sizes", "below target") if part in text}


def test_command_refuses_unknown_rows(tmp_path: Path) -> None:
    """A name that is no row is an error of use, and nothing is written."""
    done = CliRunner().invoke(main, ["--only", "nothing", "--out", str(tmp_path / "out")])
    assert 2 == done.exit_code
    assert not (tmp_path / "out").exists()


def test_full_sizes_are_those_of_the_budgets() -> None:
    """The full run has a million accounts, grows from a thousand, and updates a thousand in a block."""
    assert (1_000_000, 1_000, 1_000) == (FULL.accounts, FULL.growth[0], FULL.tree_updates)


@pytest.mark.parametrize(("ratio", "verdict"), [(0.3, "below"), (0.49, "below"), (0.5, "met"), (0.8, "met")])
def test_verdict_of_a_ratio(ratio: float, verdict: str) -> None:
    """A ratio meets its target from the target upwards."""
    found = compare(lambda _: 1.0, lambda _: ratio, 3)
    assert verdict == make_ratio_row("x", "x", found, limit_name="x", target=0.5).verdict


@pytest.mark.parametrize(("size", "verdict"), [(201.0, "below"), (200.0, "met"), (1.0, "met")])
def test_verdict_of_a_size(size: float, verdict: str) -> None:
    """A size meets its target from the target downwards."""
    assert verdict == make_size_row("x", "x", size, "MB", target=200.0).verdict


def test_rows_without_a_target_have_no_verdict() -> None:
    """What has no target is only reported."""
    assert "" == make_size_row("x", "x", 1.0, "ms").verdict


def test_repetitions_are_interleaved() -> None:
    """Both paths take turns, the one that begins changes, and medians shrug off one bad neighbour."""
    calls: list[str] = []

    def path(name: str, seconds: list[float]) -> float:
        calls.append(name)
        return seconds[calls.count(name) - 1]

    found = compare(lambda _: path("ours", [2.0, 90.0, 2.0]), lambda _: path("limit", [1.0, 1.0, 70.0]), 3)
    assert ["limit", "ours", "ours", "limit", "limit", "ours"] == calls
    assert (2.0, 1.0, 0.5) == (found.ours, found.limit, found.ratio)


def test_keccaks_are_counted_and_left_alone_afterwards() -> None:
    """Calls through a module's own name are counted with their lengths; then the modules are as they were."""
    before = keccak.keccak256
    with count_keccaks() as count:
        indexed.compute_tree_key(0, bytes(32))
    assert [34] == count.sizes
    assert before is keccak.keccak256 is vars(indexed)["keccak256"]


def test_made_up_actions_execute(tmp_path: Path) -> None:
    """Every made-up action finds its nonce and its account as they must be: all receipts say executed."""
    build_store(tmp_path / "store", 12, block_size=5)
    with Ledger.open(tmp_path / "store", app) as ledger:
        assert 12 == ledger.next_seq
        assert [0] * 12 == list(read_statuses(ledger))


def read_statuses(ledger: Ledger) -> Iterator[int]:
    """The status of every receipt in the store."""
    for seq in range(ledger.next_seq):
        raw = get_receipt(ledger.environment.reader, ledger.environment.tables, seq)
        assert raw is not None
        yield raw[raw.index(b"\xc4\x20") + 34]


def test_mixed_actions_keep_nonces_consecutive() -> None:
    """A population's mix counts each sender's nonces on from what its store was built with."""
    population = Population(2 * ACTIONS_PER_SENDER)
    seen: dict[bytes, int] = {}
    for action in population.make_mix(50):
        if action.sender in seen:
            assert seen[action.sender] + 1 == action.nonce
        seen[action.sender] = action.nonce
    assert len(seen) > 2


def test_signed_lines_authenticate() -> None:
    """Signed lines recover to as many senders as signed them, each with consecutive nonces."""
    domain = create_genesis().domain
    authenticator = Authenticator(app.action_types, domain)
    found = [authenticator.authenticate_line(line) for line in sign_senders((3, 2)).lines]
    assert 2 == len({action.sender for action in found})
    assert [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] == [action.nonce for action in found]
