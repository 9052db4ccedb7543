"""Options of the commands that serve chains until a signal ends them: what is paid, how often they look."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import click

from microrollup.cli.deploying import read_ether
from microrollup.cli.parameters import PATH
from microrollup.settlement.ethereum.options import EthereumOptions

__all__ = ["make_chain_options", "max_fee_option", "serve_until_signal", "serving_options"]

_GWEI: Final = 10**9
_ANSWER_BYTES: Final = 8 << 20
"""What they ask for is shorter, and JSON takes many times its length in memory."""

F = TypeVar("F", bound=Callable[..., Any])

max_fee_option = click.option(
    "--max-fee", type=click.FloatRange(0, 10**6), default=100.0, metavar="GWEI",
    help="The most that is paid for a unit of gas [default: 100].",
)  # fmt: skip


def serving_options(*, poll: float, looks: str) -> Callable[[F], F]:
    """`--chain` as `urls`, `--key` as `key_path`, `--budget`, `--max-fee`, `--poll`, `--bump` and `--once`.

    `looks` says what `--poll` is between.
    """
    options = (
        click.option(
            "--chain", "urls", multiple=True, required=True, metavar="URL", help="A chain's node; again for more."
        ),
        click.option(
            "--key", "key_path", type=PATH, required=True, metavar="FILE", help="The key that pays on all chains."
        ),
        click.option(
            "--budget", type=read_ether, default="0.1", metavar="ETHER",
            help="What a chain's transactions may cost in all [default: 0.1].",
        ),
        max_fee_option,
        click.option(
            "--poll", type=click.FloatRange(0.05, 3600), default=poll, metavar="SECONDS",
            help=f"Between two looks at {looks} [default: {poll:g}].",
        ),
        click.option(
            "--bump", type=click.FloatRange(0.1, 3600), default=36.0, metavar="SECONDS",
            help="After which a transaction that is not included gets a higher fee [default: 36].",
        ),
        click.option("--once", is_flag=True, help="End when nothing is left that could be sent."),
    )  # fmt: skip

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def make_chain_options(max_fee: float, bump: float = 36.0, headers: tuple[str, ...] = ()) -> EthereumOptions:
    """How a chain is asked and paid, without its URL: `max_fee` in gwei, `bump` in seconds."""
    return EthereumOptions(
        "", headers, max_fee_per_gas=int(max_fee * _GWEI), bump_seconds=bump, settle_seconds=10 * bump, retries=2,
        answer_bytes=_ANSWER_BYTES,
    )  # fmt: skip


class _Service(Protocol):
    async def run(self) -> None: ...

    def stop(self) -> None: ...


async def serve_until_signal(service: _Service) -> None:
    """Run a service; SIGINT and SIGTERM stop it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.stop)
    await service.run()
