"""Commands around a blob archive: a node's blobs are brought there, and a stranger derives the rollup from it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from command_line import APP, CommandLine, cli
from l1_node_fixtures import RollupSite, Zygote, run_chain, run_command

__all__ = ["cli"]


def test_a_stranger_derives_from_a_served_archive(cli: CommandLine, tmp_path: Path) -> None:
    """`run --blob-archive`, `blobs push`, `blobs serve` and `verify --from-l1 --blobs`: L1 has forgotten the blobs, the
    node removed its own, and without the archive nothing can be derived.
    """
    with closing(Zygote()) as zygote, run_chain() as chain:
        site = RollupSite(tmp_path, chain, zygote)
        site.deploy(depth=2)
        with site.run("--blob-archive", site.data / "blobs") as node:
            site.submit(node, 4)
            node.wait_until_settled()
            header = node.call("getHeader")
            assert 0 == node.command.stop()
        chain.proxy.hides_blobs = True
        token = tmp_path / "token"
        token.write_text("a secret of the archive's")
        with closing(
            site.start("blobs", "serve", tmp_path / "archive", "--port", 0, "--token-file", token, "--json")
        ) as archive:
            url = archive.read()["url"]
            options = ("--from-l1", chain.proxy.url, "--inbox", site.inbox, "--l1-depth", 2, "--data", tmp_path / "own")
            assert "blob" in cli.refuse("verify", APP, *options, "--blobs", url)
            pushed = run_command(
                "blobs", "push", "--data", site.data, "--to", url, "--token-file", token, "--prune-after", "0s"
            )
            assert pushed["pushed"] == pushed["pruned"] >= 1
            report = run_command("verify", APP, *options, "--blobs", url)
        assert (header["height"], header["stateRoot"]) == (report["verified"], report["stateRoot"])
