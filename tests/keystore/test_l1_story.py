"""The whole way on L1, each part a process of its own: deployed, used, verified by two of three, settled in blobs,
the operator gone with its data, rebuilt from L1 alone, proven, and gone on with.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apps.keystore
from based_chain import DEPTH, command, run_based_chain
from command_line import APP, EXPECTED, LINES
from l1_node_fixtures import Command, Node, RollupSite, Zygote, get_address, run_chain, run_command
from l1_proxy import _post, run_proxy
from microrollup.cli import main
from microrollup.deployment.attesting import gather_attestations
from microrollup.testing.settlement_harness import VERIFIER_KEYS
from microrollup.verifier.based import ATTESTED_BLOCKS
from ports import find_port
from waiting import wait_for

GROUP = 250


def write_keys(root: Path) -> list[Path]:
    """The keys of three verifiers."""
    paths = [root / f"verifier-{number}.key" for number in range(3)]
    for path, key in zip(paths, VERIFIER_KEYS, strict=True):
        path.write_text(key.secret.hex())
    return paths


@contextmanager
def follow(site: RollupSite, node: Node, key: Path, directory: Path) -> Iterator[Command]:
    """A verifier on a machine of its own, as far as the node can tell, that hands its attestations back."""
    arguments = ["--from", node.info["url"], "--l1-url", site.chain.proxy.url, "--inbox", site.inbox, "--key", key]
    with closing(site.start("verify", APP, *arguments, "--data", directory, "--follow", "--json")) as command:
        yield command


def submit_wallet_file(site: RollupSite, node: Node) -> None:
    """Two thousand actions that wallet libraries signed."""
    for first in range(0, len(LINES), GROUP):
        site.acks += [answer["ack"] for answer in node.submit(*LINES[first : first + GROUP])]


@contextmanager
def run_without_beacon(site: RollupSite) -> Iterator[str]:
    """An L1 node that answers JSON-RPC, and has no blobs."""
    with run_proxy("http://127.0.0.1:1") as proxy:
        target = site.chain.anvil.url
        proxy.answer = lambda body: _post(target, body)  # type: ignore[method-assign]
        yield proxy.url


def rebuild(site: RollupSite, archive: Path) -> Path:
    """Derive twice: with blobs of L1's beacon API, and with those of the archive only; the second one's store."""
    reports = [site.derive(site.root / "with-beacon", "--blobs", site.chain.anvil.url)]
    with run_without_beacon(site) as url:
        arguments = ["verify", APP, "--from-l1", url, "--inbox", site.inbox]
        assert 2 == main([*map(str, arguments), "--data", str(site.root / "without-blobs")])
        reports.append(run_command(*arguments, "--data", site.root / "with-archive", "--blobs", archive))
    first, second = [
        {name: report[name] for name in ("verified", "actions", "stateRoot", "blockHash")} for report in reports
    ]
    assert first == second
    assert (len(LINES), EXPECTED["stateRoot"]) == (second["actions"], second["stateRoot"])
    return site.root / "with-archive" / "store"


def read_status(site: RollupSite) -> dict[str, Any]:
    """What L1 alone says."""
    found: dict[str, Any] = run_command("status", "--l1-url", site.chain.anvil.url, "--inbox", site.inbox)
    return found


def use(site: RollupSite, keys: list[Path], elsewhere: Path) -> int:
    """The wallet file through a node that is killed once: the verifier elsewhere has attested the batch by then, and
    hands this to the next node as well, whose own verifier makes it a quorum.
    """
    port = find_port()
    with site.run("--port", port) as node, follow(site, node, keys[1], elsewhere) as verifier:
        submit_wallet_file(site, node)
        assert verifier.read()["rollupId"] == node.info["rollupId"]
        wait_for(lambda: any(report["attestations"] for report in verifier.read_all()))
        node.command.kill()
        with site.run("--port", port, "--verifier-key", keys[0]) as again:
            height = again.wait_until_settled()
            assert (0, 0) == (verifier.stop(), again.command.stop())
    return height


def prove(store: Path, root: str) -> None:
    """Proofs of an account and of an absent one, against the root that the inbox returns."""
    for name, exists in (("sampleAccounts", True), ("sampleAbsentKeys", False)):
        proof = run_command("prove", APP, EXPECTED[name][0]["key"], "--data", store)
        assert (exists, root) == (proof["exists"], proof["stateRoot"])


def test_the_whole_way(tmp_path: Path, capfd: Any) -> None:
    """Every action of the wallet file is settled in blobs by two of three verifiers, one of them elsewhere; L1 and DA
    give the same state without the operator, down to a proof against the root that the inbox returns; a new operator
    begins with a snapshot of that, and the rollup goes on settling.
    """
    keys = write_keys(tmp_path)
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path, chain, zygote)
        verifiers = [f"--verifier={get_address(key)}" for key in VERIFIER_KEYS]
        assert 2 == site.deploy(*verifiers, "--zero-domain", depth=4)["quorum"]
        height = use(site, keys, tmp_path / "elsewhere")
        assert EXPECTED["stateRoot"] == site.read_root() == read_status(site)["l1"]["settledRoot"]
        batches = site.read_settled()
        assert [2] * len(batches) == [len(event.signatures) // 65 for event in batches]
        assert all(event.in_blobs for event in batches)

        builder, archive = tmp_path / "builder.key", tmp_path / "archive"
        (site.data / "keys" / "builder.key").rename(builder)
        (site.data / "blobs").rename(archive)
        shutil.rmtree(site.data)
        shutil.rmtree(tmp_path / "elsewhere")
        store = rebuild(site, archive)
        prove(store, site.read_root())

        file = tmp_path / "settled.snapshot"
        run_command("snapshot", APP, "--data", store, "--out", file)
        arguments = ["--l1-url", chain.proxy.url, "--inbox", site.inbox, "--l1-depth", 4, "--blobs", chain.proxy.url]
        restored = run_command("restore", APP, "--data", site.data, "--from", file, *arguments)
        assert (height, EXPECTED["stateRoot"]) == (restored["height"], restored["stateRoot"])
        (site.data / "keys").mkdir()
        shutil.copy(builder, site.data / "keys")
        site.domain = apps.keystore.app.make_domain()
        options = ["--verifier-key", keys[0], "--clock", "l1", *arguments]
        with site.run(*options) as node, follow(site, node, keys[2], tmp_path / "again"):
            assert 4 == len(site.submit(node, 4))
            newest = node.wait_until_settled()
            assert height < newest
            header, parent = [node.call("getHeader", height=each) for each in (newest, height)]
            origin = chain.anvil.call("eth_getBlockByNumber", hex(header["l1Origin"]), False)
            assert max(int(origin["timestamp"], 16), parent["timestamp"]) == header["timestamp"]
            site.check_settled_once(node)
            assert 0 == node.command.stop()
        assert EXPECTED["stateRoot"] != site.read_root()


def test_the_whole_way_without_a_builder(tmp_path: Path) -> None:
    """The same wallet file through a based rollup: a relayer carries it, two verifiers derive and attest, anybody
    settles, and the root is the one that the rollup with a builder has. A proof comes from a verifier's store.
    """
    actions = tmp_path / "actions.jsonl"
    actions.write_bytes(b"".join(LINES))
    with run_based_chain(APP, tmp_path, "--zero-domain") as chain:
        code, sent, said = command(
            "relay", APP, actions, "--plan", tmp_path / "plan", "--key", chain.anybody, *chain.at
        )
        assert (0, len(LINES), []) == (code, sent["actions"], sent["refused"]), said
        chain.anvil.mine(ATTESTED_BLOCKS + DEPTH + 1)
        with chain.verify(0) as one, chain.verify(2) as two:
            wait_for(lambda: len(gather_attestations([one, two])[0]) == 2)
            code, settled, said = chain.settle(one, two)
        assert (0, EXPECTED["stateRoot"]) == (code, settled["stateRoot"]), said
        assert sent["carriers"] == chain.l1.get_settled().forced_count
        prove(tmp_path / "verifier 0" / "store", f"0x{chain.l1.get_settled().state_root.hex()}")
