// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IBatchVerifier} from "microrollup/IBatchVerifier.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";

/// @notice RISC Zero's published interface (`IRiscZeroVerifier`): reverts unless the seal proves the journal.
interface IRiscZeroVerifier {
    function verify(bytes calldata seal, bytes32 imageId, bytes32 journalDigest) external view;
}

/// @notice SP1's published interface (`ISP1Verifier`): the same of a program and its public values.
interface ISP1Verifier {
    function verifyProof(bytes32 programVKey, bytes calldata publicValues, bytes calldata proofBytes) external view;
}

/// @notice In place of both vendors' contracts: a proof is right if it is the hash of what it is about.
contract VendorMock is IRiscZeroVerifier, ISP1Verifier {
    error VerificationFailed();

    function verify(bytes calldata seal, bytes32 imageId, bytes32 journalDigest) external pure {
        if (keccak256(seal) != keccak256(abi.encode(imageId, journalDigest))) revert VerificationFailed();
    }

    function verifyProof(bytes32 programVKey, bytes calldata publicValues, bytes calldata proofBytes) external pure {
        if (keccak256(proofBytes) != keccak256(abi.encode(programVKey, publicValues))) revert VerificationFailed();
    }
}

/// @notice The guest's journal is the 32 bytes of the statement.
contract RiscZeroAdapter is IBatchVerifier {
    IRiscZeroVerifier private immutable _vendor;
    bytes32 private immutable _stfId;
    bytes32 private immutable _imageId;

    constructor(IRiscZeroVerifier vendor, bytes32 stfId, bytes32 imageId) {
        (_vendor, _stfId, _imageId) = (vendor, stfId, imageId);
    }

    function verify(bytes32 stfId, bytes32 statement, bytes calldata proof) external view returns (bytes4) {
        require(stfId == _stfId);
        _vendor.verify(proof, _imageId, sha256(abi.encodePacked(statement)));
        return IBatchVerifier.verify.selector;
    }
}

/// @notice The public values are the 32 bytes of the statement.
contract Sp1Adapter is IBatchVerifier {
    ISP1Verifier private immutable _vendor;
    bytes32 private immutable _stfId;
    bytes32 private immutable _programVKey;

    constructor(ISP1Verifier vendor, bytes32 stfId, bytes32 programVKey) {
        (_vendor, _stfId, _programVKey) = (vendor, stfId, programVKey);
    }

    function verify(bytes32 stfId, bytes32 statement, bytes calldata proof) external view returns (bytes4) {
        require(stfId == _stfId);
        _vendor.verifyProof(_programVKey, abi.encodePacked(statement), proof);
        return IBatchVerifier.verify.selector;
    }
}

/// @notice Attested hardware: whoever checked the enclave's attestation document made this with the key that it holds; the enclave signs
/// the statement (of AWS Nitro, its `user_data`) and nothing else.
contract EnclaveAdapter is IBatchVerifier {
    address private immutable _enclave;
    bytes32 private immutable _stfId;

    constructor(address enclave, bytes32 stfId) {
        (_enclave, _stfId) = (enclave, stfId);
    }

    function verify(bytes32 stfId, bytes32 statement, bytes calldata proof) external view returns (bytes4) {
        (bytes32 r, bytes32 s, uint8 v) = abi.decode(proof, (bytes32, bytes32, uint8));
        require(stfId == _stfId && ecrecover(statement, v, r, s) == _enclave);
        return IBatchVerifier.verify.selector;
    }
}

/// @notice A verifier that does what it is told, none of which is to answer as it should, but once.
contract HostileVerifier {
    enum Way {
        Yes,
        Revert,
        Bomb,
        BurnGas,
        ReturnNothing,
        ReturnShort,
        ReturnLong,
        ReturnOther,
        ReturnHuge,
        Write,
        Reenter
    }

    Way public way;
    uint256 private _written;
    bytes private _call;

    function setWay(Way next) external {
        way = next;
    }

    function setCall(bytes calldata input) external {
        _call = input;
    }

    fallback() external {
        bytes4 yes = IBatchVerifier.verify.selector;
        if (way == Way.Revert) revert("no");
        if (way == Way.Bomb) {
            assembly {
                revert(0, 100000)
            }
        }
        while (way == Way.BurnGas) {}
        if (way == Way.Write) _written = 1;
        if (way == Way.Reenter) {
            (bool known,) = msg.sender.call(_call);
            if (known) yes = 0;
            else if (gasleft() > 0) revert("refused");
        }
        bytes memory answer = abi.encode(yes);
        if (way == Way.ReturnNothing) answer = "";
        if (way == Way.ReturnShort) answer = abi.encodePacked(yes);
        if (way == Way.ReturnLong) answer = abi.encode(yes, yes);
        if (way == Way.ReturnOther) answer = abi.encode(true);
        if (way == Way.ReturnHuge) answer = new bytes(50_000);
        assembly {
            return(add(answer, 32), mload(answer))
        }
    }
}
