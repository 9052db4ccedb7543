"""The keys page tells which chains know an account's present keys: three anvils, a node, and a browser."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode as abi_encode
from msgspec.structs import replace

from account_world import address_of, make_key
from apps.keystore import app
from apps.keystore.accounts import compute_account_key
from apps.keystore.chains import survey, surveys
from apps.keystore.proofs import proof_from_json
from apps.keystore.smart_account import (
    ENTRY_POINT,
    Configuration,
    UserOperation,
    compute_data,
    compute_user_operation_hash,
    configure_ecdsa,
    encode_signature,
    encode_user_operation_json,
    make_register,
    make_update,
    open_present,
    sign_ecdsa,
)
from browser_fixtures import CONTRAST, Browser
from chains_world import ChainsWorld, run_chains_world, run_command
from chromium import Chromium
from l1_proxy import L1Proxy, run_proxy
from microrollup.codec.json import hex0x
from microrollup.crypto.keccak import keccak256
from microrollup.testing.anvil import DEV_KEYS
from microrollup.testing.signing import sign_action
from node_fixtures import FAST, Caller, Site
from waiting import wait_for

FIRST, SECOND = configure_ecdsa(address_of("a phone")), configure_ecdsa(address_of("a newer phone"))
OWNER = address_of("a wallet")
KEY = compute_account_key(bytes(32), compute_data(FIRST), OWNER)
READ_INBOX, PUSH_ROOT = (keccak256(text)[:4] for text in (b"readInbox()", b"pushRoot()"))


class Scene:
    """A node that watches L1, an L2 through a proxy, a chain that is down, and one that never answers."""

    def __init__(self, world: ChainsWorld, proxy: L1Proxy, site: Site, caller: Caller, browser: Browser) -> None:
        self.world, self.proxy, self.caller, self.browser = world, proxy, caller, browser
        self._domain = site.genesis.domain
        self._nonce = 0

    def act(self, action: Any) -> None:
        """Have the owner sign an action, and wait until its block is closed."""
        (answer,) = self.caller.submit(sign_action(app, action, self._nonce, make_key("a wallet"), self._domain))
        assert "executed" == answer["ack"]["status"]
        self._nonce += 1
        wait_for(lambda: self.caller.call("height")["latest"] >= answer["ack"]["height"])

    def settle(self) -> None:
        """L1's inbox takes the newest root, and L1's contract of roots reads it."""
        header = self.caller.call("getHeader", height="latest")
        self.world.settle_on_l1(bytes.fromhex(header["stateRoot"][2:]), header["height"])
        self.world.show_l1()
        self.world.l1.send(self.world.plan.roots, READ_INBOX)

    def look(self, **wanted: str) -> dict[str, dict[str, str]]:
        """The page's rows by chain, once some of them are in these states."""
        request = {"jsonrpc": "2.0", "id": 1, "method": "keystore_chainsOf", "params": {"sender": hex0x(OWNER)}}

        def is_so() -> bool:
            answer = json.loads(self.caller.post(json.dumps(request).encode())[1])
            rows = answer.get("result", {"items": []})["items"]  # an index may not be there yet
            return wanted.items() <= {row["chain"]: row["state"] for row in rows}.items()

        wait_for(is_so)
        self.browser.open(f"#/page/keys/{hex0x(OWNER)}")
        rows = {row["chain"]: row for row in self.browser.read_sheet("chainsOf")}
        assert wanted.items() <= {name: row["state"] for name, row in rows.items()}.items()
        return rows


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainsWorld]:
    """Three chains, and the contracts on all of them."""
    with run_chains_world(tmp_path_factory.mktemp("chains")) as made:
        assert 0 == made.deploy()[0]
        yield made


