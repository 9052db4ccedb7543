// viem, but for `decodeErrorResult`: the contract that simulates a validation reverts with `DelegateAndRevert`, in which what
// it found is wrapped, a result or a refusal.
import { decodeErrorResult as decode, decodeFunctionResult, parseAbi } from "viem";

export * from "viem";

const envelope = parseAbi(["error DelegateAndRevert(bool success, bytes ret)"]);
const refusals = parseAbi([
  "error FailedOp(uint256 opIndex, string reason)",
  "error FailedOpWithRevert(uint256 opIndex, string reason, bytes inner)",
]);

export const decodeErrorResult = ({ abi, data }) => {
  let success;
  let found;
  try {
    [success, found] = decode({ abi: envelope, data }).args;
  } catch {
    return decode({ abi, data });
  }
  if (success) {
    const result = decodeFunctionResult({ abi, functionName: "simulateValidation", data: found });
    return { errorName: "ValidationResult", args: [result] };
  }
  const { errorName, args } = decode({ abi: refusals, data: found });
  return { errorName: args[1] ?? errorName, args };
};
