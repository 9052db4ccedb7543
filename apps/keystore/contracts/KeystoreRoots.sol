// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {IL1Block, IMessageOrigin} from "./IMessengers.sol";
import {InboxProof} from "./InboxProof.sol";
import {IRootReceiver} from "./IRootReceiver.sol";
import {RootHistory} from "./RootHistory.sol";

/// @title The keystore's settled roots on one chain
/// @notice Three ways lead here, and all end in L1's own word. A message: the broadcaster on L1 reads the inbox and sends
/// through the chain's bridge. A proof: anybody shows the inbox's storage in an L1 block whose hash the chain exposes. And on
/// L1 itself the inbox is read. The creation code and its arguments are the same on all of them.
/// There is no owner, and nothing can be changed.
contract KeystoreRoots is RootHistory, IRootReceiver {
    /// @notice So many L1 blocks can be proven against, the last one aside: 51 minutes of 12-second blocks at least.
    uint256 public constant BLOCK_HASHES = 256;

    /// @notice The inbox on L1, whose storage is proven or read.
    address public immutable inbox;
    /// @notice Says who speaks for the broadcaster; zero if no message is taken.
    IMessageOrigin public immutable origin;
    /// @notice OP-stack's predeploy L1Block; on a chain of another kind nothing is there, and nothing can be proven.
    IL1Block public immutable l1Block;

    bytes32[BLOCK_HASHES] private _blockHashes;

    constructor(address inbox_, IMessageOrigin origin_, IL1Block l1Block_) {
        inbox = inbox_;
        origin = origin_;
        l1Block = l1Block_;
    }

    /// @inheritdoc IRootReceiver
    function receiveRoot(bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) external {
        if (address(origin) == address(0) || !origin.isBroadcaster(msg.sender)) revert UnknownMessenger(msg.sender);
        _show(root, height, l1Time, settledAt);
    }

    /// @notice On L1 itself: take what the inbox holds now. Anybody may call.
    /// @dev On any other chain nothing is at the inbox's address: it follows from a creation code that runs on L1 only.
    function readInbox() external {
        if (inbox.code.length == 0) revert NoInbox();
        IRollupInbox.Settled memory settled = IRollupInbox(inbox).settled();
        _show(settled.stateRoot, uint64(settled.height), uint64(block.timestamp), uint64(settled.l1Time));
    }

    /// @notice Keep the hash of the L1 block that the chain knows now, so that a proof against it is good for as long as
    /// `BLOCK_HASHES` says. Anybody may call.
    function recordBlockHash() external returns (uint64 number, bytes32 blockHash) {
        _verifyL1Block();
        number = l1Block.number();
        blockHash = l1Block.hash();
        _blockHashes[number % BLOCK_HASHES] = blockHash;
        emit BlockHashRecorded(number, blockHash);
    }

    /// @notice Show what the inbox held in the L1 block of a number: the one that the chain knows now, or a recorded one.
    /// Anybody may call. The header is in RLP; the proofs are those of `eth_getProof` for the inbox, its slot 0 and its slot
    /// 1. Reverts with `WrongBlockHash` or `BadProof`, and as every showing does.
    function proveRoot(
        uint64 number,
        bytes calldata header,
        bytes[] calldata accountProof,
        bytes[] calldata rootProof,
        bytes[] calldata headProof
    ) external {
        bytes32 expected = getBlockHash(number);
        bytes32 found = keccak256(header);
        if (found != expected) revert WrongBlockHash(expected, found);
        (bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) =
            InboxProof.read(header, inbox, accountProof, rootProof, headProof);
        _show(root, height, l1Time, settledAt);
    }

    /// @notice The hash against which a proof for the L1 block of a number is held. Where the number is neither the present
    /// one nor a recorded one it is another block's hash, or zero, which no header of that number has.
    function getBlockHash(uint64 number) public view returns (bytes32) {
        _verifyL1Block();
        return number == l1Block.number() ? l1Block.hash() : _blockHashes[number % BLOCK_HASHES];
    }

    /// @dev Chains without the predeploy get the same argument as those with it, or their roots had another address.
    function _verifyL1Block() private view {
        if (address(l1Block).code.length == 0) revert NoL1Block();
    }
}