@pytest.fixture(scope="module")
def scene(world: ChainsWorld, chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """All of it."""
    site = Site(tmp_path_factory.mktemp("keys"), "apps.keystore:app")
    patch = pytest.MonkeyPatch()
    patch.setattr(survey, "_FRESH_SECONDS", 0.3)
    options = replace(FAST, methods=("chains",))
    with (
        run_proxy(world.first.anvil.url) as proxy,
        socket.create_server(("127.0.0.1", 0)) as deaf,
        site.serve(options=options) as caller,
    ):
        urls = {
            "One": world.l1.anvil.url,
            "Two": proxy.url,
            "Down": "http://127.0.0.1:1",
            "Deaf": f"http://127.0.0.1:{deaf.getsockname()[1]}",
        }
        chains = [{"name": name, "url": url} for name, url in urls.items()]
        (site.root / "node" / "chains.json").write_text(json.dumps({"book": str(world.book), "chains": chains}))
        browser = Browser(chromium, f"{caller.url}/")
        yield Scene(world, proxy, site, caller, browser)
        chromium.get("about:blank")
        surveys.get_survey(site.root / "node").close()
        patch.undo()


def test_what_chains_know(scene: Scene, tmp_path: Path) -> None:
    """From the first root to a rotation that each chain hears of in its own time; the others hold nothing up."""
    world = scene.world
    scene.act(make_register(FIRST, bytes(32)))
    rows = scene.look(One="no root", Two="no root", Down="no answer", Deaf="no answer")
    assert {"does not answer"} == {row["that is"].removeprefix("its node ") for row in (rows["Down"], rows["Deaf"])}

    scene.settle()
    assert "first operation" in scene.look(One="ready", Two="no root")["One"]["that is"]
    key, accounts = tmp_path / "key", tmp_path / "accounts"
    key.write_text(DEV_KEYS[2])
    accounts.write_text(f"{hex0x(KEY)}\n")
    relay = [
        "relay", "--chain", world.urls[1], "--l1", world.urls[0], "--key", key, "--data", tmp_path / "relay",
        "--book", world.book, "--accounts", accounts, "--once",
    ]  # fmt: skip
    assert 0 == run_command(*relay)[0]
    scene.look(One="ready", Two="ready")
    for chain in (world.l1, world.first):
        world.create_accounts(chain, [KEY])
    rows = scene.look(One="current", Two="current")
    assert rows["One"]["newest block there"] == rows["One"]["account's block"] == str(world.height)
    assert all(rows["One"][name].endswith(("ago", "now")) for name in ("settled", "asked"))

    scene.act(make_update(KEY, SECOND, OWNER))
    scene.look(One="older", Two="older")
    scene.settle()
    scene.look(One="push", Two="older")
    world.l1.send(world.plan.get_account(KEY), PUSH_ROOT)
    scene.look(One="current", Two="older", Down="no answer")
    check_explanations(scene)
    check_lies(scene)


def check_explanations(scene: Scene) -> None:
    """One operation on every chain, an error, and what is neither: pasted into the page, with what to do next."""
    shown = proof_from_json(scene.caller.call("getProof", field="accounts", key=hex0x(KEY)))
    account = scene.world.plan.get_account(KEY)
    digest = compute_user_operation_hash(UserOperation(account, 0, b""), ENTRY_POINT, 31337)
    opening = open_present(KEY, SECOND, OWNER, shown.proof)

    def show(text: str) -> dict[str, dict[str, str]]:
        scene.browser.run("document.querySelector('main textarea').value = given[0]", text)
        scene.browser.click("Show")
        scene.browser.wait("return document.querySelector('main tbody tr, main .failure')")
        rows = {row["chain"]: row for row in scene.browser.read_sheet("explainOperation")}
        late = [name for name in ("One", "Two") if rows.get(name, {}).get("cause") == "no answer"]
        return {} if late else rows  # on a busy machine the others may be late too

    def explain(text: str) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = wait_for(lambda: show(text))
        return found

    def encode(configuration: Configuration, signer: str) -> str:
        signature = encode_signature(configuration, opening, sign_ecdsa(make_key(signer), digest))
        return json.dumps(encode_user_operation_json(UserOperation(account, 0, b"", signature=signature)))

    scene.browser.open("#/page/explain", width=320)
    rows = explain(encode(SECOND, "a newer phone"))
    assert ["taken", "unknown_root", "no answer", "no answer"] == [row["cause"] for row in rows.values()]
    assert "bring the keystore's newest root" in rows["Two"]["what to do next"]
    assert scene.browser.run("return document.documentElement.scrollWidth") <= 320
    assert scene.browser.run(CONTRAST) >= 4.5
    assert "wrong_key" == explain(encode(SECOND, "a thief"))["One"]["cause"]
    rows = explain(encode(FIRST, "a phone"))  # the root before, which both accounts still believe
    assert ("taken", "other_chain") == (rows["One"]["cause"], rows["Two"]["cause"])
    rows = explain(encode(configure_ecdsa(address_of("a stranger")), "a stranger"))
    assert {"other_configuration"} == {rows[name]["cause"] for name in ("One", "Two")}
    scene.world.l1.anvil.call("anvil_setCode", f"0x{'98' * 20}", f"0x{'fe':0<154}")
    reverting = UserOperation(bytes.fromhex("98" * 20), 0, b"", signature=b"\2")
    assert "no_account" == explain(json.dumps(encode_user_operation_json(reverting)))["One"]["cause"]
    stranger = UserOperation(bytes.fromhex("99" * 20), 0, b"", signature=b"\2")
    assert "no_account" == explain(json.dumps(encode_user_operation_json(stranger)))["One"]["cause"]

    failed = abi_encode(["uint256", "string"], [0, "AA24 signature error<img src=x>"])
    (row,) = explain(hex0x(keccak256(b"FailedOp(uint256,string)")[:4] + failed)).values()
    assert ("AA24", True) == (row["cause"], "show the operation itself" in row["what to do next"])
    assert "<img src=x>" in row["that is"]
    for text in ("<img src=x onerror=alert(1)>", "{}", "[]", "0x12", "0xzz", '{"sender": 7}', "x" * 40_000):
        scene.browser.run("document.querySelector('main textarea').value = given[0]", text)
        scene.browser.click("Show")
        scene.browser.wait("return document.querySelector('main .failure')")
        assert 0 == scene.browser.count("main tbody, main img")


def check_lies(scene: Scene) -> None:
    """Another root, other code, nonsense, and an answer without end: named as what they are, beside honest rows."""
    roots = hex0x(scene.world.plan.roots)
    rewrite = scene.proxy.rewrite

    def tell_root(params: list[Any], answer: Any) -> Any:
        return f"0x{'66' * 32}{answer[66:]}" if params[0]["to"] == roots else answer

    rewrite["eth_call"] = tell_root
    assert "never had" in scene.look(One="current", Two="other root")["Two"]["that is"]
    later = f"0x{'66' * 32}{2**40:064x}{'00' * 64}"
    rewrite["eth_call"] = lambda params, answer: later if params[0]["to"] == roots else answer
    scene.look(One="current", Two="ahead")
    rewrite["eth_call"] = lambda _, __: "0x" + "ff" * 128
    scene.look(One="current", Two="unsound")
    rewrite["eth_call"] = lambda _, __: "<img src=x onerror=alert(1)>"
    scene.look(One="current", Two="unsound")
    rewrite.clear()
    rewrite["eth_getCode"] = lambda params, answer: answer + "00" if params[0] == roots else answer
    assert "other code: KeystoreRoots" == scene.look(One="current", Two="wrong code")["Two"]["that is"]
    rewrite.clear()
    rewrite["eth_chainId"] = lambda _, __: "0x7"
    scene.look(One="current", Two="no book")
    rewrite.clear()
    scene.proxy.replace_body = b" " * (5 << 20)
    scene.look(One="current", Two="unsound")
    scene.proxy.replace_body = None
    scene.look(One="current", Two="older")
    for scheme in ("light", "dark"):
        scene.browser.open(f"#/page/keys/{hex0x(OWNER)}", width=320, scheme=scheme)
        assert scene.browser.run("return document.documentElement.scrollWidth") <= 320
        assert scene.browser.run(CONTRAST) >= 4.5
