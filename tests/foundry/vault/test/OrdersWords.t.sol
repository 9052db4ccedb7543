// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {GaslessCrossChainOrder, Output} from "keystore/IERC7683.sol";
import {KeystoreOrder} from "keystore/OrderLeaves.sol";
import {OriginSettler} from "keystore/OriginSettler.sol";
import {OrdersBase} from "./OrdersBase.sol";

/// @notice Bytes that no encoder writes: what a settler decodes has one meaning, and a signature one form.
contract OrdersWordsTest is OrdersBase {
    address private constant CLAIMANT = address(0xC1A1);
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    function _tryFill(bytes memory origin, bytes memory claimant) private returns (bool isDone) {
        bytes memory call_ = abi.encodeCall(settler.fill, (ORDER, origin, claimant));
        vm.prank(BOB);
        (isDone,) = address(settler).call{gas: 1_000_000}(call_);
    }

    /// @notice Bits above an address or a number, a length that lies; bytes at the end make no other order.
    function test_DirtyWords() public {
        Output[] memory outputs = _outputs(95);
        KeystoreOrder memory order = _order(keccak256("key"), outputs);
        bytes memory origin = abi.encode(order, outputs);
        for (uint256 word = 1; word <= 5; word += 2) {
            bytes memory dirty = bytes.concat(origin);
            if (word == 5) dirty[7 * 32] = 0xff;
            else dirty[word * 32] = 0x01;
            assertTrue(!_tryFill(dirty, abi.encode(CLAIMANT)), "token, chain, or number of outputs");
        }
        assertTrue(!_tryFill(origin, abi.encode((uint256(1) << 200) | uint160(CLAIMANT))), "claimant");
        assertTrue(_tryFill(bytes.concat(origin, hex"0011"), abi.encode(CLAIMANT)), "bytes at the end");
        assertEq(CLAIMANT, settler.getClaimant(ORDER, _hashOrder(order)), "are the same order");
        assertTrue(!_tryFill(origin, abi.encode(CLAIMANT)), "filled once");
    }

    /// @notice Amounts of ether that only together fit into a word.
    function test_Overflow() public {
        Output[] memory outputs = new Output[](2);
        outputs[0] = Output(0, type(uint256).max, _word(ALICE), block.chainid);
        outputs[1] = Output(0, 1, _word(ALICE), block.chainid);
        bytes memory origin = abi.encode(_order(keccak256("key"), outputs), outputs);
        assertTrue(!_tryFill(origin, abi.encode(CLAIMANT)), "the sum is zero");
    }

    /// @notice The other signature over the same words, none, and one of nobody.
    function test_Malleable() public {
        GaslessCrossChainOrder memory order = _gasless(_data(address(token), 100), 7);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(USER_KEY, settler.hashOrder(order));
        bytes memory other = abi.encodePacked(r, bytes32(CURVE_ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        _refuse(OriginSettler.BadSignature.selector);
        settler.openFor(order, other, "");
        _refuse(OriginSettler.BadSignature.selector);
        settler.openFor(order, "", "");
        order.user = address(0);
        _refuse(OriginSettler.BadSignature.selector);
        settler.openFor(order, abi.encodePacked(r, s, uint8(99)), "");
        order.user = user;
        settler.openFor(order, abi.encodePacked(r, s, v), "");
    }
}
