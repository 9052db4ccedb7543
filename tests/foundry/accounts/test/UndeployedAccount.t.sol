// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";

interface IKeystoreVerifier {
    function isValidSignature(bytes32 key, bytes32 hash, bytes calldata signature) external view returns (bytes4);
}

/// @dev `KeystoreVerifier` answers for an account that is not deployed as the account itself will, with the same signature.
contract UndeployedAccountTest is AccountBase {
    bytes4 internal constant YES = 0x1626ba7e;
    bytes4 internal constant NO = 0xffffffff;
    bytes32 internal constant HASH = keccak256("\x19Ethereum Signed Message:\n5hello");
    string internal constant CONTENTS_TYPE = "Permit(address spender,uint256 amount)";

    Holder internal alice;
    Opening internal included;
    Opening internal excluded;
    bytes32 internal key;
    IKeystoreVerifier internal verifier;

    function setUp() public override {
        super.setUp();
        alice = _holder(0xA11CE);
        key = _keyOf(alice);
        (included, excluded) = (_include(key, alice), _exclude(alice));
        verifier = IKeystoreVerifier(
            _deploy(abi.encodePacked(_load("KeystoreVerifier"), abi.encode(address(roots), address(factory))))
        );
    }

    function _personal(uint256 privateKey, address account, bytes32 hash) private view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("KeystoreAccount"),
                keccak256("1"),
                block.chainid,
                account
            )
        );
        bytes32 structHash = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        return _sign(privateKey, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
    }

    function _typed(uint256 privateKey, address account, bytes32 appDomain, bytes32 contents)
        private
        view
        returns (bytes memory)
    {
        bytes32 type_ = keccak256(
            abi.encodePacked(
                "TypedDataSign(Permit contents,string name,string version,uint256 chainId,address verifyingContract,",
                "bytes32 salt)",
                CONTENTS_TYPE
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                type_, contents, keccak256("KeystoreAccount"), keccak256("1"), block.chainid, account, bytes32(0)
            )
        );
        return _sign(privateKey, keccak256(abi.encodePacked(hex"1901", appDomain, structHash)));
    }

    /// @dev Never registered, or registered: the holder's text is taken, a stranger's and one for another account is not.
    function test_personal_sign() external {
        Opening[2] memory openings = [excluded, included];
        for (uint256 i; i < 2; ++i) {
            _show(openings[i].root);
            bytes memory good = _encode(alice, openings[i], _personal(0xA11CE, factory.getAccount(key), HASH));
            assertEq(YES, verifier.isValidSignature(key, HASH, good), "the holder's");
            assertEq(NO, verifier.isValidSignature(key, keccak256("another text"), good), "another text");
            assertEq(NO, verifier.isValidSignature(keccak256("another key"), HASH, good), "another account");
            bytes memory bad = _encode(alice, openings[i], _personal(0xBAD, factory.getAccount(key), HASH));
            assertEq(NO, verifier.isValidSignature(key, HASH, bad), "a stranger's");
            bad = _encode(alice, openings[i], _sign(0xA11CE, HASH));
            assertEq(NO, verifier.isValidSignature(key, HASH, bad), "not nested");
            bad = _encode(alice, openings[i], _personal(0xA11CE, address(verifier), HASH));
            assertEq(NO, verifier.isValidSignature(key, HASH, bad), "for another account of the signer");
            vm.chainId(10);
            assertEq(NO, verifier.isValidSignature(key, HASH, good), "for another chain");
            vm.chainId(31337);
        }
    }

    function test_typed_data() external {
        _show(included.root);
        (bytes32 app, bytes32 contents) = (keccak256("the domain of an app"), keccak256("the hash of a permit"));
        bytes memory encoded = _encode(alice, included, _typed(0xA11CE, factory.getAccount(key), app, contents));
        bytes memory good = abi.encodePacked(encoded, app, contents, CONTENTS_TYPE, uint16(bytes(CONTENTS_TYPE).length));
        bytes32 hash = keccak256(abi.encodePacked(hex"1901", app, contents));
        assertEq(YES, verifier.isValidSignature(key, hash, good), "the holder's");
        assertEq(NO, verifier.isValidSignature(key, keccak256("another hash"), good), "another hash");
        assertEq(NO, verifier.isValidSignature(key, hash, encoded), "without the tail");
    }

    /// @dev The answer is the same before and after deployment; memory is the deployed account's alone.
    function test_deployed() external {
        _show(included.root);
        bytes memory good = _encode(alice, included, _personal(0xA11CE, factory.getAccount(key), HASH));
        bytes memory cached = _encode(alice, _cached(), _personal(0xA11CE, factory.getAccount(key), HASH));
        assertEq(YES, verifier.isValidSignature(key, HASH, good), "before");
        assertEq(NO, verifier.isValidSignature(key, HASH, cached), "nothing is remembered");
        IKeystoreAccount account = _create(key, included.root);
        assertEq(YES, verifier.isValidSignature(key, HASH, good), "after");
        assertEq(YES, account.isValidSignature(HASH, good), "by the account");
        _accept(_signedTransfer(account, alice, _remembering(included)));
        assertEq(YES, verifier.isValidSignature(key, HASH, cached), "remembered");
    }

    /// @dev Roots are believed as by an account: for seven days, and for 15 minutes after the chain replaced them.
    function test_windows() external {
        bytes memory good = _encode(alice, included, _personal(0xA11CE, factory.getAccount(key), HASH));
        assertEq(NO, verifier.isValidSignature(key, HASH, good), "no root is known");
        _show(included.root);
        _warp(NOW - 60 + MAX_AGE);
        assertEq(YES, verifier.isValidSignature(key, HASH, good), "to the end");
        _warp(NOW - 60 + MAX_AGE + 1);
        assertEq(NO, verifier.isValidSignature(key, HASH, good), "too old");
        _show(included.root);
        _show(keccak256("another root"));
        _warp(time + GRACE);
        assertEq(YES, verifier.isValidSignature(key, HASH, good), "in its grace");
        _warp(time + 1);
        assertEq(NO, verifier.isValidSignature(key, HASH, good), "after it");
    }

    function testFuzz_garbage(bytes32 hash, bytes calldata signature) external view {
        assertEq(NO, verifier.isValidSignature(key, hash, signature), "garbage");
    }

    function testFuzz_one_changed_bit(uint256 seed) external {
        _show(included.root);
        bytes memory good = _encode(alice, included, _personal(0xA11CE, factory.getAccount(key), HASH));
        assertEq(YES, verifier.isValidSignature(key, HASH, good), "the holder's");
        bytes memory bad = _corrupt(good, seed);
        // The wish to be remembered is not signed, and nothing is remembered here.
        if (bytes1(bad[0]) & 0x7f == bytes1(good[0]) & 0x7f && bad[0] != good[0]) return;
        assertEq(NO, verifier.isValidSignature(key, HASH, bad), "changed");
    }
}
