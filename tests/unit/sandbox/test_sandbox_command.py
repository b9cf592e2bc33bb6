"""`loadgen sandbox` says to the sandbox what it was told."""

from pathlib import Path

import pytest

import loadgen.sandbox
from loadgen.cli.app import run_app
from loadgen.sandbox import SandboxOptions
from loadgen.sandbox.azkaban.profile import PROFILES

SAID = {
    "--port": ("1", "port", 1),
    "--access-log": ("a", "access_log", Path("a")),
    "--state": ("s", "state", Path("s")),
    "--idle-exit": ("9", "idle_exit_s", 9),
    "--profile": ("3.57", "profile", "3.57"),
    "--lockdown": ("create", "lockdown", "create"),
    "--upload-user": ("u", "upload_user", "u"),
    "--session-ttl": ("2", "session_ttl_s", 2),
    "--session-calls": ("3", "session_calls", 3),
    "--max-sessions-per-user": ("4", "max_sessions_per_user", 4),
    "--threads": ("20", "threads", 20),
    "--latency": ("5", "latency_ms", 5),
    "--base-cost": ("6", "base_cost_ms", 6),
    "--cost-per-flow": ("7", "cost_per_flow_ms", 7),
    "--run-time": ("12", "run_time_ms", 12),
    "--flow-threads": ("13", "flow_threads", 13),
    "--queue-size": ("14", "queue_size", 14),
    "--scan-interval": ("15", "scan_interval_s", 15),
    "--fail-rate": ("0.25", "fail_rate", 0.25),
    "--drop-rate": ("0.5", "drop_rate", 0.5),
    "--seed": ("8", "seed", 8),
    "--front": ("create-job", "front", "create-job"),
    "--front-base-cost": ("10", "front_base_cost_ms", 10),
    "--front-cost-per-job": ("11", "front_cost_per_job_ms", 11),
}


@pytest.fixture
def served(monkeypatch):
    served: list[SandboxOptions] = []
    monkeypatch.setattr(loadgen.sandbox, "serve", lambda options, ready: served.append(options))
    return served


def test_every_option_arrives(served):
    words = [word for name, (value, _, _) in SAID.items() for word in (name, value)]
    assert run_app(["sandbox", "azkaban", *words, "--site-validator"]) == 0
    expected = SandboxOptions(site_validator=True, **{field: value for _, field, value in SAID.values()})
    assert served == [expected]


def test_without_any_they_are_the_sandbox_s_own(served):
    assert run_app(["sandbox", "azkaban"]) == 0
    assert served == [SandboxOptions(port=8081)]


@pytest.mark.parametrize("words", [["--profile", "5.0"], ["--lockdown", "all"], ["--front", "x"]])
def test_what_there_is_none_of_is_refused(served, words, capsys):
    assert run_app(["sandbox", "azkaban", *words]) == 2
    assert words[0] in capsys.readouterr().err
    assert served == []


def test_there_is_a_word_for_every_profile(served):
    for version in PROFILES:
        assert run_app(["sandbox", "azkaban", "--profile", version]) == 0
    assert [options.profile for options in served] == list(PROFILES)


def test_help_shows_the_options_in_groups(capsys):
    assert run_app(["sandbox", "--help"]) == 0
    said = capsys.readouterr().out
    order = [
        said.index(words)
        for words in (
            "\nOptions:",
            "--port",
            "\nSessions:",
            "--session-ttl",
            "\nWhat goes wrong:",
            "--drop-rate",
        )
    ]
    assert order == sorted(order)
