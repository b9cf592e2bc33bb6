"""The commands in a row, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from loadgen.cli.check import check
from loadgen.cli.clean import clean
from loadgen.cli.compare import compare
from loadgen.cli.config import read_config
from loadgen.cli.grouped import Grouped
from loadgen.cli.init import init
from loadgen.cli.manifest import manifest
from loadgen.cli.report import report
from loadgen.cli.resume import resume
from loadgen.cli.run import run
from loadgen.cli.runs import make_runs
from loadgen.cli.sandbox import sandbox
from loadgen.cli.selftest import selftest
from loadgen.cli.steer import continue_, pause, set_, stop
from loadgen.cli.token import token
from loadgen.cli.worker import worker
from loadgen.errors import ExitCode, LoadgenError
from loadgen.version import __version__

EPILOG = """Exit codes: 0 all done; 1 internal error, or untrue times and --strict; 2 usage, configuration or
scenario mistake; 3 items failed or unknown; 4 incomplete but resumable; 5 verification mismatch; 99 a
threshold was crossed; 130/143 left at once on a second signal."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"loadgen {__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[  # noqa: ARG001 - taken out of the arguments before they are parsed
        bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")
    ] = False,
) -> None:
    """Batch load generator: every item exactly as often as promised, timed as truly as wrk."""
    commands: Mapping[str, Any] = context.command.commands  # type: ignore[attr-defined]
    options = {name: _parameters(command) for name, command in commands.items()}
    context.default_map = read_config(Path.cwd(), options)


def _parameters(command: Any) -> dict[str, str]:
    """A command's parameters, by the names of its options; a list may be called by the plural."""
    words = [(word, part) for part in command.params for word in part.opts if word.startswith("--")]
    names = {word.removeprefix("--").replace("-", "_"): part for word, part in words}
    lists = {f"{name}s": part for name, part in names.items() if getattr(part, "multiple", False)}
    return {name: part.name for name, part in {**lists, **names}.items()}


def make_app() -> typer.Typer:
    """The command line."""
    app = typer.Typer(
        name="loadgen",
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        epilog=EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(epilog=EPILOG)(_root)
    for command in (
        init,
        run,
        check,
        worker,
        resume,
        report,
        compare,
        manifest,
        clean,
        sandbox,
        selftest,
        token,
    ):
        app.command(cls=Grouped)(command)
    steering: Mapping[str, Any] = {"pause": pause, "continue": continue_, "stop": stop, "set": set_}
    for name, function in steering.items():
        app.command(name, cls=Grouped)(function)
    app.add_typer(make_runs())
    return app


def run_app(argv: Sequence[str]) -> int:
    """Run a command line; every error becomes one line on stderr and an exit code."""
    debug = "--debug" in argv or bool(os.environ.get("LOADGEN_DEBUG"))
    arguments = [argument for argument in argv if argument != "--debug"]
    try:
        code = make_app()(args=arguments or ["--help"], prog_name="loadgen", standalone_mode=False)
        return int(code or 0) if arguments else ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.SIGINT
    except LoadgenError as error:
        return _fail(error, str(error), error.exit_code, debug=debug)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left: nothing to say, nobody to say it to
        return ExitCode.INTERNAL
    except Exception as error:
        # click's errors, or those of the copy of click that newer typers carry: no common class has them all
        if format_message := getattr(error, "format_message", None):
            return _fail(error, " ".join(format_message().split()), ExitCode.USAGE, debug=debug)
        text = f"internal error: {type(error).__name__}: {error} (run again with --debug for the traceback)"
        return _fail(error, text, ExitCode.INTERNAL, debug=debug)


def _fail(error: Exception, text: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    print(f"loadgen: {text}", file=sys.stderr)  # noqa: T201 - the one line
    return code
