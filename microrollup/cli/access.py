"""The options that say who may use a server, and whose word it takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from microrollup.cli.parameters import PATH
from microrollup.errors import UsageError
from microrollup.rpc.access import Access
from microrollup.rpc.origins import read_origin
from microrollup.rpc.proxies import PROXY_HEADERS, Network, ProxyHeader, TrustedProxies, read_proxy
from microrollup.rpc.write_tokens import read_write_tokens

__all__ = ["access_options"]

F = TypeVar("F", bound=Callable[..., Any])


def access_options(function: F) -> F:
    """`--allow-host`, `--allow-origin`, `--trusted-proxy`, `--write-token-file`; the command gets `access`."""

    @click.option(
        "--allow-host",
        "hosts",
        multiple=True,
        metavar="NAME",
        help="Answer clients that call this server by this name; repeatable.",
    )
    @click.option(
        "--allow-origin",
        "origins",
        type=read_origin,
        multiple=True,
        metavar="ORIGIN",
        help="Let web pages of this origin use this server; repeatable.",
    )
    @click.option(
        "--trusted-proxy",
        "proxies",
        type=read_proxy,
        multiple=True,
        metavar="ADDRESS|NETWORK",
        help="Take the client's address from what this proxy says, for --rate; repeatable.",
    )
    @click.option(
        "--proxy-header",
        type=click.Choice(PROXY_HEADERS),
        help="The header in which it says so [default: x-forwarded-for].",
    )
    @click.option(
        "--write-token-file",
        type=PATH,
        metavar="FILE",
        help="Take actions only with a token of this file, one per line, as `Authorization: Bearer`.",
    )
    @wraps(function)
    def wrapped(
        *arguments: Any,
        hosts: tuple[str, ...],
        origins: tuple[str, ...],
        proxies: tuple[Network, ...],
        proxy_header: ProxyHeader | None,
        write_token_file: Path | None,
        **others: Any,
    ) -> Any:
        if proxy_header is not None and not proxies:
            raise UsageError("--proxy-header has no effect without --trusted-proxy")
        access = Access(
            frozenset(name.lower() for name in hosts),
            frozenset(origins),
            TrustedProxies(proxies, proxy_header or PROXY_HEADERS[0]),
            None if write_token_file is None else read_write_tokens(write_token_file),
        )
        return function(*arguments, access=access, **others)

    return wrapped  # type: ignore[return-value]  # the wrapper takes the options in place of `access`
