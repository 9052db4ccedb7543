"""A passkey in a real browser, in front of a node in a process of its own.

Chromium's virtual authenticator makes the credentials and the assertions; the challenge is the digest that
`eth_account`, which knows nothing of this package, computes by the types of `rollup_config`.
"""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chromium import Chromium, open_chromium
from microrollup.crypto.keccak import keccak256
from microrollup.crypto.signatures.webauthn import encode_assertion
from node_fixtures import Caller
from process_fixtures import run_node
from waiting import wait_for

CODE, CONFIG, SALT, OTHER = (f"0x{word * 32}" for word in ("c0", "cf", "5a", "07"))

PAGE = b"""<!doctype html>
<meta charset="utf-8">
<title>A wallet</title>
<script>
  const toBytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));

  async function create(name) {
    const { id, response } = await navigator.credentials.create({ publicKey: {
      rp: { name: "A wallet" },
      user: { id: new TextEncoder().encode(name), name, displayName: name },
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      pubKeyCredParams: [{ type: "public-key", alg: -7 }],
      authenticatorSelection: { residentKey: "required", userVerification: "preferred" },
    } });
    return { id, spki: toText(response.getPublicKey()) };
  }

  async function sign(id, digest, userVerification) {
    const rawId = toBytes(id.replaceAll("-", "+").replaceAll("_", "/"));
    const { response } = await navigator.credentials.get({ publicKey: {
      challenge: toBytes(digest),
      allowCredentials: [{ type: "public-key", id: rawId }],
      userVerification,
    } });
    return [response.authenticatorData, response.clientDataJSON, response.signature].map(toText);
  }
</script>
"""


class Handler(BaseHTTPRequestHandler):
    """Gives the one page."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/" else 404)
        body = PAGE if self.path == "/" else b""
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class Wallet:
    """The page, and the authenticator behind it."""

    def __init__(self, chromium: Chromium) -> None:
        self.chromium = chromium

    def run(self, call: str, *arguments: str) -> Any:
        """What an async function of the page gives."""
        return self.chromium.execute(f"return await {call}(...given);", *arguments)

    def create(self, name: str) -> Credential:
        """A new credential in the authenticator."""
        made = self.run("create", name)
        return Credential(self, made["id"], b64decode(made["spki"])[-64:])


class Credential:
    """A passkey whose secret only the authenticator has."""

    def __init__(self, wallet: Wallet, credential_id: str, point: bytes) -> None:
        self.wallet = wallet
        self.credential_id = credential_id
        self.point = point
        self.sender = "0x" + keccak256(b"\x02" + point)[12:].hex()

    def sign(self, digest: bytes, verification: str = "required") -> str:
        """The browser's assertion over a digest, in the form that a node takes."""
        parts = self.wallet.run("sign", self.credential_id, b64encode(digest).decode(), verification)
        return "0x" + encode_assertion(self.point, *[b64decode(part) for part in parts]).hex()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser that shows the page over loopback; its authenticator has a user who consents and is verified."""
    with open_chromium(tmp_path_factory.mktemp("profile")) as chromium:
        chromium.add_authenticator()
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            chromium.get(f"http://localhost:{server.server_port}/")  # an address without a name can have no passkeys
            yield chromium
            chromium.get("about:blank")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def wallet(page: Chromium) -> Wallet:
    """The page with an empty authenticator: it has room for three passkeys, as hardware has for some number."""
    page.clear_credentials()
    return Wallet(page)


@pytest.fixture(scope="module")
def node(page: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """The keystore, served by the command line."""
    with run_node(tmp_path_factory.mktemp("node") / "data") as caller:
        yield caller
        assert (0, "") == caller.process.stop()


def compute_digest(node: Caller, name: str, message: dict[str, Any]) -> bytes:
    """The digest of a message with its nonce, by the node's own description and another library."""
    from eth_account.messages import encode_typed_data

    config = node.call("config")
    (types,) = [action["types"] for action in config["actions"] if action["name"] == name]
    encoded = encode_typed_data(config["domain"], types, message)
    return keccak256(b"\x19" + encoded.version + encoded.header + encoded.body)


def submit(node: Caller, credential: Credential, name: str, message: dict[str, Any]) -> dict[str, Any]:
    """The whole answer to an action that the credential signed."""
    message = {**message, "nonce": node.call("getNonce", sender=credential.sender)["pending"]}
    signature = credential.sign(compute_digest(node, name, message))
    action = {"type": name, "message": message, "signature": signature, "sender": credential.sender}
    return node.ask("submitAction", action=action)


def test_a_passkey_registers_and_rotates_an_account(node: Caller, wallet: Wallet) -> None:
    """A passkey registers an account and hands it to a second one; from then on the second may change it, the first no
    longer.
    """
    first, second = wallet.create("first"), wallet.create("second")
    answer = submit(node, first, "Register", {"codeHash": CODE, "configHash": CONFIG, "salt": SALT})
    assert "executed" == answer["result"]["status"]
    receipt = node.call("getReceipt", hash=answer["result"]["actionHash"])
    assert first.sender == receipt["sender"]
    key = receipt["events"][0]["fields"]["key"]

    rotation = {"key": key, "codeHash": CODE, "configHash": CONFIG, "vk": second.sender}
    assert "executed" == submit(node, first, "Update", rotation)["result"]["status"]
    refused = submit(node, first, "Update", {**rotation, "codeHash": OTHER})["result"]
    assert ("rejected", "sender is not the account's vk") == (refused["status"], refused["reason"])
    ack = submit(node, second, "Update", {**rotation, "codeHash": OTHER})["result"]
    assert "executed" == ack["status"]

    wait_for(lambda: node.call("getConfirmation", hash=ack["actionHash"])["level"] == "C3B")
    account = node.call("getState", field="accounts", key=key)
    assert {"data": OTHER + CONFIG[2:], "vk": second.sender} == account["value"]
    assert 3 == node.call("getNonce", sender=first.sender)["next"]
    assert 1 == node.call("getNonce", sender=second.sender)["next"]


def test_what_the_user_did_not_confirm_is_refused(node: Caller, wallet: Wallet) -> None:
    """An assertion over another digest, of another credential, or without user verification speaks for nothing."""
    credential, other = wallet.create("one"), wallet.create("other")
    message = {"codeHash": CODE, "configHash": CONFIG, "salt": SALT, "nonce": 0}
    digest = compute_digest(node, "Register", message)

    def refuse(signature: str, **altered: Any) -> str:
        action = {"type": "Register", "message": {**message, **altered}, "signature": signature}
        answer = node.ask("submitAction", action={**action, "sender": credential.sender})
        assert -32000 == answer["error"]["code"], answer
        return str(answer["error"]["data"]["code"])

    signature = credential.sign(digest)
    assert "wrong_challenge" == refuse(signature, salt=OTHER)
    assert "wrong_challenge" == refuse(signature, nonce=1)
    assert "sender_mismatch" == refuse(other.sign(digest))
    assert "bad_signature" == refuse(signature.replace(credential.point.hex(), other.point.hex()))
    wallet.chromium.set_user_verified(False)
    try:
        assert "user_not_verified" == refuse(credential.sign(digest, "discouraged"))
    finally:
        wallet.chromium.set_user_verified(True)
    assert 0 == node.call("getNonce", sender=credential.sender)["next"]
    action = {"type": "Register", "message": message, "signature": signature, "sender": credential.sender}
    assert "executed" == node.call("submitAction", action=action)["status"]
