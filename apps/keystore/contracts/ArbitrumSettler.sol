// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IArbSys} from "./IArbitrumExits.sol";
import {KeystoreSettler} from "./KeystoreSettler.sol";

/// @title The settler on an Arbitrum chain
/// @notice Only orders out of the keystore: the chain does not show L1's blocks, so that nothing could be paid back, and `open`
/// refuses.
contract ArbitrumSettler is KeystoreSettler {
    IArbSys private constant _ARB_SYS = IArbSys(address(100));

    function _tell(address receiver, bytes memory message) internal override {
        _ARB_SYS.sendTxToL1(receiver, message);
    }
}
