"""`loadgen run --top-up`: what is there stays as it is, what is missing is made."""

from tests.e2e.harness import THINGS, Cli, Seen, Target

LOOKS = f"""{THINGS}

@put.exists
def is_there(http: Session, item: int, options: Options) -> bool:
    return http.get(f"/things/{{item}}", expect=404).status_code == 200
"""


def test_only_what_is_missing_is_made(cli: Cli, target: Target) -> None:
    shelf = {f"/things/{number}" for number in range(20) if number not in (3, 11)}

    def answer(seen: Seen) -> tuple[int, str]:
        if seen.method == "POST":
            shelf.add(seen.path)
        return (200 if seen.path in shelf else 404), "{}"

    target.answer = answer
    ended = cli.run(cli.scenario(LOOKS), "--target", target.url, "--top-up")
    assert ended.code == 0, ended
    assert sorted(seen.path for seen in target.seen if seen.method == "POST") == ["/things/11", "/things/3"]
    summary = cli.summary()
    assert summary["items"]["done"] == 20
    assert (summary["attempts"]["total"], summary["attempts"]["found"]) == (2, 18)
    assert summary["steps"][0]["item_time"]["count"] == 2
    assert "18 items were there already" in ended.out


def test_a_step_that_cannot_look_is_refused(cli: Cli, target: Target) -> None:
    cli.run(cli.scenario(), "--target", target.url, "--top-up").complains(2, "put has no exists")
    assert not target.seen
