// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EscapeBase} from "./EscapeBase.sol";

/// @notice Each scheme of the rollup that the EVM can verify, and what nobody signed.
contract EscapeSignersTest is EscapeBase {
    uint256 private constant KEY = 0xBEEF;
    /// @dev keccak256 of it is what the vault knows: Axiom's own, of which only the hash matters here.
    bytes32 private constant M_OF_N = 0xa53fe8d9f71ced9b27711b393df4d425ea68ee941b625a1c4cbcbd773811d8df;

    function test_Ecdsa() public {
        Account memory account = _accountOf(vm.addr(KEY));
        _leave(account, 5);
        bytes32 digest = _digest(account.key, ETHER, BOB);
        bytes memory signature = _sign(KEY, digest);
        _refuseEscape(account, ALICE, 5, _signed(signature)); // another recipient
        _refuseEscape(account, BOB, 5, _signed(_flip(signature)));
        _refuseEscape(account, BOB, 5, _signed(_sign(KEY + 1, digest)));
        _refuseEscape(account, BOB, 5, _signed(_sign(KEY, _digest(account.key, ALICE, BOB))));
        _refuseEscape(account, BOB, 5, _signed(_sign(KEY, _memberDigest(account.key, BOB, vm.addr(KEY)))));
        _refuseEscape(account, BOB, 5, _signed(""));
        _refuseEscape(account, BOB, 5, abi.encodePacked(hex"00", signature));
        _accept(account, BOB, 5, _signed(signature));
    }

    /// @notice As the rollup's log stores it, with v 0 or 1.
    function test_EcdsaStored() public {
        Account memory account = _accountOf(vm.addr(KEY));
        _leave(account, 5);
        bytes memory signature = _sign(KEY, _digest(account.key, ETHER, BOB));
        signature[64] = bytes1(uint8(signature[64]) - 27);
        _accept(account, BOB, 5, _signed(signature));
    }

    /// @notice Another vault's signature, or one of the same vault on another chain.
    function test_EcdsaDomain() public {
        Account memory account = _accountOf(vm.addr(KEY));
        _leave(account, 5);
        vm.chainId(block.chainid + 1);
        bytes memory signature = _sign(KEY, _digest(account.key, ETHER, BOB));
        vm.chainId(block.chainid - 1);
        _refuseEscape(account, BOB, 5, _signed(signature));
    }

    /// @notice What nobody signed is not signed by the zero address either.
    function test_RefuseZeroVk() public {
        Account memory account = _accountOf(address(0));
        _leave(account, 5);
        _refuseEscape(account, BOB, 5, _signed(new bytes(65)));
        _refuseEscape(account, BOB, 5, _signed(""));
    }

    function test_P256() public {
        bytes memory head = abi.encodePacked(uint8(1), _pointOf(KEY));
        Account memory account = _accountOf(_senderOf(head));
        _leave(account, 5);
        bytes memory signature = _p256(KEY, _digest(account.key, ETHER, BOB));
        _refuseEscape(account, ALICE, 5, _signed(signature));
        _refuseEscape(account, BOB, 5, _signed(_p256(KEY + 1, _digest(account.key, ETHER, BOB))));
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(signature, hex"00")));
        _accept(account, BOB, 5, _signed(signature));
    }

    function test_Passkey() public {
        bytes memory head = abi.encodePacked(uint8(2), _pointOf(KEY));
        Account memory account = _accountOf(_senderOf(head));
        _leave(account, 5);
        bytes32 digest = _digest(account.key, ETHER, BOB);
        bytes memory signature = _assertion(KEY, digest);
        _refuseEscape(account, ALICE, 5, _signed(signature));
        _refuseEscape(account, BOB, 5, _signed(_assertion(KEY + 1, digest)));
        _refuseEscape(account, BOB, 5, _signed(_p256(KEY, digest))); // the same key under another scheme
        bytes memory clientData = _clientData("webauthn.get", digest);
        _refuseEscape(account, BOB, 5, _signed(_assertion(KEY, USER_PRESENT, clientData)));
        clientData = _clientData("webauthn.create", digest);
        _refuseEscape(account, BOB, 5, _signed(_assertion(KEY, USER_PRESENT | USER_VERIFIED, clientData)));
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(signature, hex"00")));
        _accept(account, BOB, 5, _signed(signature));
    }

    // Groups

    /// @notice Senders of a P-256 key, a passkey and a secp256k1 key, in order, and which is which.
    function _members(uint256 threshold) private pure returns (bytes memory head, uint256[3] memory kinds) {
        address[3] memory senders = [
            vm.addr(KEY),
            _senderOf(abi.encodePacked(uint8(1), _pointOf(KEY))),
            _senderOf(abi.encodePacked(uint8(2), _pointOf(KEY)))
        ];
        kinds = [uint256(0), 1, 2];
        for (uint256 i; i < 3; ++i) {
            for (uint256 j; j < 2; ++j) {
                if (senders[j] <= senders[j + 1]) continue;
                (senders[j], senders[j + 1]) = (senders[j + 1], senders[j]);
                (kinds[j], kinds[j + 1]) = (kinds[j + 1], kinds[j]);
            }
        }
        head = abi.encodePacked(uint8(4), uint8(threshold), uint8(3), senders[0], senders[1], senders[2]);
    }

    function _part(uint256 index, uint256 kind, bytes32 digest) private pure returns (bytes memory) {
        bytes memory signature =
            kind == 0 ? _sign(KEY, digest) : kind == 1 ? _p256(KEY, digest) : _assertion(KEY, digest);
        return abi.encodePacked(uint8(index), uint16(signature.length), signature);
    }

    function test_Group() public {
        (bytes memory head, uint256[3] memory kinds) = _members(2);
        Account memory account = _accountOf(_senderOf(head));
        _leave(account, 5);
        bytes32 digest = _memberDigest(account.key, BOB, _senderOf(head));
        bytes memory first = _part(0, kinds[0], digest);
        bytes memory second = _part(1, kinds[1], digest);
        bytes memory third = _part(2, kinds[2], digest);
        _refuseEscape(account, ALICE, 5, _signed(abi.encodePacked(head, first, second)));
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(head, first, first)));
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(head, second, first)));
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(head, first, second, third)));
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(head, first, _part(2, kinds[1], digest))));
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(head, first, _part(3, kinds[1], digest))));
        // What a member signs as himself is worth nothing in his group.
        bytes32 own = _digest(account.key, ETHER, BOB);
        _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(head, first, _part(1, kinds[1], own))));
        _accept(account, BOB, 5, _signed(abi.encodePacked(head, first, third)));
    }

    function test_GroupOfAll() public {
        (bytes memory head, uint256[3] memory kinds) = _members(3);
        Account memory account = _accountOf(_senderOf(head));
        _leave(account, 5);
        bytes32 digest = _memberDigest(account.key, BOB, _senderOf(head));
        bytes memory parts =
            abi.encodePacked(_part(0, kinds[0], digest), _part(1, kinds[1], digest), _part(2, kinds[2], digest));
        _accept(account, BOB, 5, _signed(abi.encodePacked(head, parts)));
    }

    /// @notice Groups that the rollup would not take are nobody here either.
    function test_RefuseMalformedGroups() public {
        address one = vm.addr(KEY);
        bytes[3] memory heads = [
            abi.encodePacked(uint8(4), uint8(0), uint8(1), one),
            abi.encodePacked(uint8(4), uint8(2), uint8(1), one),
            abi.encodePacked(uint8(4), uint8(1), uint8(2), one, one)
        ];
        for (uint256 i; i < 3; ++i) {
            _setAccount(_accountOf(_senderOf(heads[i])));
            _setBalance(ETHER, _accountOf(_senderOf(heads[i])).key, 5);
        }
        _leave(_accountOf(ALICE), 5);
        for (uint256 i; i < 3; ++i) {
            Account memory account = _accountOf(_senderOf(heads[i]));
            bytes32 digest = _memberDigest(account.key, BOB, _senderOf(heads[i]));
            _refuseEscape(account, BOB, 5, _signed(abi.encodePacked(heads[i], _part(0, 0, digest))));
        }
    }

    // Axiom's m of n

    function _axiom(uint256 threshold, address[] memory owners) private view returns (Account memory account) {
        account = _account(vm.parseJsonBytes(vm.readFile("./fixtures/axiom.json"), ".vkey"));
        assertEq(M_OF_N, keccak256(account.vk), "Axiom's verification key");
        account.data = abi.encodePacked(uint8(0), abi.encode(keccak256("consumer"), threshold, owners));
    }

    function test_AxiomOwners() public {
        address[] memory owners = new address[](3);
        for (uint256 i; i < 3; ++i) {
            owners[i] = vm.addr(KEY + i);
        }
        Account memory account = _axiom(2, owners);
        _leave(account, 5);
        bytes32 digest = _digest(account.key, ETHER, BOB);
        bytes memory first = _sign(KEY, digest);
        bytes memory third = _sign(KEY + 2, digest);
        _refuseEscape(account, BOB, 5, abi.encodePacked(hex"02", first));
        _refuseEscape(account, BOB, 5, abi.encodePacked(hex"02", first, first));
        _refuseEscape(account, BOB, 5, abi.encodePacked(hex"02", first, third, _sign(KEY + 1, digest)));
        _refuseEscape(account, BOB, 5, abi.encodePacked(hex"02", first, _sign(KEY + 3, digest)));
        _refuseEscape(account, ALICE, 5, abi.encodePacked(hex"02", first, third));
        _refuseEscape(account, BOB, 5, _signed(first));
        _accept(account, BOB, 5, abi.encodePacked(hex"02", third, first));
    }

    /// @notice Nobody signs for m = 0, nor for an owner who is listed twice.
    function test_RefuseOtherOwners() public {
        address[] memory owners = new address[](2);
        owners[0] = owners[1] = vm.addr(KEY);
        Account memory account = _axiom(2, owners);
        _leave(account, 5);
        bytes memory signature = _sign(KEY, _digest(account.key, ETHER, BOB));
        _refuseEscape(account, BOB, 5, abi.encodePacked(hex"02", signature, signature));
    }

    function test_RefuseNoOwners() public {
        Account memory account = _axiom(0, new address[](0));
        _leave(account, 5);
        _refuseEscape(account, BOB, 5, hex"02");
    }

    /// @notice Owners in the data speak for an account of that very vk only.
    function test_RefuseOwnersOfAnotherVk() public {
        address[] memory owners = new address[](1);
        owners[0] = vm.addr(KEY);
        Account memory account = _accountOf(ALICE);
        account.data = _axiom(1, owners).data;
        _leave(account, 5);
        bytes memory signature = _sign(KEY, _digest(account.key, ETHER, BOB));
        _refuseEscape(account, BOB, 5, abi.encodePacked(hex"02", signature));
    }
}
