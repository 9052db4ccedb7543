"""A state of states of states: fields of every kind at every depth, and functions of the whole and of parts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from microrollup import (
    Action,
    Context,
    Map,
    MicroRollup,
    State,
    Uint8,
    Uint32,
    Uint64,
    leaf_value,
    metadata,
    replace,
    require,
)
from nested_wallets import Sent, Transfer, Wallets, transfer

__all__ = ["Buy", "Clock", "Game", "Grid", "Mark", "Mint", "Sent", "Tick", "Transfer", "Wallets", "app", "make_genesis"]

PRICE = 5


class Cell(msgspec.Struct, frozen=True):
    owner: Uint64
    mark: Uint8


def encode_cell(cell: Cell) -> bytes:
    return bytes([cell.mark]) + cell.owner.to_bytes(8, "big")


class Clock(State, frozen=True):
    """A part of a part."""

    ticks: Annotated[Uint64, metadata] = 0
    round: Uint32 = 1


class Grid(State, frozen=True):
    clock: Clock = Clock()
    cells: Annotated[Map[Uint32, Cell], leaf_value(encode_cell)] = Map()


class Game(State, frozen=True):
    wallets: Wallets
    players: Uint32
    grid: Grid
    marks: Annotated[Map[Uint8, Uint32], metadata] = Map()


class Mint(Action, frozen=True):
    amount: Uint8


class Tick(Action, frozen=True):
    by: Uint8


class Mark(Action, frozen=True):
    at: Uint8
    mark: Uint8


class Buy(Action, frozen=True):
    at: Uint8


def mint(state: Wallets, action: Mint, ctx: Context) -> Wallets:
    balance = state.balances.get(ctx.sender, 0) + action.amount
    return replace(state, balances=state.balances.set(ctx.sender, balance), supply=state.supply + action.amount)


def tick(state: Clock, action: Tick, ctx: Context) -> Clock:
    require(action.by != 13, "never thirteen")
    return replace(state, ticks=state.ticks + action.by, round=state.round + (action.by > 100))


def mark(state: Grid, action: Mark, ctx: Context) -> Grid:
    if action.mark == 0:
        return replace(state, cells=state.cells.delete(action.at))
    return replace(state, cells=state.cells.set(action.at, Cell(state.clock.round, action.mark)))


def buy(state: Game, action: Buy, ctx: Context) -> Game:
    """Changes parts at both depths, and fields of the state's own."""
    have = state.wallets.balances.get(ctx.sender, 0)
    require(have >= PRICE, "too little")
    wallets = state.wallets
    wallets = replace(wallets, balances=wallets.balances.set(ctx.sender, have - PRICE), supply=wallets.supply - PRICE)
    clock = replace(state.grid.clock, ticks=state.grid.clock.ticks + 1)
    grid = replace(state.grid, clock=clock, cells=state.grid.cells.set(action.at, Cell(clock.round, 255)))
    marks = state.marks.set(action.at, state.marks.get(action.at, 0) + 1)
    return replace(state, wallets=wallets, grid=grid, marks=marks, players=state.players + 1)


def make_genesis(entries: int) -> Game:
    """Wallets of so many senders, each with 100."""
    balances = {index.to_bytes(20, "big"): 100 for index in range(1, entries + 1)}
    return Game(wallets=Wallets(balances=Map(balances), supply=100 * entries), players=0, grid=Grid())


app = MicroRollup(name="nested", version="1", genesis=make_genesis(3), stfs=[transfer, mint, tick, mark, buy])
