"""What `microrollup ops` writes: valid, as far as that shows without containers, and started by the same commands."""

import json
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pydantic
import pytest
import yaml
from compose_pydantic import ComposeSpecification

from command_line import APP, LINES, CommandLine
from l1_fixtures import run_anvil
from microrollup.cli.run import cli
from microrollup.testing.anvil import DEV_KEYS
from node_fixtures import Caller
from process_fixtures import Process
from waiting import wait_for

PROGRAM = str(Path(sys.executable).absolute().parent / "microrollup")


@pytest.fixture(scope="module")
def anvil():
    with run_anvil("--hardfork", "osaka") as anvil:
        anvil.mine(3)
        yield anvil


@pytest.fixture
def command(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def site(command, anvil, tmp_path):
    """A rollup of two verifiers that was deployed, and its files in `ops`, with the secrets that they name."""
    (tmp_path / "payer.key").write_text(DEV_KEYS[0])
    ops, secrets = tmp_path / "ops", tmp_path / "ops" / "secrets"
    secrets.mkdir(parents=True)
    verifiers = [command.ask("keygen", secrets / f"verifier-{number}.key")["address"] for number in (1, 2)]
    made = command.ask(
        "deploy", APP, "--data", tmp_path / "data", "--l1-url", anvil.url, "--key", tmp_path / "payer.key",
        "--l1-depth", 1, "--fund", "1", "--quorum", 2, "--zero-domain",
        *[part for address in verifiers for part in ("--verifier", address)],
    )  # fmt: skip
    (secrets / "l1.url").write_text(anvil.url + "\n")
    (secrets / "replica.url").write_text(f"sqlite:{tmp_path / 'log.sqlite'}\n")
    written = command.ask("ops", APP, "--data", tmp_path / "data", "--to", ops)
    assert {str(ops / name) for name in (
        "keystore.service", "keystore-verifier.service", "Containerfile", "compose.yaml",
        "prometheus/prometheus.yml",
    )} <= set(written["files"])  # fmt: skip
    assert made["inbox"] in (ops / "compose.yaml").read_text()
    return tmp_path


def read_compose(site):
    return yaml.safe_load((site / "ops" / "compose.yaml").read_text())


def list_commands(site):
    """The command lines of compose's services that run our image, of the image itself, and of the units."""
    services = read_compose(site)["services"]
    found = {name: each["command"] for name, each in services.items() if each["image"] == "keystore-rollup"}
    lines = (site / "ops" / "Containerfile").read_text().splitlines()
    (entry,) = [json.loads(line.removeprefix("ENTRYPOINT ")) for line in lines if line.startswith("ENTRYPOINT ")]
    assert ["microrollup"] == entry
    (found["image"],) = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    for unit in sorted((site / "ops").glob("*.service")):
        (line,) = [each for each in unit.read_text().splitlines() if each.startswith("ExecStart=")]
        program, *found[unit.name] = shlex.split(line.removeprefix("ExecStart="))
        assert PROGRAM == program
    return found


def put_here(site, name, command):
    """A container's command line with the paths and the addresses of this machine."""
    own = site / ("data" if name in {"node", "seed", "image"} else name)
    places = {"/run/secrets": str(site / "ops" / "secrets"), "/data": str(own), "0.0.0.0": "127.0.0.1"}  # noqa: S104  # not here
    command = list(command)
    for here, there in places.items():
        command = [part.replace(here, there) if part.startswith((here, f"@{here}")) else part for part in command]
    return command


def test_every_command_line_is_one_of_ours(site):
    """Each is parsed as the command itself would: no option is unknown, no value wrong."""
    commands = list_commands(site)
    assert {"node", "seed", "verifier-1", "verifier-2", "follower", "image", "keystore.service"} <= set(commands)
    (site / "data-verifier").mkdir()
    shutil.copy(site / "ops" / "secrets" / "l1.url", site / "data-verifier" / "l1.url")
    for name, arguments in commands.items():
        with cli.make_context("microrollup", [*put_here(site, name, arguments)]) as ctx:
            command = cli.get_command(ctx, ctx._protected_args[0])
            rest = [*ctx._protected_args[1:], *ctx.args]
            if name == "seed":
                command, rest = command.commands[rest[0]], rest[1:]
            command.make_context(name, rest, parent=ctx).close()


def test_the_compose_file_is_one(site):
    """It keeps to the specification; what services name is declared, and files that they mount are written."""
    document = read_compose(site)
    known = {name: value for name, value in document.items() if not name.startswith("x-")}
    ComposeSpecification.model_validate(known)
    with pytest.raises(pydantic.ValidationError):
        ComposeSpecification.model_validate(known | {"services": {"node": {"no such": []}}})
    services = document["services"].values()
    for source in [each.partition(":")[0] for service in services for each in service.get("volumes", [])]:
        assert source in document["volumes"] or (site / "ops" / source).exists(), source
    for service in services:
        assert set(service.get("secrets", [])) <= set(document["secrets"])
        assert set(service.get("depends_on", {})) <= set(document["services"])
    scraped = yaml.safe_load((site / "ops" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0][
        "static_configs"
    ]
    commands = [command for command in list_commands(site).values() if "--allow-host" in command]
    allowed = [command[command.index("--allow-host") + 1] for command in commands]
    assert sorted(allowed) == sorted([each.partition(":")[0] for each in scraped[0]["targets"]])


def test_the_units_are_hardened(site):
    """Systemd takes them, and rates what they are kept from; the image's file has nothing that hadolint minds."""
    analyze, hadolint = shutil.which("systemd-analyze"), Path(PROGRAM).with_name("hadolint")
    if analyze is not None:
        for unit in sorted((site / "ops").glob("*.service")):
            for arguments in (["verify"], ["security", "--offline=true", "--threshold=20", "--no-pager"]):
                done = subprocess.run([analyze, *arguments, unit], capture_output=True, text=True, check=False)
                assert 0 == done.returncode, done.stdout[-2_000:] + done.stderr
                assert unit.name not in done.stderr
    if hadolint.exists():
        done = subprocess.run([hadolint, site / "ops" / "Containerfile"], capture_output=True, text=True, check=False)
        assert (0, "") == (done.returncode, done.stdout)


def test_what_is_refused(site, command):
    """Nothing is overwritten; a rollup for development has no use for it; a path must mean the same in a unit."""
    data = site / "data"
    assert "exists already" in command.refuse("ops", APP, "--data", data, "--to", site / "ops")
    assert "microrollup deploy" in command.refuse("ops", APP, "--data", site / "none", "--to", site / "other")
    assert "has no place in a unit" in command.refuse(
        "ops", APP, "--data", data, "--to", site / "other", "--user", "%h"
    )
    (site / "with blank").symlink_to(data)
    assert "has no place in a unit" in command.refuse("ops", APP, "--data", site / "with blank", "--to", site / "other")
    (site / "a:b").symlink_to(data)
    assert "`:` ends a path" in command.refuse("ops", APP, "--data", site / "a:b", "--to", site / "other")
    assert not (site / "other").exists()
    (site / "other").mkdir()
    (site / "other" / "keystore.service").symlink_to(site / "none")
    assert "exists already" in command.refuse("ops", APP, "--data", data, "--to", site / "other")
    assert ["keystore.service"] == [path.name for path in (site / "other").iterdir()]
    around = site / "other" / ".." / "data"
    command.ask("ops", APP, "--data", around, "--to", site / "around")
    for name in ("keystore.service", "keystore-verifier.service", "compose.yaml"):
        assert (site / "ops" / name).read_text() == (site / "around" / name).read_text()


def test_the_same_commands_run_it(site, command, anvil):
    """The shared log is seeded, the node and two verifiers start, actions settle; SIGTERM leaves a clean store."""
    commands = list_commands(site)
    assert 1 == command.ask(*put_here(site, "seed", commands["seed"]))["records"]
    with ExitStack() as stack:
        arguments = [*put_here(site, "node", commands["node"]), "--port", 0, "--json"]
        node = stack.enter_context(closing(Process(*arguments, cwd=site)))
        url = node.read()["url"]
        caller = stack.enter_context(closing(Caller(None, int(url.rpartition(":")[2]))))
        wait_for(lambda: caller.get("/health", Host="node:8650")[0] == 200)
        assert caller.get("/metrics", Host="node:8650")[0] == 200
        follower = [part.replace("http://node:8650", url) for part in put_here(site, "follower", commands["follower"])]
        others = [stack.enter_context(closing(Process(*follower, "--port", 0, "--json", cwd=site)))]
        reader = stack.enter_context(closing(Caller(None, int(others[0].read()["url"].rpartition(":")[2]))))
        for name in ("verifier-1", "verifier-2"):
            (site / name).mkdir()
            arguments = [part.replace("http://node:8650", url) for part in put_here(site, name, commands[name])]
            others.append(stack.enter_context(closing(Process(*arguments, cwd=site))))
        acknowledged = [answer["ack"] for answer in caller.submit(*LINES[:20])]

        def is_settled():
            if caller.call("status")["l1"]["number"] == int(anvil.call("eth_blockNumber"), 16):
                anvil.mine(1)
            return caller.call("height")["settled"] >= acknowledged[-1]["height"]

        wait_for(is_settled)
        wait_for(lambda: reader.call("height")["latest"] >= acknowledged[-1]["height"])
        assert reader.get("/health", Host="follower:8650")[0] == 200
        for process in (*others, node):
            assert 0 == process.stop()[0]
    assert command.ask("scrub", "--data", site / "data", APP) is not None
