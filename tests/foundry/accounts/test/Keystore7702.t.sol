// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";

/// @title What the delegate adds to an account
interface IKeystore7702 is IKeystoreAccount {
    error ZeroKey();
    error NotOwnSignature();
    error StaleSequence(uint256 known, uint256 sequence);

    function setKey(bytes32 newKey, uint256 sequence, bytes calldata signature) external;
    function keySequence() external view returns (uint256);
}

/// @title Another wallet's code, which leaves in the storage what it is told to
contract OtherDelegate {
    function write(uint256 slot, uint256 value) external {
        assembly ("memory-safe") {
            sstore(slot, value)
        }
    }
}

/// @dev An EOA that delegates to the keystore's code (EIP-7702) keeps its address and takes its keys from the keystore.
/// forge-config: default.evm_version = "prague"
contract Keystore7702Test is AccountBase {
    bytes32 private constant _DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant _SET_KEY = keccak256("SetKey(address delegate,bytes32 key,uint256 sequence)");
    uint256 private constant _PLACES = 0x9ac508ec621397efe225c4d4623ba2f79f2e0008cf171d4395da5790a78ee300;
    uint256 private constant _EOA_KEY = 0xE0A;
    bytes4 private constant _YES = 0x1626ba7e;
    bytes4 private constant _NO = 0xffffffff;

    address private _delegate;
    IKeystore7702 private _eoa;
    Holder private _alice;
    Opening private _included;

    function setUp() public override {
        avm.setEvmVersion("prague");
        super.setUp();
        _delegate = _deployDelegate();
        _eoa = IKeystore7702(payable(vm.addr(_EOA_KEY)));
        vm.deal(address(_eoa), 10 ether);
        _alice = _holder(0xA11CE);
        _included = _include(_keyOf(_alice), _alice);
        _show(_included.root);
        _delegateTo(_delegate);
    }

    function _deployDelegate() private returns (address) {
        return _deploy(abi.encodePacked(_load("Keystore7702"), abi.encode(entryPoint, roots)));
    }

    /// @dev The EOA's authorization, in force with the next call.
    function _delegateTo(address code) private {
        avm.signAndAttachDelegation(code, _EOA_KEY);
        (bool success,) = RECIPIENT.call("");
        assertTrue(success, "the transaction that carries it");
        assertEq(abi.encodePacked(hex"ef0100", code), address(_eoa).code, "EIP-7702's code");
    }

    function _signKey(uint256 privateKey, uint256 chainId, address delegate, bytes32 key, uint256 sequence)
        private
        view
        returns (bytes memory)
    {
        bytes32 domain =
            keccak256(abi.encode(_DOMAIN_TYPE, keccak256("KeystoreAccount"), keccak256("1"), chainId, _eoa));
        bytes32 structHash = keccak256(abi.encode(_SET_KEY, delegate, key, sequence));
        return _sign(privateKey, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
    }

    function _ownSignature(bytes32 key, uint256 sequence) private view returns (bytes memory) {
        return _signKey(_EOA_KEY, block.chainid, _delegate, key, sequence);
    }

    function _setUpAlice() private {
        _eoa.setKey(_keyOf(_alice), 1, _ownSignature(_keyOf(_alice), 1));
        _eoa.pushRoot();
    }

    function test_keeps_its_address_and_takes_its_keys_from_the_keystore() external {
        _setUpAlice();
        assertEq(_keyOf(_alice), _eoa.key(), "the key");
        _accept(_signedTransfer(_eoa, _alice, _remembering(_included)));
        _accept(_signedTransfer(_eoa, _alice, _cached()));
        // Rotated on the keystore: the EOA has not moved a finger.
        Holder memory bob = _holder(0xB0B);
        Opening memory rotated = _include(_keyOf(_alice), bob);
        _show(rotated.root);
        _eoa.pushRoot();
        _accept(_signedTransfer(_eoa, bob, rotated));
        _warp(time + GRACE + 1);
        _refuse(_signedTransfer(_eoa, _alice, _included), "AA22 expired or not due");
        _refuse(_signedTransfer(_eoa, _alice, _cached()), "AA22 expired or not due");
    }

    function test_before_the_key_is_set_nobody_signs() external {
        _eoa.pushRoot();
        _refuse(_signedTransfer(_eoa, _alice, _included));
        _refuse(_signedTransfer(_eoa, _holder(_EOA_KEY), _included));
        Holder memory nobody = _alice;
        Opening memory atZero = _include(bytes32(0), nobody);
        _refuse(_signedTransfer(_eoa, nobody, atZero));
        assertEq(_NO, _eoa.isValidSignature(keccak256("x"), _sign(_EOA_KEY, keccak256("x"))), "nor messages");
    }

    function test_the_first_to_come_gains_nothing() external {
        bytes32 key = _keyOf(_alice);
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 1, _signKey(0xBAD, block.chainid, _delegate, key, 1));
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 1, "");
        // Neither the EOA as the caller, nor the entry point.
        vm.prank(address(_eoa));
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 1, new bytes(65));
        vm.prank(address(entryPoint));
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 1, new bytes(65));
        // Somebody sends the signature first: the same key, and the owner's transaction goes through.
        _eoa.setKey(key, 1, _ownSignature(key, 1));
        _eoa.setKey(key, 1, _ownSignature(key, 1));
        assertEq(key, _eoa.key(), "the key");
    }

    function test_signatures_bind_chain_delegate_key_and_sequence() external {
        bytes32 key = _keyOf(_alice);
        bytes memory signature = _signKey(_EOA_KEY, block.chainid + 1, _delegate, key, 1);
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 1, signature);
        signature = _signKey(_EOA_KEY, block.chainid, address(factory), key, 1);
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 1, signature);
        signature = _ownSignature(key, 1);
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(bytes32(uint256(key) + 1), 1, signature);
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 2, signature);
        bytes memory flipped = _flip(signature);
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(key, 1, flipped);
        // Nor does it serve the delegate itself, or another EOA of that delegate.
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        IKeystore7702(payable(_delegate)).setKey(key, 1, signature);
        signature = _ownSignature(0, 1);
        vm.expectRevert(IKeystore7702.ZeroKey.selector);
        _eoa.setKey(0, 1, signature);
    }

    function test_set_again_by_a_later_signature_only() external {
        _setUpAlice();
        Holder memory bob = _holder(0xB0B);
        bytes32 key = _keyOf(bob);
        bytes memory signature = _ownSignature(key, 1);
        vm.expectRevert(abi.encodeWithSelector(IKeystore7702.StaleSequence.selector, 1, 1));
        _eoa.setKey(key, 1, signature);
        _eoa.setKey(key, 7, _ownSignature(key, 7));
        assertEq(7, _eoa.keySequence(), "the sequence");
        (bytes32 root,,,) = _eoa.getRoots();
        assertEq(bytes32(0), root, "roots are forgotten");
        // The first signature again, which everybody has seen.
        signature = _ownSignature(_keyOf(_alice), 1);
        vm.expectRevert(abi.encodeWithSelector(IKeystore7702.StaleSequence.selector, 7, 1));
        _eoa.setKey(_keyOf(_alice), 1, signature);
        Opening memory opening = _include(key, bob);
        _show(opening.root);
        _eoa.pushRoot();
        _accept(_signedTransfer(_eoa, bob, opening));
        _refuse(_signedTransfer(_eoa, _alice, _cached()));
    }

    /// @dev A thief of a key that the keystore can revoke does not become the account's owner for ever.
    function test_operations_cannot_set_the_key() external {
        _setUpAlice();
        bytes32 key = keccak256("the thief's");
        bytes memory call_ = abi.encodeCall(IKeystore7702.setKey, (key, 2, _signKey(0xA11CE, block.chainid, _delegate, key, 2)));
        PackedUserOperation memory operation = _transfer(address(_eoa));
        operation.callData = abi.encodeWithSignature("execute(address,uint256,bytes)", _eoa, 0, call_);
        _handle(_sign(operation, _alice, _included));
        assertEq(_keyOf(_alice), _eoa.key(), "the operation failed");
    }

    /// @dev Storage of another delegate: what it used stays as it was, and what it left for us is believed until `setKey` only.
    function test_another_delegate_and_back() external {
        _setUpAlice();
        _accept(_signedTransfer(_eoa, _alice, _remembering(_included)));
        _delegateTo(address(new OtherDelegate()));
        OtherDelegate other = OtherDelegate(address(_eoa));
        for (uint256 slot; slot < 32; ++slot) other.write(slot, uint256(keccak256(abi.encode(slot))));
        _delegateTo(_delegate);
        assertEq(_keyOf(_alice), _eoa.key(), "ordinary slots are not ours");
        _accept(_signedTransfer(_eoa, _alice, _cached()));
        for (uint256 slot; slot < 32; ++slot) {
            assertEq(keccak256(abi.encode(slot)), vm.load(address(_eoa), bytes32(slot)), "and we wrote to none");
        }
        // A hostile one writes a root of its own, at a height that no honest one will reach, and what is remembered.
        _delegateTo(address(other = new OtherDelegate()));
        other = OtherDelegate(address(_eoa));
        Holder memory thief = _holder(0xBAD);
        Opening memory forged = _include(_keyOf(_alice), thief);
        uint256 place = uint256(keccak256(abi.encode(_delegate, _PLACES)));
        other.write(place + 2, uint256(forged.root));
        other.write(place + 3, time << 64 | type(uint64).max);
        _delegateTo(_delegate);
        _accept(_signedTransfer(_eoa, thief, forged));
        _eoa.setKey(_keyOf(_alice), 2, _ownSignature(_keyOf(_alice), 2));
        _eoa.pushRoot();
        _refuse(_signedTransfer(_eoa, thief, forged));
        _refuse(_signedTransfer(_eoa, _alice, _cached()));
        _accept(_signedTransfer(_eoa, _alice, _included));
    }

    /// @dev Hostile code can make its own sequence the last: this deployment is lost then, and another one begins anew.
    function test_a_sequence_without_a_next_one() external {
        _setUpAlice();
        _delegateTo(address(new OtherDelegate()));
        uint256 place = uint256(keccak256(abi.encode(_delegate, _PLACES)));
        OtherDelegate(address(_eoa)).write(place + 1, type(uint256).max);
        _delegateTo(_delegate);
        bytes32 key = _keyOf(_alice);
        bytes memory signature = _ownSignature(key, 2);
        vm.expectRevert(abi.encodeWithSelector(IKeystore7702.StaleSequence.selector, type(uint256).max, 2));
        _eoa.setKey(key, 2, signature);
        address other = _deploy(abi.encodePacked(_load("Keystore7702"), abi.encode(entryPoint, roots), uint256(1)));
        assertTrue(other != _delegate, "a deployment of its own");
        _delegateTo(other);
        _eoa.setKey(key, 1, _signKey(_EOA_KEY, block.chainid, other, key, 1));
        _eoa.pushRoot();
        _accept(_signedTransfer(_eoa, _alice, _included));
    }

    /// @dev Whoever comes before the owner's `pushRoot` chooses no root: neither a forged one nor one that was replaced too long ago.
    function test_the_first_root_is_nobody_s_choice() external {
        Holder memory thief = _holder(0xBAD);
        bytes32 key = _keyOf(_alice);
        Opening memory forged = _include(key, thief);
        Opening memory replaced = _include(key, _holder(0x01D));
        _show(replaced.root);
        _show(_included.root);
        vm.warp(block.timestamp + GRACE + 1);
        uint256 snapshot = avm.snapshotState();
        for (uint256 i; i < 2; ++i) {
            Opening memory chosen = i == 0 ? forged : replaced;
            Holder memory holder = i == 0 ? thief : _holder(0x01D);
            _eoa.setKey(key, 1, _ownSignature(key, 1));
            (bool success,) = address(_eoa).call(abi.encodeWithSignature("pushFirstRoot(bytes32)", chosen.root));
            assertTrue(success, "anybody may");
            PackedUserOperation memory operation = _signedTransfer(_eoa, holder, chosen);
            vm.expectRevert();
            _handle(operation);
            _accept(_signedTransfer(_eoa, _alice, _included));
            avm.revertToState(snapshot);
        }
    }

    /// @dev An EOA that delegates to the accounts' own code by mistake has the key zero there, which nobody can have.
    function test_delegated_to_the_code_of_accounts() external {
        _delegateTo(address(factory.implementation()));
        assertEq(bytes32(0), IKeystore7702(payable(address(_eoa))).key(), "no key");
        _eoa.pushRoot();
        _refuse(_signedTransfer(_eoa, _alice, _included));
    }

    /// @dev A deployment by somebody who wrote its roots: what it was told is of no account elsewhere, nor is our signature there.
    function test_deployments_share_nothing() external {
        _setUpAlice();
        bytes memory lying = abi.encodePacked(_load("Keystore7702"), abi.encode(entryPoint, address(0xBAD)));
        _delegateTo(_deploy(lying));
        assertEq(bytes32(0), _eoa.key(), "no key");
        bytes memory signature = _ownSignature(_keyOf(_alice), 1);
        vm.expectRevert(IKeystore7702.NotOwnSignature.selector);
        _eoa.setKey(_keyOf(_alice), 1, signature);
        _refuse(_signedTransfer(_eoa, _alice, _included));
        _delegateTo(_delegate);
        _accept(_signedTransfer(_eoa, _alice, _included));
    }

    function test_erc1271_when_delegated() external {
        _setUpAlice();
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes32 domain =
            keccak256(abi.encode(_DOMAIN_TYPE, keccak256("KeystoreAccount"), keccak256("1"), block.chainid, _eoa));
        bytes32 structHash = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, structHash));
        bytes memory signature = _encode(_alice, _included, _sign(0xA11CE, digest));
        assertEq(_YES, _eoa.isValidSignature(hash, signature), "the keystore's key");
        assertEq(_NO, _eoa.isValidSignature(hash, _sign(_EOA_KEY, digest)), "the EOA's own, nested");
        assertEq(_NO, _eoa.isValidSignature(hash, _sign(_EOA_KEY, hash)), "the EOA's own, plain");
        signature = _encode(_holder(0xBAD), _included, _sign(0xBAD, digest));
        assertEq(_NO, _eoa.isValidSignature(hash, signature), "a foreign configuration");
    }

    /// @dev Key and operation in one: the marker with `setKey` behind it. A copy of the root must be there already.
    function test_marker_of_the_entry_point() external {
        _setUpAlice();
        PackedUserOperation memory operation = _transfer(address(_eoa));
        operation.initCode = abi.encodePacked(hex"7702", bytes18(0));
        _accept(_sign(operation, _alice, _included));
        operation.nonce = entryPoint.getNonce(address(_eoa), 0);
        bytes memory again =
            abi.encodeCall(IKeystore7702.setKey, (_keyOf(_alice), 1, _ownSignature(_keyOf(_alice), 1)));
        operation.initCode = abi.encodePacked(hex"7702", bytes18(0), again);
        _accept(_sign(operation, _alice, _included));
    }

    function test_gas() external {
        bytes memory signature = _ownSignature(_keyOf(_alice), 1);
        _eoa.setKey(_keyOf(_alice), 1, signature);
        vm.snapshotValue("accounts", "7702: setKey, first", avm.lastCallGas().gasTotalUsed);
        _eoa.pushRoot();
        PackedUserOperation memory operation = _signedTransfer(_eoa, _alice, _included);
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        vm.prank(address(entryPoint));
        assertTrue(FAILED != _eoa.validateUserOp(operation, userOpHash, 0), "code is warm");
        avm.cool(address(_eoa));
        vm.prank(address(entryPoint));
        assertTrue(FAILED != _eoa.validateUserOp(operation, userOpHash, 0), "valid");
        vm.snapshotValue("accounts", "7702: validateUserOp, storage cold: inclusion, ECDSA", avm.lastCallGas().gasTotalUsed);
    }
}
