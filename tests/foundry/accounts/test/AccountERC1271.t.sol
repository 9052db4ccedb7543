// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";

/// @dev ERC-1271: what an account's holders sign for a contract, nested after ERC-7739, binds account and chain.
contract AccountERC1271Test is AccountBase {
    bytes4 internal constant YES = 0x1626ba7e;
    bytes4 internal constant NO = 0xffffffff;
    bytes32 internal constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    string internal constant CONTENTS_TYPE = "Permit(address spender,uint256 amount)";

    Holder internal alice;
    Opening internal included;
    IKeystoreAccount internal account;

    function setUp() public override {
        super.setUp();
        alice = _holder(0xA11CE);
        included = _include(_keyOf(alice), alice);
        account = _create(_keyOf(alice), included.root);
    }

    function _domainOf(address verifyingContract) private view returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPE, keccak256("KeystoreAccount"), keccak256("1"), block.chainid, verifyingContract)
        );
    }

    function _typedDigest(bytes32 domain, bytes32 structHash) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    /// @dev What a wallet signs of a text, for one of its accounts; `hash` is EIP-191's.
    function _personalDigest(address account_, bytes32 hash) private view returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        return _typedDigest(_domainOf(account_), structHash);
    }

    /// @dev What a wallet signs of an app's typed data, for one of its accounts.
    function _nestedDigest(address account_, bytes32 appDomain, bytes32 contentsHash) private view returns (bytes32) {
        bytes32 type_ = keccak256(
            abi.encodePacked(
                "TypedDataSign(Permit contents,string name,string version,uint256 chainId,address verifyingContract,",
                "bytes32 salt)",
                CONTENTS_TYPE
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                type_,
                contentsHash,
                keccak256("KeystoreAccount"),
                keccak256("1"),
                block.chainid,
                account_,
                bytes32(0)
            )
        );
        return _typedDigest(appDomain, structHash);
    }

    /// @dev The account of the same signer with another salt, which holds a copy of its root.
    function _secondAccount() private returns (IKeystoreAccount second, Holder memory holder, Opening memory opening) {
        holder = _holder(0xA11CE);
        holder.salt = bytes32(uint256(2));
        opening = _include(_keyOf(holder), holder);
        second = _create(_keyOf(holder), opening.root);
    }

    function test_personal_sign() external view {
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes memory signature = _sign(0xA11CE, _personalDigest(address(account), hash));
        assertEq(YES, account.isValidSignature(hash, _encode(alice, included, signature)), "the holder's");
        bytes32 other = keccak256("\x19Ethereum Signed Message:\n5hullo");
        assertEq(NO, account.isValidSignature(other, _encode(alice, included, signature)), "another text");
        signature = _sign(0xBAD, _personalDigest(address(account), hash));
        assertEq(NO, account.isValidSignature(hash, _encode(alice, included, signature)), "a stranger's");
        signature = _sign(0xA11CE, hash);
        assertEq(NO, account.isValidSignature(hash, _encode(alice, included, signature)), "not nested");
    }

    function test_typed_data() external view {
        bytes32 appDomain = keccak256("the domain of an app");
        bytes32 contentsHash = keccak256("the hash of a permit");
        bytes32 hash = _typedDigest(appDomain, contentsHash);
        bytes memory nested = _encode(
            alice, included, _sign(0xA11CE, _nestedDigest(address(account), appDomain, contentsHash))
        );
        assertEq(YES, account.isValidSignature(hash, _tail(nested, appDomain, contentsHash)), "the holder's");
        bytes32 otherDomain = keccak256("the domain of another app");
        bytes32 otherHash = _typedDigest(otherDomain, contentsHash);
        assertEq(NO, account.isValidSignature(otherHash, _tail(nested, otherDomain, contentsHash)), "another app");
        assertEq(NO, account.isValidSignature(otherHash, _tail(nested, appDomain, contentsHash)), "another hash");
    }

    function _tail(bytes memory signature, bytes32 appDomain, bytes32 contentsHash) private pure returns (bytes memory) {
        uint16 length = uint16(bytes(CONTENTS_TYPE).length);
        return abi.encodePacked(signature, appDomain, contentsHash, CONTENTS_TYPE, length);
    }

    /// @dev One signer has two accounts: neither kind of signature for the one is taken by the other.
    function test_replay_across_accounts() external {
        (IKeystoreAccount second, Holder memory holder, Opening memory opening) = _secondAccount();
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes memory signature = _sign(0xA11CE, _personalDigest(address(account), hash));
        assertEq(NO, second.isValidSignature(hash, _encode(holder, opening, signature)), "the other's text");
        bytes32 appDomain = keccak256("the domain of an app");
        bytes32 contentsHash = keccak256("the hash of a permit");
        signature = _sign(0xA11CE, _nestedDigest(address(account), appDomain, contentsHash));
        bytes memory tailed = _tail(_encode(holder, opening, signature), appDomain, contentsHash);
        assertEq(NO, second.isValidSignature(_typedDigest(appDomain, contentsHash), tailed), "the other's permit");
        signature = _sign(0xA11CE, _personalDigest(address(second), hash));
        assertEq(YES, second.isValidSignature(hash, _encode(holder, opening, signature)), "its own");
    }

    function test_replay_across_chains() external {
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes memory signature = _encode(alice, included, _sign(0xA11CE, _personalDigest(address(account), hash)));
        assertEq(YES, account.isValidSignature(hash, signature), "here");
        vm.chainId(10);
        assertEq(NO, account.isValidSignature(hash, signature), "there");
    }

    /// @dev What was signed for a contract is no operation, and an operation's signature is nothing for a contract.
    function test_replay_as_an_operation() external view {
        bytes32 userOpHash = entryPoint.getUserOpHash(_transfer(address(account)));
        bytes memory signature = _sign(0xA11CE, userOpHash);
        assertEq(NO, account.isValidSignature(userOpHash, _encode(alice, included, signature)), "an operation's");
        signature = _sign(0xA11CE, _personalDigest(address(account), userOpHash));
        assertEq(YES, account.isValidSignature(userOpHash, _encode(alice, included, signature)), "nested");
    }

    /// @dev The root's window holds here too, and a rotation wins here too.
    function test_windows() external {
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes memory signature = _encode(alice, included, _sign(0xA11CE, _personalDigest(address(account), hash)));
        _warp(NOW - 60 + MAX_AGE);
        assertEq(YES, account.isValidSignature(hash, signature), "to the end");
        _warp(NOW - 60 + MAX_AGE + 1);
        assertEq(NO, account.isValidSignature(hash, signature), "stale");
        _show(included.root);
        account.pushRoot();
        assertEq(YES, account.isValidSignature(hash, signature), "shown again");
        _show(_include(_keyOf(alice), _holder(0xCAFE)).root);
        account.pushRoot();
        _warp(time + GRACE);
        assertEq(YES, account.isValidSignature(hash, signature), "in its grace");
        _warp(time + 1);
        assertEq(NO, account.isValidSignature(hash, signature), "retired");
    }

    /// @dev What an operation had remembered serves here; what is only shown here is not remembered.
    function test_memory() external {
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes memory signature = _sign(0xA11CE, _personalDigest(address(account), hash));
        assertEq(YES, account.isValidSignature(hash, _encode(alice, _remembering(included), signature)), "shown");
        assertEq(NO, account.isValidSignature(hash, _encode(alice, _cached(), signature)), "not remembered");
        _accept(_signedTransfer(account, alice, _remembering(included)));
        assertEq(YES, account.isValidSignature(hash, _encode(alice, _cached(), signature)), "remembered");
        _warp(NOW - 60 + MAX_AGE + 1);
        assertEq(NO, account.isValidSignature(hash, _encode(alice, _cached(), signature)), "forgotten");
    }

    /// @dev The account says that it nests.
    function test_detection() external view {
        bytes32 question = 0x7739773977397739773977397739773977397739773977397739773977397739;
        assertEq(bytes4(0x77390001), account.isValidSignature(question, ""), "ERC-7739");
        assertEq(NO, account.isValidSignature(keccak256("another question"), ""), "nothing else without a signature");
    }

    function testFuzz_garbage(bytes32 hash, bytes calldata signature) external view {
        assertEq(NO, account.isValidSignature(hash, signature), "garbage");
    }
}
