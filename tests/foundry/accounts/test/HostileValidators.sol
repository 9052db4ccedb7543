// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Says yes to everything, for no gas worth mentioning
contract YesValidator {
    fallback() external {
        assembly ("memory-safe") {
            mstore(0x00, 1)
            return(0x00, 0x20)
        }
    }
}

/// @title Answers with as many bytes, of the same word, as its signature says
contract TalkingValidator {
    fallback(bytes calldata input) external returns (bytes memory) {
        (, bytes memory signature,) = abi.decode(input[4:], (bytes32, bytes, bytes));
        (uint256 size, uint256 word) = abi.decode(signature, (uint256, uint256));
        assembly ("memory-safe") {
            let answer := mload(0x40)
            mstore(answer, word)
            mstore(add(answer, 0x20), word)
            return(answer, size)
        }
    }
}

/// @title Reverts, with the word that would be a yes
contract RevertingValidator {
    fallback() external {
        assembly ("memory-safe") {
            mstore(0x00, 1)
            revert(0x00, 0x20)
        }
    }
}

/// @title Burns what it is given
contract BurningValidator {
    fallback() external {
        assembly ("memory-safe") {
            for {} 1 {} {}
        }
    }
}

/// @title Would keep state
contract WritingValidator {
    fallback() external {
        assembly ("memory-safe") {
            sstore(0x00, 1)
            mstore(0x00, 1)
            return(0x00, 0x20)
        }
    }
}
