// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {DestinationSettler} from "./DestinationSettler.sol";
import {OriginSettler} from "./OriginSettler.sol";

/// @title Orders between one L2 and any keystore, in both directions (ERC-7683)
/// @notice No owner, no upgrade, no configuration. What differs is the bridge to L1: see `OpStackSettler`, `ArbitrumSettler`.
abstract contract KeystoreSettler is OriginSettler, DestinationSettler {}
