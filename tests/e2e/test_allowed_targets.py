"""A target that is not on this machine is allowed once, before anything is sent."""

from __future__ import annotations

from harness import Cli, Target

FAR = "http://target.test:8081"
"""A proxy on loopback stands in for the way there: no name is looked up."""


def test_a_far_target_is_allowed_once(cli: Cli, target: Target) -> None:
    proxied = {"http_proxy": target.url}
    things = ("--target", FAR, "--set", "things=3")
    path = cli.scenario()
    cli.here("run", path, *things, env=proxied).complains(2, "target.test:8081", "--allow-target")
    assert (cli.directories(), target.seen) == ([], [])
    ended = cli.run(path, *things, "--allow-target", env=proxied)
    assert (ended.code, ended.err) == (0, "")
    assert target.count(FAR) == {f"{FAR}/things/{n}": 1 for n in range(3)}
    taken = cli.run(path, *things, "--listen", f"127.0.0.1:{target.port}", env=proxied)
    taken.complains(2, str(target.port), "in use")  # the target was no question any more
    again = ("latest", "--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1)
    moved = cli.here("resume", *again, "--target", "http://elsewhere.test")
    moved.complains(2, "elsewhere.test:80", "--allow-target")
