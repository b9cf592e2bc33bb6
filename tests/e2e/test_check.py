"""`loadgen check`: one item of each step, shown and counted; nothing at all with --no-call."""

from harness import Cli, Seen, Target

SHOP = '''"""Fill a shop."""

from dataclasses import dataclass

from loadgen import Call, Scenario, Session, option


@dataclass(frozen=True)
class Options:
    orders: int = 5000
    password: str = option("", env="SHOP_PASSWORD", secret=True)


scenario = Scenario(options=Options, thresholds=["order.p95<1s", "failed<1%"], warm_up="10s")


@scenario.login
def login(http: Session, options: Options) -> None:
    http.post("/login", data={"user": "me", "password": options.password})
    http.headers["Authorization"] = "Bearer abcdefgh"


@scenario.setup
def setup(http: Session, options: Options) -> object:
    return http.get("/stock").json()


@scenario.step(items=lambda options: options.orders, key=lambda item, options: item % 4)
def order(http: Session, item: int, options: Options) -> object:
    return http.post(f"/orders/{item}", json={"of": options.password}).json()


@scenario.step(items=[{"page": "a"}, {"page": "b"}])
def look(item: dict, options: Options) -> Call:
    return Call("GET", f"/pages/{item['page']}")
'''
SECRET = {"SHOP_PASSWORD": "hunter22"}


def test_one_item_of_each_step_is_done_and_shown(cli: Cli, target: Target):
    target.answer = lambda seen: (200, '{"id": 7, "token": "abcdefgh"}')
    said = ("--target", target.url, "--rate", "100/s")
    ended = cli("check", cli.scenario(SHOP), *said, env=SECRET)
    assert (ended.code, ended.err) == (0, "")
    assert [f"{seen.method} {seen.path}" for seen in target.seen] == [
        "POST /login",
        "GET /stock",
        "POST /orders/0",
        "GET /pages/a",
    ]
    assert target.seen[2].body == b'{"of": "hunter22"}'
    for words in (
        "Plan       5002 items in all",
        "Step       order: 5000 items, at_most_once, 4 keys",
        "rows of 16 bytes",
        "Thresholds order.p95<1s, failed<1%",
        "Warm-up    10s: done",
        "           order: 5000 items of ",
        "> user=me&password=***",
        "> Authorization: Bearer ***",
        '> {"of": "***"}',
        "< HTTP/1.1 200 OK",
        '< {"id": 7, "token": "***"}',
        'returned {"id": 7, "token": "***"}',
        " s by its schedule, --rate 100/s:",
        "bytes out",
    ):
        assert words in ended.out, ended.out
    assert "hunter22" not in ended.out
    assert "abcdefgh" not in ended.out
    assert not cli.directories()


def test_what_fails_is_told_and_the_other_steps_go_on(cli: Cli, target: Target):
    def answer(seen: Seen) -> tuple[int, str]:
        return (409 if seen.path == "/orders/0" else 200), "{}"

    target.answer = answer
    ended = cli("check", cli.scenario(SHOP), "--target", target.url, env=SECRET)
    assert (ended.code, ended.err) == (3, "")
    assert "FAILED  order, item 0: POST /orders/0 answered 409" in ended.out
    assert target.seen[-1].path == "/pages/a"


def test_without_calls_nothing_is_sent_and_elsewhere_must_be_allowed(cli: Cli):
    scenario = cli.scenario(SHOP)
    said = ("--step", "look", "--duration", "10m", "--ramp", "30s")
    ended = cli("check", scenario, "--target", "http://shop.invalid", "--no-call", *said)
    assert (ended.code, ended.err) == (0, "")
    assert "look: items for 10m" in ended.out
    assert "Load       closed, ramp 30s, for 10m" in ended.out
    assert "order" not in ended.out.replace("orders=", "")
    ended = cli("check", scenario, "--target", "http://shop.invalid")
    assert ended.code == 2
    assert "--allow-target" in ended.err
