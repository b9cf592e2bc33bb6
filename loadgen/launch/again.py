"""This program once more, as a process of its own, to its end: for a command that is made of runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import loadgen


def again(arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Run `loadgen ARGUMENTS` in `folder`, away from the user's settings; returns its last words on stderr.

    Neither `LOADGEN_*` nor a `loadgen.toml` reach it, and its tokens lie in the folder.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("LOADGEN_")}
    package = str(Path(loadgen.__file__).parent.parent)  # also where it is not installed
    paths = [package, *filter(None, [environ.get("PYTHONPATH")])]
    mine = {"LOADGEN_STATE_DIR": str(folder / "state"), "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "loadgen", *arguments],
        cwd=folder,
        env={**kept, **mine},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stderr.strip().splitlines()
    return lines[-1].removeprefix("loadgen: ") if lines else ""
