// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {GaslessCrossChainOrder, OnchainCrossChainOrder, ResolvedCrossChainOrder} from "keystore/IERC7683.sol";
import {KeystoreRoots} from "keystore/KeystoreRoots.sol";
import {OriginSettler} from "keystore/OriginSettler.sol";
import {SettlerBase} from "keystore/SettlerBase.sol";
import {CallbackToken, FeeToken, SilentToken} from "./Tokens.sol";
import {OrdersBase} from "./OrdersBase.sol";

/// @notice Says that it paid, and did not.
contract LyingToken {
    function balanceOf(address) external pure returns (uint256) {
        return 5;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return true;
    }
}

/// @notice Says that it did not pay.
contract FalseToken {
    function balanceOf(address) external pure returns (uint256) {
        return 5;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}

/// @notice An account that is a contract: ERC-1271.
contract Wallet {
    bytes32 private _approved;

    function approve(bytes32 hash, IERC20 token, address spender) external {
        _approved = hash;
        token.approve(spender, type(uint256).max);
    }

    function isValidSignature(bytes32 hash, bytes calldata) external view returns (bytes4) {
        return hash == _approved ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @notice Orders from an L2 into the keystore: opened, claimed, and each refusal with its attack. `refund` needs an L1 block's
/// proofs, which the tests on anvil have.
contract OrdersInTest is OrdersBase {
    address private constant CLAIMANT = address(0xC1A1);
    uint256 private constant BY_USER = 1 << 255;

    function _sign(GaslessCrossChainOrder memory order) private view returns (bytes memory) {
        return _sign(USER_KEY, settler.hashOrder(order));
    }

    function test_ClaimTokens() public {
        (bytes32 orderId, OriginSettler.Held memory held) = _open(address(token), 100);
        assertEq(100, token.balanceOf(address(settler)), "locked");
        bytes32 root = _setFill(held.fillId, CLAIMANT, uint64(block.timestamp));
        bytes memory proof = _include(_place(9, held.fillId));
        uint64 time = uint64(block.timestamp - 12);
        settler.claim(orderId, held, CLAIMANT, time, root, proof);
        assertEq(100, token.balanceOf(CLAIMANT), "the filler has it");
        _refuse(OriginSettler.NoOrder.selector);
        settler.claim(orderId, held, CLAIMANT, time, root, proof);
    }

    function test_ClaimEther() public {
        (bytes32 orderId, OriginSettler.Held memory held) = _open(ETHER, 3 ether);
        uint64 time = uint64(block.timestamp);
        bytes32 root = _setFill(held.fillId, CLAIMANT, time);
        settler.claim(orderId, held, CLAIMANT, time, root, _include(_place(9, held.fillId)));
        assertEq(3 ether, CLAIMANT.balance, "the filler has it");
    }

    /// @notice By signature, in somebody else's transaction; once.
    function test_Gasless() public {
        GaslessCrossChainOrder memory order = _gasless(_data(address(token), 100), 7);
        (bytes32 orderId, OriginSettler.Held memory held) = _held(address(token), 100, 7);
        ResolvedCrossChainOrder memory resolved = settler.resolveFor(order, "");
        assertEq(orderId, resolved.orderId, "the id");
        assertEq(held.fillId, keccak256(resolved.fillInstructions[0].originData), "the fill's id");
        bytes memory signature = _sign(order);
        vm.prank(STRANGER);
        settler.openFor(order, signature, "");
        assertEq(keccak256(abi.encode(held)), settler.getHeldHash(orderId), "held");
        _refuse(OriginSettler.OrderExists.selector);
        settler.openFor(order, signature, "");
        bytes32 root = _setFill(held.fillId, CLAIMANT, 5);
        settler.claim(orderId, held, CLAIMANT, 5, root, _include(_place(9, held.fillId)));
        _refuse(OriginSettler.OrderExists.selector);
        settler.openFor(order, signature, "");
    }

    /// @notice The digest is EIP-712's over nested types.
    function test_DigestIsTypedData() public view {
        GaslessCrossChainOrder memory order = _gasless(_data(address(token), 100), 7);
        OriginSettler.KeystoreOrderData memory data = _data(address(token), 100);
        string memory inner =
            "KeystoreOrderData(address roots,bytes32 rollupId,address inputToken,uint256 inputAmount,bytes32 toKey,address outputToken,uint256 outputAmount)";
        bytes32 outerType = keccak256(
            abi.encodePacked(
                "GaslessCrossChainOrder(address originSettler,address user,uint256 nonce,uint256 originChainId,uint32 openDeadline,uint32 fillDeadline,bytes32 orderDataType,KeystoreOrderData orderData)",
                inner
            )
        );
        bytes32 dataHash = keccak256(abi.encode(keccak256(bytes(inner)), data));
        bytes32 struct_ = keccak256(
            abi.encode(
                outerType,
                order.originSettler,
                order.user,
                order.nonce,
                order.originChainId,
                order.openDeadline,
                order.fillDeadline,
                keccak256(bytes(inner)),
                dataHash
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("KeystoreSettler"),
                keccak256("1"),
                block.chainid,
                settler
            )
        );
        assertEq(
            keccak256(abi.encodePacked(hex"1901", domain, struct_)), settler.hashOrder(order), "what is signed"
        );
    }

    function test_AContractSigns() public {
        Wallet wallet = new Wallet();
        GaslessCrossChainOrder memory order = _gasless(_data(address(token), 100), 7);
        order.user = address(wallet);
        token.mint(address(wallet), 100);
        _refuse(OriginSettler.BadSignature.selector);
        settler.openFor(order, "", "");
        wallet.approve(settler.hashOrder(order), token, address(settler));
        settler.openFor(order, "", "");
        assertEq(0, token.balanceOf(address(wallet)), "its tokens are locked");
    }

    function test_RefuseOthersOrders() public {
        GaslessCrossChainOrder memory order = _gasless(_data(address(token), 100), 7);
        bytes memory signature = _sign(order);
        order.fillDeadline += 1;
        _refuse(OriginSettler.BadSignature.selector);
        settler.openFor(order, signature, "");
        order.fillDeadline -= 1;
        order.orderData = abi.encode(_data(address(token), 101));
        _refuse(OriginSettler.BadSignature.selector);
        settler.openFor(order, signature, "");
        order = _gasless(_data(address(token), 100), 7);
        order.originSettler = STRANGER;
        _refuse(OriginSettler.WrongSettler.selector);
        settler.openFor(order, signature, "");
        order = _gasless(_data(address(token), 100), 7);
        order.originChainId += 1;
        _refuse(SettlerBase.WrongChain.selector);
        settler.openFor(order, signature, "");
        order = _gasless(_data(address(token), 100), BY_USER);
        _refuse(OriginSettler.BadNonce.selector);
        settler.openFor(order, signature, "");
        order = _gasless(_data(ETHER, 100), 7);
        signature = _sign(order);
        _refuse(SettlerBase.BadOrder.selector);
        settler.openFor{value: 100}(order, signature, "");
        order = _gasless(_data(address(token), 100), 7);
        signature = _sign(order);
        vm.warp(order.openDeadline + 1);
        _refuse(SettlerBase.BadDeadline.selector);
        settler.openFor(order, signature, "");
    }

    function _refuseOpen(OnchainCrossChainOrder memory order, uint256 value, bytes4 selector) private {
        _refuse(selector);
        vm.prank(user);
        settler.open{value: value}(order);
    }

    function test_RefuseBadOrders() public {
        OriginSettler.KeystoreOrderData memory data = _data(address(token), 100);
        OnchainCrossChainOrder memory order = _onchain(data);
        _refuseOpen(order, 1, SettlerBase.WrongValue.selector);
        order.orderDataType = keccak256("another type");
        _refuseOpen(order, 0, SettlerBase.BadOrder.selector);
        order = _onchain(data);
        order.orderData = abi.encodePacked(order.orderData, hex"00");
        _refuseOpen(order, 0, SettlerBase.BadOrder.selector);
        data.inputAmount = 0;
        _refuseOpen(_onchain(data), 0, SettlerBase.BadOrder.selector);
        data = _data(address(token), 100);
        data.outputAmount = 0;
        _refuseOpen(_onchain(data), 0, SettlerBase.BadOrder.selector);
        data = _data(address(token), 100);
        data.toKey = 0;
        _refuseOpen(_onchain(data), 0, SettlerBase.BadOrder.selector);
        order = _onchain(_data(address(token), 100));
        order.fillDeadline = uint32(block.timestamp - 1);
        _refuseOpen(order, 0, SettlerBase.BadDeadline.selector);
        order.fillDeadline = uint32(block.timestamp + 30 days + 1);
        _refuseOpen(order, 0, SettlerBase.BadDeadline.selector);
        data = _data(address(token), 100);
        data.roots = KeystoreRoots(STRANGER);
        _refuseOpen(_onchain(data), 0, OriginSettler.NoRoots.selector);
        roots.hideL1();
        _refuseOpen(_onchain(_data(address(token), 100)), 0, OriginSettler.NoRoots.selector);
        _refuseOpen(_onchain(_data(ETHER, 100)), 99, OriginSettler.NoRoots.selector);
    }

    /// @notice Another claimant, another time, another fill, a root that was never shown, an order that is not open.
    function test_RefuseOtherClaims() public {
        (bytes32 orderId, OriginSettler.Held memory held) = _open(address(token), 100);
        uint64 time = uint64(block.timestamp);
        bytes32 root = _setFill(held.fillId, CLAIMANT, time);
        bytes memory proof = _include(_place(9, held.fillId));
        _refuse(OriginSettler.WrongProof.selector);
        settler.claim(orderId, held, STRANGER, time, root, proof);
        _refuse(OriginSettler.WrongProof.selector);
        settler.claim(orderId, held, CLAIMANT, time + 1, root, proof);
        _refuse(OriginSettler.UnknownRoot.selector);
        settler.claim(orderId, held, CLAIMANT, time, keccak256("a root"), proof);
        _refuse(OriginSettler.NoOrder.selector);
        settler.claim(keccak256("another"), held, CLAIMANT, time, root, proof);
        OriginSettler.Held memory more = abi.decode(abi.encode(held), (OriginSettler.Held));
        more.amount += 1;
        _refuse(OriginSettler.NoOrder.selector);
        settler.claim(orderId, more, CLAIMANT, time, root, proof);
        settler.claim(orderId, held, CLAIMANT, time, root, proof);
    }

    /// @notice A fill of less, for another account or of another settler has another id, and pays nothing here.
    function test_RefuseAWrongFill() public {
        (bytes32 orderId, OriginSettler.Held memory held) = _open(address(token), 100);
        bytes32 wrong = keccak256(
            abi.encode(orderId, settler, block.chainid, keccak256("to"), token, uint256(94), _deadline())
        );
        bytes32 root = _setFill(wrong, CLAIMANT, 5);
        bytes memory proof = _include(_place(9, wrong));
        _refuse(OriginSettler.WrongProof.selector);
        settler.claim(orderId, held, CLAIMANT, 5, root, proof);
    }

    /// @notice Roots of an order's own invention decide about that order, and nobody else's money.
    function test_RootsOfOnesOwn() public {
        (bytes32 victim, OriginSettler.Held memory held) = _open(address(token), 100);
        vm.prank(user);
        token.transfer(STRANGER, 10);
        vm.prank(STRANGER);
        token.approve(address(settler), 10);
        OnchainCrossChainOrder memory order = _onchain(_data(address(token), 10));
        vm.prank(STRANGER);
        settler.open(order);
        _refuse(OriginSettler.NoOrder.selector);
        settler.claim(keccak256(abi.encode(block.chainid, settler, STRANGER, BY_USER)), held, STRANGER, 1, 0, "");
        assertEq(110, token.balanceOf(address(settler)), "both are held");
        assertTrue(settler.getHeldHash(victim) != 0, "and known apart");
    }

    function test_RefuseAnotherBlock() public {
        (bytes32 orderId, OriginSettler.Held memory held) = _open(address(token), 100);
        OriginSettler.InboxInBlock memory known;
        known.number = 9;
        known.header = hex"c0";
        roots.know(9, keccak256("the block"));
        _refuse(OriginSettler.WrongBlockHash.selector);
        settler.refund(orderId, held, known, "");
        known.number = 10;
        _refuse(OriginSettler.WrongBlockHash.selector);
        settler.refund(orderId, held, known, "");
    }

    function _openWith(address input, bytes4 selector) private {
        OnchainCrossChainOrder memory order = _onchain(_data(input, 100));
        if (selector != 0) _refuse(selector);
        vm.prank(user);
        settler.open(order);
    }

    function test_Tokens() public {
        FeeToken fee = new FeeToken();
        _provide(address(fee), user, 1_000);
        _openWith(address(fee), SettlerBase.LessArrived.selector);
        _openWith(address(new LyingToken()), SettlerBase.LessArrived.selector);
        _openWith(address(new FalseToken()), bytes4(keccak256("SafeERC20FailedOperation(address)")));
        SilentToken silent = new SilentToken();
        silent.mint(user, 100);
        vm.prank(user);
        silent.approve(address(settler), 100);
        _openWith(address(silent), 0);
        assertEq(100, silent.balanceOf(address(settler)), "a token that returns nothing");
    }

    /// @notice From within a token's transfer nothing can be opened, claimed, paid back, filled or closed.
    function test_Reentrancy() public {
        (bytes32 orderId, OriginSettler.Held memory held) = _open(address(token), 100);
        CallbackToken callback = new CallbackToken();
        _provide(address(callback), user, 1_000);
        OriginSettler.InboxInBlock memory none;
        OnchainCrossChainOrder memory order = _onchain(_data(ETHER, 1));
        bytes[] memory entries = new bytes[](4);
        entries[0] = abi.encodeCall(settler.open, (order));
        entries[1] = abi.encodeCall(settler.claim, (orderId, held, CLAIMANT, 1, 0, ""));
        entries[2] = abi.encodeCall(settler.refund, (orderId, held, none, ""));
        entries[3] = abi.encodeCall(settler.fill, (orderId, "", ""));
        for (uint256 i; i < entries.length; ++i) {
            callback.callBack(address(settler), entries[i]);
            _openWith(address(callback), SettlerBase.Reentered.selector);
        }
    }
}
