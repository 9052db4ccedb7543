// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IArbitrumInbox, ICrossDomainMessenger, IL1Block, IMessageOrigin} from "keystore/IMessengers.sol";

/// @title OP-stack's two messengers in one contract: what goes in on L1 is relayed on L2 when the test says so
/// @notice The bridges' own contracts do not run on one chain; this has their interface, and names the sender only during
/// a relay, as they do.
contract OpStackBridge is ICrossDomainMessenger {
    struct Message {
        address sender;
        address target;
        bytes data;
        uint32 minGasLimit;
    }

    error NoRelay();

    Message[] public messages;
    address private _sender;

    function sendMessage(address target, bytes calldata data, uint32 minGasLimit) external payable {
        messages.push(Message(msg.sender, target, data, minGasLimit));
    }

    function xDomainMessageSender() external view returns (address) {
        if (_sender == address(0)) revert NoRelay();
        return _sender;
    }

    function relay(uint256 index) external {
        Message memory message = messages[index];
        _sender = message.sender;
        (bool success, bytes memory answer) = message.target.call(message.data);
        _sender = address(0);
        if (!success) {
            assembly {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }
}

/// @title Arbitrum's delayed inbox: keeps the tickets, which the test redeems under the sender's alias
contract ArbitrumBridge is IArbitrumInbox {
    struct Ticket {
        address sender;
        address to;
        uint256 value;
        uint256 maxSubmissionCost;
        address refundTo;
        address cancelBy;
        uint256 gasLimit;
        uint256 maxFeePerGas;
        bytes data;
    }

    error InsufficientValue(uint256 expected, uint256 found);

    Ticket public ticket;

    function createRetryableTicket(
        address to,
        uint256 l2CallValue,
        uint256 maxSubmissionCost,
        address excessFeeRefundAddress,
        address callValueRefundAddress,
        uint256 gasLimit,
        uint256 maxFeePerGas,
        bytes calldata data
    ) external payable returns (uint256) {
        uint256 expected = maxSubmissionCost + l2CallValue + gasLimit * maxFeePerGas;
        if (msg.value < expected) revert InsufficientValue(expected, msg.value);
        ticket = Ticket(
            msg.sender,
            to,
            msg.value,
            maxSubmissionCost,
            excessFeeRefundAddress,
            callValueRefundAddress,
            gasLimit,
            maxFeePerGas,
            data
        );
        return 1;
    }
}

/// @title OP-stack's predeploy L1Block: what L2 knows of L1's newest block
contract L1BlockTwin is IL1Block {
    uint64 public number;
    uint64 public timestamp;
    bytes32 public hash;

    function set(uint64 number_, uint64 timestamp_, bytes32 hash_) external {
        (number, timestamp, hash) = (number_, timestamp_, hash_);
    }
}

/// @title Believes one account
contract OneOrigin is IMessageOrigin {
    address private immutable _believed;

    constructor(address believed) {
        _believed = believed;
    }

    function isBroadcaster(address caller) external view returns (bool) {
        return caller == _believed;
    }
}
