"""Bringing the keystore's contracts to a chain, and checking what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError

from microrollup.codec.json import hex0x
from microrollup.crypto.ecdsa import PrivateKey, compute_address
from microrollup.crypto.keccak import keccak256
from microrollup.errors import DecodeError
from microrollup.settlement.ethereum.answers import parse_quantity
from microrollup.settlement.ethereum.contracts import ask_contract, create_contract, send_call
from microrollup.settlement.ethereum.options import EthereumOptions
from microrollup.settlement.ethereum.transport import L1Transport
from microrollup.settlement.ethereum.visit import visit_l1

from .book import AddressBook, check_book, make_book, write_book
from .errors import NoEntryPoint, WrongCode
from .hashes import list_places, read_code_hashes, simulate_code_hashes
from .plan import AccountsPlan, PlannedContract, deploy_contracts

__all__ = ["DeployedChain", "deploy_chain", "encode_add_stake"]

UNSTAKE_SECONDS: Final = 86_400
"""How long the stake is bound once its owner wants it back; bundlers want a day."""


class DeployedChain(msgspec.Struct, frozen=True):
    """What a run has brought to a chain."""

    book: AddressBook
    is_new: bool
    """Whether the book's file has changed."""
    gas: dict[str, int]
    """By name; 0 for what was there."""
    staked: int
    """Wei that the run has added to the factory's stake."""


def encode_add_stake() -> bytes:
    """The owner's call to the factory that adds the transaction's value to its stake."""
    return keccak256(b"addStake(uint32)")[:4] + abi_encode(["uint32"], [UNSTAKE_SECONDS])


def deploy_chain(
    options: EthereumOptions,
    key: PrivateKey,
    plan: AccountsPlan,
    directory: Path,
    *,
    stake: int = 0,
    more: tuple[PlannedContract, ...] = (),
) -> DeployedChain:
    """Bring what is missing, in transactions of `key`, check all code, and write it into the chain's book.

    Before anything is sent, the book in `directory` and what is there are checked too. The factory's stake is brought
    to `stake` wei if `key` is its owner's. `more` is deployed first: on L1 the bridges. Raises `WrongCode`,
    `NoEntryPoint`, what `write_book` raises, and `L1Error`s.
    """
    chain_id, entry_hash = visit_l1(options, lambda transport: _look(transport, plan))
    if not entry_hash:
        raise NoEntryPoint(chain_id, plan.entry_point)
    check_book(directory, plan, chain_id)
    check_code(options, plan, chain_id, partly=True)

    def deploy(creation_code: bytes) -> tuple[bytes, int]:
        created = create_contract(options, key, creation_code)
        return created.address, created.gas_used

    gas = deploy_contracts((*more, *plan.contracts), deploy)
    hashes = check_code(options, plan, chain_id)
    missing = stake - read_stake(options, plan) if compute_address(key) == plan.owner else 0
    if missing > 0:
        send_call(options, key, plan.factory, encode_add_stake(), missing)
    book = make_book(plan, chain_id, hashes)
    return DeployedChain(book, write_book(directory, book), gas, max(0, missing))


def check_code(
    options: EthereumOptions, plan: AccountsPlan, chain_id: int, *, partly: bool = False
) -> dict[str, bytes]:
    """Name -> hash of the code on a chain, as it has to be. Raises `WrongCode`, and `L1Error`s.

    With `partly` there may be nothing.
    """
    places = list_places(plan)

    async def read(transport: L1Transport) -> tuple[list[bytes], dict[str, bytes]]:
        found = await read_code_hashes(transport, list(places.values()))
        return found, await simulate_code_hashes(transport, plan)

    found, expected = visit_l1(options, read)
    for (name, address), code_hash in zip(places.items(), found, strict=True):
        if code_hash != expected[name] and (code_hash or not partly):
            said = hex0x(code_hash) if code_hash else ""
            raise WrongCode(chain_id, name, hex0x(address), said, hex0x(expected[name]))
    return expected


def read_stake(options: EthereumOptions, plan: AccountsPlan) -> int:
    """Wei that the factory has staked in the entry point. Raises `DecodeError`, and `L1Error`s."""
    data = keccak256(b"getDepositInfo(address)")[:4] + plan.factory.rjust(32, b"\0")
    try:
        types = ["uint256", "bool", "uint112", "uint32", "uint48"]
        _, is_staked, stake, _, _ = abi_decode(types, ask_contract(options, plan.entry_point, data))
    except (DecodingError, OverflowError) as error:
        raise DecodeError("deposit", str(error)) from None
    return int(stake) if is_staked else 0


async def _look(transport: L1Transport, plan: AccountsPlan) -> tuple[int, bytes]:
    chain_id = parse_quantity("eth_chainId", await transport.ask("eth_chainId"))
    (entry_hash,) = await read_code_hashes(transport, [plan.entry_point])
    return chain_id, entry_hash
