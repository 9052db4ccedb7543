"""Executing entries among which are carriers: what each of them brings is judged and executed right after it, by the
same function for sequencer, verifiers, replay and derivation.

One pass, in order, each record judged after the one before was executed. Taken is the record of an ordinary signed
action of the rollup, authentic, and with its signer's next nonce; every other one is skipped. What a carrier brings may
use a 64th of a block's rows, bytes and steps (`microrollup.execution.budget`); the first record that would exceed that,
and all after it, are skipped. A carrier for which its block has no such share left opens the next block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from microrollup.chain.carrier import CARRIER_EVENT, encode_bitmap
from microrollup.chain.receipt import EXECUTED, Receipt
from microrollup.execution.block_context import BlockContext
from microrollup.execution.budget import compute_share, find_block_excess
from microrollup.execution.stf import CarriedCandidate, ChainState, Entry, OverBudget, Stopped, apply_actions

if TYPE_CHECKING:
    from microrollup.declaration.rollup import MicroRollup

__all__ = ["apply_entries"]


def apply_entries(
    rollup: MicroRollup, state: ChainState, entries: Sequence[Entry], context: BlockContext
) -> tuple[ChainState, list[Entry], list[Receipt]]:
    """Execute entries in order: the state after them, all that was executed, and a receipt for each of these.

    What is executed are the entries, and after each carrier what was taken of it. Raises what `apply_actions` raises,
    with what was done until then: of a carrier all or nothing.
    """
    executed: list[Entry] = []
    receipts: list[Receipt] = []
    for run in _split(entries):
        try:
            if run[0].candidates is None:
                done = run
                state, made = apply_actions(rollup, state, run, context)
            else:
                state, done, made = _apply_carrier(rollup, state, run[0], run[0].candidates, context)
        except Stopped as stopped:
            stopped.entries = executed + run[: len(stopped.receipts)]
            stopped.receipts = receipts + stopped.receipts
            raise
        executed += done
        receipts += made
    return state, executed, receipts


def _split(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The same entries in runs; each carrier is one of its own."""
    if not [entry for entry in entries if entry.candidates is not None]:  # the rule
        if entries:
            yield list(entries)
        return
    run: list[Entry] = []
    for entry in entries:
        if entry.candidates is None:
            run.append(entry)
            continue
        if run:
            yield run
        yield [entry]
        run = []
    if run:
        yield run


def _apply_carrier(
    rollup: MicroRollup,
    before: ChainState,
    carrier: Entry,
    candidates: Sequence[CarriedCandidate],
    context: BlockContext,
) -> tuple[ChainState, list[Entry], list[Receipt]]:
    """The state after a carrier, the carrier with what was taken of it, and the receipts of these.

    Raises `OverBudget` before anything is executed, and `LimitHit` for a record that exhausts what the process allows:
    then the block is of no more use.
    """
    seq, state = context.next_seq, before
    ceiling, excess = compute_share(context.usage)
    done, receipts, marks = [carrier], list[Receipt](), [False] * len(candidates)
    try:
        if excess is not None and not context.rebuilt:
            raise OverBudget(seq, excess, alone=False)
        context.next_seq, context.ceiling = seq + 1, ceiling
        for index, candidate in enumerate(candidates):
            steps, entry = context.steps, candidate.entry
            context.steps += candidate.signature_steps
            if find_block_excess(context.usage, ceiling) is not None:
                context.steps = steps
                break
            if entry is None or entry.nonce != state.nonces.get(entry.sender, 0):
                continue
            try:
                state, made = apply_actions(rollup, state, [entry], context)
            except OverBudget:
                break
            marks[index] = True
            done.append(entry)
            receipts += made
    except Stopped as stopped:
        stopped.state, stopped.receipts = before, []
        raise
    finally:
        context.ceiling = None
    own = Receipt(seq, carrier.action_hash, EXECUTED, "", ((CARRIER_EVENT, encode_bitmap(marks)),))
    return msgspec.structs.replace(state, forced_count=state.forced_count + 1), done, [own, *receipts]
