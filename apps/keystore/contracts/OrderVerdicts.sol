// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IMessageOrigin} from "./IMessengers.sol";
import {IOrderVerdicts} from "./IOrderVerdicts.sol";

/// @title What settlers on other chains say, kept on L1 for a vault
/// @notice Made before the vault, which names it for ever; it knows neither vault nor rollup, and anybody may read. Its
/// settlers are chosen when it is made: for each chain the contract that tells whether the caller speaks for the settler.
contract OrderVerdicts is IOrderVerdicts {
    /// @notice A chain, and who says that a call comes from its settler.
    struct Source {
        uint64 chainId;
        IMessageOrigin origin;
    }

    struct Verdict {
        bool isKnown;
        address claimant;
    }

    mapping(uint64 chainId => IMessageOrigin) public origins;
    mapping(bytes32 place => Verdict) private _verdicts;

    constructor(Source[] memory sources) {
        for (uint256 i; i < sources.length; ++i) {
            uint64 chainId = sources[i].chainId;
            if (address(origins[chainId]) != address(0)) revert ChainTwice(chainId);
            origins[chainId] = sources[i].origin;
        }
    }

    /// @inheritdoc IOrderVerdicts
    function receiveVerdict(uint64 chainId, bytes32 orderId, bytes32 orderHash, address claimant) external {
        IMessageOrigin origin = origins[chainId];
        if (address(origin) == address(0) || !origin.isBroadcaster(msg.sender)) {
            revert UnknownMessenger(chainId, msg.sender);
        }
        Verdict storage verdict = _verdicts[_locate(chainId, orderId, orderHash)];
        if (verdict.isKnown) return;
        (verdict.isKnown, verdict.claimant) = (true, claimant);
        emit VerdictReceived(chainId, orderId, orderHash, claimant);
    }

    /// @inheritdoc IOrderVerdicts
    function getVerdict(uint64 chainId, bytes32 orderId, bytes32 orderHash)
        external
        view
        returns (bool isKnown, address claimant)
    {
        Verdict storage verdict = _verdicts[_locate(chainId, orderId, orderHash)];
        return (verdict.isKnown, verdict.claimant);
    }

    function _locate(uint64 chainId, bytes32 orderId, bytes32 orderHash) private pure returns (bytes32) {
        return keccak256(abi.encode(chainId, orderId, orderHash));
    }
}
