"""Which targets are free, which were allowed, and how much is too much."""

from __future__ import annotations

import pytest

from loadgen.guard import Place, Rules, cap, is_allowed


@pytest.mark.parametrize(
    ("url", "free"),
    [
        ("http://127.0.0.1:8081", True),
        ("http://127.255.3.4", True),
        ("https://[::1]:8443", True),
        ("http://LocalHost:80", True),
        ("http://azkaban.test:8081", False),
        ("http://10.0.0.1", False),
        ("http://128.0.0.1", False),
        ("http://0.0.0.0:80", False),
        ("http://[::]:80", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://127.1", False),  # whoever resolves it may find loopback; we do not resolve
        ("http://localhost.example", False),
        ("http://127.0.0.1.example:80", False),
        ("http://127.0.0.1@prod.example", False),
        ("http://localhost.", False),
    ],
)
def test_only_loopback_is_free(url: str, free: bool) -> None:
    """By its address, or by the one name that means it everywhere."""
    assert Place.of(url).is_loopback is free
    assert is_allowed(Place.of(url), Rules(), ()) is free


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://Azkaban.Test:8081/base/", "azkaban.test:8081"),
        ("http://azkaban.test", "azkaban.test:80"),
        ("https://azkaban.test", "azkaban.test:443"),
        ("http://[2001:DB8::5]:81", "[2001:db8::5]:81"),
    ],
)
def test_a_place_is_remembered_as_host_and_port(url: str, name: str) -> None:
    """And found again so, whatever the path."""
    assert str(Place.of(url)) == name
    assert is_allowed(Place.of(url), Rules(), {name})
    assert not is_allowed(Place.of(url), Rules(), {"other.test:80"})


@pytest.mark.parametrize(
    ("pattern", "url", "matching"),
    [
        ("azkaban.test:8081", "http://azkaban.test:8081", True),
        ("azkaban.test:8081", "http://azkaban.test:8082", False),
        ("azkaban.test", "http://azkaban.test:8082", True),
        ("AZKABAN.test", "http://azkaban.test:8082", True),
        ("http://azkaban.test:8081", "http://azkaban.test:8081/x", True),
        ("http://azkaban.test:8081/", "https://azkaban.test:8081", False),
        ("http://azkaban.test", "http://azkaban.test:80", True),
        ("http://azkaban.test", "http://azkaban.test:8081", False),
        ("https://*.staging.example", "https://a.staging.example", True),
        ("*.staging.example", "http://a.staging.example:9000", True),
        ("*.staging.example", "http://staging.example", False),
        ("*.staging.example", "http://a.staging.example.evil.example", False),
        ("*.staging.example:80", "http://a.staging.example", True),
        ("10.0.0.?", "http://10.0.0.7", True),
        ("[2001:db8::5]:81", "http://[2001:db8::5]:81", True),
        ("[2001:db8::5]", "http://[2001:db8::5]:81", True),
        ("[2001:db8::*]:81", "http://[2001:db8::6]:81", True),
        ("", "http://azkaban.test", False),
    ],
)
def test_patterns(pattern: str, url: str, matching: bool) -> None:
    """Hosts, with or without a port; or the start of a URL."""
    assert Place.of(url).matches(pattern) is matching
    assert is_allowed(Place.of(url), Rules(allow=("nothing.test", pattern)), ()) is matching


def test_the_lowest_cap_that_holds() -> None:
    """Whatever the order; also on loopback."""
    rules = Rules(caps={"*": 500, "azkaban.test:8081": 20, "azkaban.test": 100})
    assert cap(Place.of("http://azkaban.test:8081"), rules) == ("azkaban.test:8081", 20)
    assert cap(Place.of("http://azkaban.test:80"), rules) == ("azkaban.test", 100)
    assert cap(Place.of("http://localhost"), rules) == ("*", 500)
    assert cap(Place.of("http://localhost"), Rules()) is None
