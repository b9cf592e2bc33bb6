"""`sandbox:azkaban?front=create-job`: options of `loadgen sandbox` in a target's name."""

import pytest

from loadgen.cli.sandbox_target import SandboxTarget
from loadgen.errors import UsageError


def test_a_url_is_none() -> None:
    assert SandboxTarget.parse("http://127.0.0.1:8081/?front=create-job") is None


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("sandbox:azkaban", ()),
        ("sandbox:azkaban?", ()),
        ("sandbox:azkaban?front=create-job&seed=-7", ("--front=create-job", "--seed=-7")),
        ("sandbox:azkaban?site-validator&state=a%26b.jsonl", ("--site-validator", "--state=a&b.jsonl")),
    ],
)
def test_options_become_words_of_the_command(target: str, options: tuple[str, ...]) -> None:
    assert SandboxTarget.parse(target) == SandboxTarget("azkaban", options)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("fornt=create-job", "no option --fornt"),
        ("help", "no option --help"),
        ("front=jobs", "--front.*'jobs'"),
        ("front", "--front"),
        ("latency=slow", "--latency"),
        ("drop-rate=2", "--drop-rate"),
        ("site-validator=yes", "--site-validator"),
    ],
)
def test_what_the_command_would_refuse_is_refused_in_one_line(query: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        SandboxTarget.parse(f"sandbox:azkaban?{query}")
    assert str(refused.value).startswith(f"target sandbox:azkaban?{query}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["oozie", "delay", "", "azkaban/?seed=1"])
def test_a_sandbox_that_there_is_not(name: str) -> None:
    with pytest.raises(UsageError, match="no such sandbox; there is sandbox:azkaban"):
        SandboxTarget.parse(f"sandbox:{name}")
