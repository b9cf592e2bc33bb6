"""`loadgen token`: make an identity that lasts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from loadgen.cli import words


def token(
    address: Annotated[
        str, typer.Argument(metavar="HOST[:PORT]", help="Where workers will reach masters of this machine.")
    ] = f"localhost:{words.PORT}",
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="F", help="Where to write the token.  [default: the state directory]"),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget the lasting identity instead.")] = False,
) -> None:
    """Make a lasting token: all later runs of this machine accept it, instead of one of their own each.

    Copy the file to the machines of your workers, and start them with --token-file F --stay.
    """
    from loadgen.cli.order import lasting_identity_file
    from loadgen.queues import token as tokens
    from loadgen.queues.identity import new_identity

    kept = lasting_identity_file()
    if remove:
        kept.unlink(missing_ok=True)
        typer.echo("runs of this machine make their own tokens again")
        return
    host, port = tokens.split_address(address, words.PORT)
    identity = new_identity()
    identity.save(kept)
    path = file or tokens.state_directory(os.environ) / "lasting.token"
    tokens.write(path, identity.token(f"{host}:{port}"))
    typer.echo(f"token for workers: {path}")
    typer.echo(f"  loadgen worker --server {host}:{port} --token-file {path.name} --stay")
