"""A sponsor who pays for operations that it has signed, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from account_world import ETHER, World, address_of, make_key, show
from apps.keystore.smart_account import (
    ENTRY_POINT,
    UserOperation,
    configure_ecdsa,
    encode_init_code,
    encode_stub_signature,
)
from apps.keystore.smart_account.paymaster import PaymasterOffer, encode_paymaster_creation, sponsor, stub_sponsorship
from bundled_world import BundledWorld
from bundlers import BundlerRefused
from contract_calls import Reverted
from microrollup.crypto.keccak import keccak256

WRONG = "AA34 signature error"


def deploy(world: World) -> bytes:
    """A paymaster with a deposit."""
    code = encode_paymaster_creation(ENTRY_POINT, address_of("sponsor"), bytes.fromhex(world.funder[2:]))
    paymaster = world.deploy(code)
    world._send(ENTRY_POINT, keccak256(b"depositTo(address)")[:4] + paymaster.rjust(32, b"\0"), value=ETHER)
    return paymaster


@pytest.mark.parametrize("mode", ["unsafe", "safe"])
def test_sponsored_through_a_bundler(bundled: BundledWorld, mode: str) -> None:
    """Estimated with both stubs, signed by both, done; the account pays for its transfer alone."""
    world, keystore = bundled.world, bundled.keystore
    bundler = bundled.safe if mode == "safe" else bundled.unsafe
    name = f"sponsored, {mode}"
    configuration = configure_ecdsa(address_of(name))
    key = keystore.register(configuration, name)
    world.mirror()
    opening = keystore.open(key, configuration, address_of(name))
    account = world.account_of(key)
    world.anvil.call("anvil_setBalance", show(account), hex(10))
    offer = PaymasterOffer(deploy(world), world.get_time() + 3_600)
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    stub = encode_stub_signature(configuration, opening)
    estimated = bundler.estimate(replace(stub_sponsorship(operation, offer), signature=stub))
    paid = sponsor(estimated, offer, world.chain_id, make_key("sponsor"))
    bundler.send(world.sign(paid, configuration, opening, name))
    assert 9 == world.get_balance(account)


def test_refused(bundled: BundledWorld) -> None:
    """Another signer, another chain, another operation, a time that is over: the entry point says AA34 or AA32."""
    world, keystore = bundled.world, bundled.keystore
    configuration = configure_ecdsa(address_of("unsponsored"))
    key = keystore.register(configuration, "unsponsored")
    world.mirror()
    opening = keystore.open(key, configuration, address_of("unsponsored"))
    account = world.account_of(key)
    offer = PaymasterOffer(deploy(world), world.get_time() + 3_600)
    operation = world.make_transfer(account, encode_init_code(world.factory, key, opening.root))
    chain_id, right = world.chain_id, make_key("sponsor")

    def refuse(change: Callable[[UserOperation], UserOperation]) -> str:
        return world.refuse(world.sign(change(operation), configuration, opening, "unsponsored"))

    assert "" == refuse(lambda o: sponsor(o, offer, chain_id, right))
    assert WRONG == refuse(lambda o: sponsor(o, offer, chain_id, make_key("stranger")))
    assert WRONG == refuse(lambda o: sponsor(o, offer, chain_id + 1, right))
    assert WRONG == refuse(lambda o: replace(sponsor(o, offer, chain_id, right), call_gas_limit=99_999))
    assert WRONG == refuse(lambda o: stub_sponsorship(o, offer))
    over = replace(offer, valid_until=world.get_time() - 1)
    assert "AA32 paymaster expired or not due" == refuse(lambda o: sponsor(o, over, chain_id, right))
    signed = world.sign(sponsor(operation, over, chain_id, right), configuration, opening, "unsponsored")
    with pytest.raises(BundlerRefused):
        bundled.unsafe.submit(signed)


def test_the_owner_takes_deposits_out(bundled: BundledWorld) -> None:
    """Nobody else does."""
    world = bundled.world
    contract = world.call_contract(deploy(world), "SigningPaymaster")
    to = show(keccak256(b"out")[12:])
    answer = contract.call("withdraw", to, 7, sender=show(address_of("stranger")))
    assert isinstance(answer, Reverted)
    assert "NotOwner" == answer.name
    contract.send("withdraw", to, 7, sender=world.funder)
    assert 7 == world.get_balance(bytes.fromhex(to[2:]))
