"""A scenario file: how it is found and run, and that each mistake in it is one line with its place."""

from __future__ import annotations

import re
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import FeedError, LoadgenError, ScenarioError
from loadgen.loader import LARGEST_BUNDLE, LARGEST_NAMED, Bundle, Loaded, load, make_work, only_copy
from loadgen.plan import Plan, StepPlan

GOOD = '''\
"""Create things.

And more of them.
"""
from dataclasses import dataclass
from loadgen import Scenario

@dataclass(frozen=True)
class Options:
    things: int = 3

scenario = Scenario(options=Options, target="http://127.0.0.1:1")

@scenario.step(items=lambda options: options.things)
def create(http, item, options):
    return item
'''


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """Loading a scenario puts its folder on sys.path and its modules into sys.modules."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@dataclass(frozen=True)
class Folder:
    """Where a test's scenario lies."""

    path: Path

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else textwrap.dedent(text).encode())
        return path

    def load(self, text: str | bytes, name: str = "flows.py") -> Loaded:
        return load(self.write(name, text))

    def wrong(self, text: str | bytes, name: str = "flows.py") -> str:
        """The message of the mistake; checked to be one line."""
        return one_line(lambda: self.load(text, name))

    def place(self, line: int, name: str = "flows.py") -> str:
        return f"{self.path / name}:{line}: "

    def work(self, items: str, more: str = "", head: str = "") -> Any:
        """What becomes of a step with these items."""
        text = f"{head}from loadgen import Scenario, feed\nscenario = Scenario()\n"
        text += f"@scenario.step(items={items}, {more})\ndef create(http, item, options): ...\n"
        loaded = self.load(text)
        return make_work(loaded, loaded.scenario.options())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def one_line(action: Callable[[], object], kind: type[LoadgenError] = ScenarioError) -> str:
    with pytest.raises(LoadgenError) as caught:
        action()
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What is right


def test_a_good_file(folder: Folder) -> None:
    """Name, title, steps; nothing of it was run."""
    loaded = folder.load(GOOD)
    assert (loaded.name, loaded.title) == ("flows", "Create things.")
    assert loaded.path == folder.path / "flows.py"
    assert loaded.step("create").name == "create"
    assert loaded.scenario.options().things == 3
    assert loaded.bundle.files == {"flows.py": GOOD.encode()}


def test_a_file_without_a_docstring_has_no_title(folder: Folder) -> None:
    """Not that of a module, either."""
    assert folder.load(GOOD.partition('"""\n')[2]).title == ""


def test_a_relative_path_is_enough(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the command line gives it."""
    folder.write("flows.py", GOOD)
    monkeypatch.chdir(folder.path)
    loaded = load(Path("flows.py"))
    assert loaded.path == Path("flows.py")
    assert set(loaded.bundle.files) == {"flows.py"}


def test_a_scenario_may_stand_under_two_names(folder: Folder) -> None:
    """It is still one."""
    assert folder.load(GOOD + "same = scenario\n").step("create").name == "create"


# Files that are none


def test_a_path_that_nothing_could_name(folder: Folder) -> None:
    """Bytes that are no UTF-8 come from the command line as half a surrogate pair."""
    path = folder.path.with_name("caf\udce9.py")
    try:
        path.write_text("")
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system knows no such names")
    assert one_line(lambda: load(path)).endswith("caf?.py: its path is not UTF-8, so no ledger could name it")


def test_no_such_file(folder: Folder) -> None:
    """The path, and that."""
    path = folder.path / "none.py"
    assert one_line(lambda: load(path)) == f"{path}: no such file"


def test_a_folder(folder: Folder) -> None:
    """The path, and that."""
    assert one_line(lambda: load(folder.path)) == f"{folder.path}: is a folder"


def test_a_file_of_another_kind(folder: Folder) -> None:
    """A scenario's name ends in .py."""
    message = folder.wrong(GOOD, "flows.txt")
    assert message == f"{folder.path / 'flows.txt'}: not a Python file (its name must end in .py)"


# Mistakes while it is run


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\nif x\n", 2, "expected ':'"),
        ("x = (\n", 1, "was never closed"),
        ("def f():\nreturn 1\n", 2, "expected an indented block"),
        ("x = 1\nraise SyntaxError('not a line')\n", 2, "not a line"),
        ("x = 1\ny = eval('1 +')\n", 2, "invalid syntax"),
        (b"x = '\xff'\n", 1, "can't decode byte 0xff"),
        (b"x = 1\0\n", 1, "null bytes"),
        ("x = 1\nimport nothing_of_that_name\n", 2, "No module named 'nothing_of_that_name'"),
        ("from loadgen import Scenari\n", 1, "cannot import name 'Scenari' from 'loadgen'"),
        ("x = 1\n\nx / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines')\n", 1, "ValueError: two lines"),
        ("raise ValueError\n", 1, "ValueError"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        ("def f():\n    raise KeyError('k')\n\nf()\n", 2, "KeyError: 'k'"),
        ("import json\n\njson.loads('{')\n", 3, "JSONDecodeError: "),
    ],
)
def test_a_file_that_cannot_be_run(folder: Folder, text: str | bytes, line: int, words: str) -> None:
    """The line is the last one of the scenario's own on the way to the error."""
    message = folder.wrong(text)
    assert message.startswith(folder.place(line))
    assert words in message
    assert not message.endswith(": ")


def test_a_module_beside_it_that_cannot_be_run(folder: Folder) -> None:
    """The line is the module's."""
    folder.write("beside_broken.py", "x = 1\n\nx / 0\n")
    message = folder.wrong("import beside_broken\n")
    assert message == folder.place(3, "beside_broken.py") + "ZeroDivisionError: division by zero"


def test_a_module_beside_it_that_does_not_parse(folder: Folder) -> None:
    """The line is the module's."""
    folder.write("beside_unparsed.py", "x = 1\nif x\n")
    assert folder.wrong("import beside_unparsed\n").startswith(folder.place(2, "beside_unparsed.py"))


def test_a_module_in_a_package_beside_it_that_cannot_be_run(folder: Folder) -> None:
    """The line is the module's, too."""
    folder.write("beside_package/__init__.py", "")
    folder.write("beside_package/inner.py", "\nraise OSError('no')\n")
    message = folder.wrong("import beside_package.inner\n")
    assert message == folder.place(2, "beside_package/inner.py") + "OSError: no"


# Mistakes in what it declares


def test_no_scenario(folder: Folder) -> None:
    """The message is the line to write."""
    message = folder.wrong('"""Nothing."""\n')
    assert message == folder.place(1) + "no scenario in it: expected `scenario = Scenario(...)`"


def test_two_scenarios(folder: Folder) -> None:
    """At the second, with the place of the first."""
    message = folder.wrong("from loadgen import Scenario\na = Scenario()\n\nb = Scenario()\n")
    assert message == folder.place(4) + f"a second scenario; the first is at {folder.place(2)[:-2]}"


def test_no_step(folder: Folder) -> None:
    """At the scenario."""
    message = folder.wrong("from loadgen import Scenario\n\nscenario = Scenario()\n")
    assert message.startswith(folder.place(3) + "the scenario has no step: expected a function under @")


HEAD = "from loadgen import Scenario, Retry, option\nscenario = Scenario()\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            "@scenario.step(items=1)\ndef create(http, i): ...\n",
            3,
            "step create takes (http, item, options) or (item, options), not (http, i)",
        ),
        ("@scenario.login\ndef login(): ...\n", 3, "login takes (http, options), not ()"),
        (
            "@scenario.setup\ndef s(options, http): ...\n",
            3,
            "setup takes (http, options), not (options, http)",
        ),
        (
            "@scenario.verify\ndef v(http): ...\n",
            3,
            "verify takes (http, options) or (http, options, made), not (http)",
        ),
        (
            "@scenario.teardown\ndef t(http, options, done): ...\n",
            3,
            "teardown takes (http, options) or (http, options, made), not (http, options, done)",
        ),
        ("@scenario.setup\ndef s(http, options, made): ...\n", 3, "setup takes (http, options), not (http"),
        (
            (
                "@scenario.step(items=1)\ndef create(http, item, options): ...\n"
                "@create.exists\ndef there(item): ...\n"
            ),
            5,
            "create.exists takes (http, item, options), not (item)",
        ),
        (
            "for _ in range(2):\n    @scenario.step(items=1)\n    def create(http, item, options): ...\n",
            4,
            "a second step named create",
        ),
        ("@scenario.login\nclass Login: ...\n", 3, "login: expected a function, not <class "),
        ("scenario.step(items=1)(5)\n", 3, "step: expected a function, not 5"),
        (
            "import functools\nscenario.setup(functools.partial(print))\n",
            4,
            "setup: expected a function, not",
        ),
        (
            "@scenario.step(items=1, delivery='exactly_once')\ndef create(http, item, options): ...\n",
            3,
            "delivery 'exactly_once' is none of at_most_once, at_least_once, verify",
        ),
        (
            "@scenario.step(items=1, delivery='verify')\ndef create(http, item, options): ...\n",
            3,
            'delivery="verify" needs a function under @create.exists',
        ),
        (
            "@scenario.step(items=1, retry=Retry(0))\ndef create(http, item, options): ...\n",
            3,
            "Retry(attempts=0): at least 1 is needed",
        ),
        ("@scenario.step\ndef create(http, item, options): ...\n", 3, "TypeError: "),
        ("secret = option('x', secret=True)\n", 3, "a secret option needs env="),
        ("Scenario(option=5)\n", 3, "unexpected keyword argument 'option'"),
    ],
)
def test_a_wrong_declaration(folder: Folder, text: str, line: int, words: str) -> None:
    """The line of the function, or of the decorator, or of the call."""
    message = folder.wrong(HEAD + text)
    lines = (folder.place(line), folder.place(line + 1))  # of a decorated function: either, by version
    assert message.startswith(lines)
    assert words in message


OPTIONS = "from dataclasses import dataclass, field\nfrom loadgen import Scenario\n"
A_STEP = "@scenario.step(items=1)\ndef create(http, item, options): ...\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("scenario = Scenario(options={'a': 1})\n", 3, "options= must be a dataclass, not {'a': 1}"),
        ("class Options:\n    a: int = 1\nscenario = Scenario(options=Options)\n", 5, "must be a dataclass"),
        (
            "@dataclass\nclass Options:\n    a: int = 1\nscenario = Scenario(options=Options())\n",
            6,
            "options= must be a dataclass, not Options(a=1): give the class itself",
        ),
        (
            (
                "@dataclass\nclass Options:\n    a: int = 1\n    b: dict[str, int] = None\n"
                "scenario = Scenario(options=Options)\n"
            ),
            6,
            "option b: dict[str, int] is none of int, float, bool",
        ),
        (
            "@dataclass\nclass Options:\n    a: 'Nothing' = 1\nscenario = Scenario(options=Options)\n",
            4,
            "option types: name 'Nothing' is not defined",
        ),
        (
            (
                "@dataclass\nclass Base:\n    a: bytes = b''\n"
                "@dataclass\nclass Options(Base):\n    b: int = 1\n"
                "scenario = Scenario(options=Options)\n"
            ),
            5,
            "option a: bytes is none of",
        ),
    ],
)
def test_wrong_options(folder: Folder, text: str, line: int, words: str) -> None:
    """The line of the field, of the class, or of the scenario."""
    message = folder.wrong(OPTIONS + text + A_STEP)
    assert message.startswith(folder.place(line))
    assert words in message


def test_options_of_a_module_beside_it(folder: Folder) -> None:
    """A field of an unsupported type is named where it stands."""
    folder.write("beside_options.py", OPTIONS + "\n@dataclass\nclass Options:\n    a: bytes = b''\n")
    message = folder.wrong(
        "from loadgen import Scenario\nfrom beside_options import Options\n"
        "scenario = Scenario(options=Options)\n" + A_STEP
    )
    assert message.startswith(folder.place(6, "beside_options.py") + "option a: bytes is none of")


def test_options_that_stand_nowhere(folder: Folder) -> None:
    """A class made by a call still gets a file and a line."""
    message = folder.wrong(
        "import dataclasses\nfrom loadgen import Scenario\n"
        "scenario = Scenario(options=dataclasses.make_dataclass('Made', [('a', bytes)]))\n" + A_STEP
    )
    assert re.match(re.escape(str(folder.path / "flows.py")) + r":\d+: option a: bytes is none of", message)


def test_options_with_a_base_that_has_no_file(folder: Folder) -> None:
    """Built in, or made by exec: the class itself has a line."""
    made = "exec('@dataclass\\nclass Made:\\n    b: bytes = b\\'\\'', g := {'dataclass': dataclass})\n"
    text = made + "@dataclass\nclass Options(g['Made'], Exception):\n    a: int = 1\n"
    message = folder.wrong(OPTIONS + text + "scenario = Scenario(options=Options)\n" + A_STEP)
    assert message.startswith(folder.place(5) + "option b: bytes is none of")


def test_a_computed_field_may_be_anything(folder: Folder) -> None:
    """It is no option."""
    text = "@dataclass\nclass Options:\n    a: dict = field(init=False, default=None)\n"
    assert folder.load(OPTIONS + text + "scenario = Scenario(options=Options)\n" + A_STEP).name == "flows"


# Items, rows and keys


def test_a_count(folder: Folder) -> None:
    """As a number, or as a function of the options; none is as good as some."""
    work = folder.work("lambda options: 7")
    assert work.plan == Plan((StepPlan(0, "create", 7),))
    assert (work.rows, work.keys) == ((None,), (None,))
    assert folder.work("0").plan.items == 0


@pytest.mark.parametrize(
    ("items", "rows"),
    [
        ("['a', 'b']", ["a", "b"]),
        ("range(2, 5)", [2, 3, 4]),
        ("[]", []),
        ("lambda options: ({'a': 1},)", ({"a": 1},)),
    ],
)
def test_rows(folder: Folder, items: str, rows: Sequence[Any]) -> None:
    """One item a row."""
    work = folder.work(items)
    assert (work.plan.items, work.rows) == (len(rows), (rows,))


def test_rows_of_a_feed(folder: Folder) -> None:
    """From the file beside the scenario."""
    folder.write("users.csv", "user\nann\nbob\n")
    assert folder.work("feed.csv('users.csv')").rows == ([{"user": "ann"}, {"user": "bob"}],)
    assert folder.work("lambda options: feed.csv('users.csv').take(1)").rows == ([{"user": "ann"}],)


def test_too_few_rows(folder: Folder) -> None:
    """The line names the file, what is needed and what is there."""
    users = folder.write("users.csv", "user\nann\n")
    message = one_line(lambda: folder.work("feed.csv('users.csv').take(2)"), FeedError)
    assert message == f"{users}: 2 items need as many rows, but the file has 1"


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ("'abc'", "items of create must be a count or rows, not 'abc'"),
        ("b'abc'", "must be a count or rows, not b'abc'"),
        ("None", "must be a count or rows, not None"),
        ("True", "must be a count or rows, not True"),
        ("2.5", "must be a count or rows, not 2.5"),
        ("{'a': 1}", "must be a count or rows, not {'a': 1}"),
        ("{'a' * 9000: 1}", "must be a count or rows, not {'aaa"),
        ("(x for x in 'abc')", "must be a count or rows, not <generator"),
        ("-1", "items of create is -1; 0 or more is needed"),
        ("lambda options: -3", "items of create is -3; 0 or more is needed"),
        ("lambda options: options.many", "items of create: AttributeError: "),
        ("lambda: 5", "items of create: TypeError: "),
        ("lambda options: [][0]", "items of create: IndexError: list index out of range"),
        ("[object()]", "rows of create must be plain data: "),
        ("[2 ** 70]", "rows of create must be plain data: "),
        ("['\\ud800']", "rows of create must be plain data: "),
        ("loop", "rows of create must be plain data: "),
    ],
)
def test_items_that_are_none(folder: Folder, items: str, words: str) -> None:
    """One line of a length that people read, at the step."""
    message = one_line(lambda: folder.work(items, head="loop = []; loop.append(loop)\n"))
    assert message.startswith((folder.place(4), folder.place(5)))
    assert words in message
    assert len(message) < 400


def test_an_error_of_two_lines_is_one_line(folder: Folder) -> None:
    """Also from functions of the scenario."""
    message = one_line(lambda: folder.work("lambda options: int('1\\n') + int('a\\nb')"))
    assert "items of create: ValueError: invalid literal" in message
    message = one_line(
        lambda: folder.work("1", "key=f", head="def f(item, options):\n    raise ValueError('a\\nb')\n")
    )
    assert message.endswith("key of create: ValueError: a b")


def test_keys(folder: Folder) -> None:
    """Of the index, or of the row."""
    assert folder.work("4", "key=lambda item, options: item % 2").keys == ([0, 1, 0, 1],)
    assert folder.work("[{'p': 'x'}, {'p': 'y'}]", "key=lambda item, options: item['p']").keys == (
        ["x", "y"],
    )
    assert folder.work("[]", "key=lambda item, options: item['p']").keys == ([],)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (
            "lambda item, options: item['project']",
            "key of create: TypeError: 'int' object is not subscriptable",
        ),
        ("lambda item: item", "key of create: TypeError: "),
        ("'project'", "key of create: TypeError: 'str' object is not callable"),
        ("lambda item, options: [item]", "key of create: TypeError: unhashable type: 'list'"),
    ],
)
def test_a_key_that_raises_or_is_none(folder: Folder, key: str, words: str) -> None:
    """At the step."""
    message = one_line(lambda: folder.work("3", f"key={key}"))
    assert message.startswith((folder.place(3), folder.place(4)))
    assert words in message


def test_chosen_steps(folder: Folder) -> None:
    """In the scenario's order, numbered anew; one that is not there is named with those that are."""
    text = HEAD + "".join(
        f"@scenario.step(items={n})\ndef {name}(http, item, options): ...\n"
        for n, name in [(1, "a"), (2, "b"), (3, "c")]
    )
    loaded = folder.load(text)
    chosen = make_work(loaded, None, steps=["c", "a"], chunk=5).plan.steps
    assert chosen == (StepPlan(0, "a", 1, chunk=5), StepPlan(1, "c", 3, chunk=5))
    message = one_line(lambda: make_work(loaded, None, steps=["d"]))
    assert message == f"--step d: no such step in {loaded.path}; there are a, b, c"


# What travels


def test_files_that_are_imported_or_named_travel(folder: Folder) -> None:
    """Modules, packages, and small files that a string of any of them names; nothing else."""
    folder.write("travel_helper.py", "from travel_package import inner\nTEMPLATE = 'templates/job.txt'\n")
    folder.write("travel_package/__init__.py", "")
    folder.write("travel_package/inner.py", "")
    folder.write("templates/job.txt", "type=noop\n")
    folder.write("users.csv", "user\nann\n")
    folder.write("big.csv", b"x" * (LARGEST_NAMED + 1))
    folder.write("unrelated.py", "")
    text = GOOD + "import travel_helper\nUSERS, BIG, UP = 'users.csv', 'big.csv', '../outside.txt'\n"
    (folder.path.parent / "outside.txt").write_text("x")
    bundle = folder.load(text).bundle
    assert bundle.entry == "flows.py"
    assert set(bundle.files) == {
        "flows.py",
        "travel_helper.py",
        "travel_package/__init__.py",
        "travel_package/inner.py",
        "templates/job.txt",
        "users.csv",
    }


def test_a_scenario_that_is_loaded_again_has_the_same_bundle(folder: Folder) -> None:
    """A worker that stays for several runs compares its copy each time."""
    folder.write("again_helper.py", "import again_inner\n")
    folder.write("again_inner.py", "")
    first = folder.load(GOOD + "import again_helper\n").bundle
    assert set(first.files) == {"flows.py", "again_helper.py", "again_inner.py"}
    assert load(folder.path / "flows.py").bundle == first


def test_the_standard_library_stays_at_home(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario may lie in a folder that also holds the user's Python."""
    library = folder.write("python/lib/library_module.py", "").parent
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(library))
    monkeypatch.syspath_prepend(str(library))
    assert set(folder.load(GOOD + "import library_module\n").bundle.files) == {"flows.py"}


def test_too_much_to_travel(folder: Folder) -> None:
    """The message says how much it is and how much can be."""
    names = [f"part{number}.bin" for number in range(LARGEST_BUNDLE // LARGEST_NAMED + 1)]
    for name in names:
        folder.write(name, b"x" * LARGEST_NAMED)
    message = folder.wrong(GOOD + f"FILES = {names}\n")
    assert message.startswith(str(folder.path / "flows.py"))
    assert "at most 3,145,728 can travel" in message


names = st.text(st.characters(codec="ascii", exclude_characters="/\\\0:"), min_size=1, max_size=5).filter(
    lambda name: name.strip(".") == name
)
bundles = st.builds(
    lambda entry, files, content: Bundle(entry, {**files, entry: content}),
    names,
    st.dictionaries(names, st.binary(max_size=20), max_size=3),
    st.binary(max_size=20),
)


@given(bundles, bundles)
def test_digests_are_equal_when_bundles_are(first: Bundle, second: Bundle) -> None:
    """And only then."""
    assert (first.digest == second.digest) == (first == second)


@given(bundles, st.data())
def test_the_digest_changes_with_any_byte(bundle: Bundle, data: st.DataObject) -> None:
    """Of any content, any name, and the entry."""
    name = data.draw(st.sampled_from(sorted(bundle.files)))
    content = bundle.files[name]
    position = data.draw(st.integers(0, len(content)))
    changed = content[:position] + data.draw(st.binary(min_size=1, max_size=1)) + content[position + 1 :]
    others = [Bundle(bundle.entry, {**bundle.files, name + "x": content})]
    others += [Bundle(bundle.entry + "x", bundle.files)]
    renamed = {(name + "x" if part == name else part): bundle.files[part] for part in bundle.files}
    others += [Bundle(bundle.entry, renamed)]
    if changed != content:
        others.append(Bundle(bundle.entry, {**bundle.files, name: changed}))
    assert bundle.digest not in {other.digest for other in others if other != bundle}


def test_the_digest_does_not_depend_on_the_order() -> None:
    """Of the files."""
    assert Bundle("a", {"a": b"1", "b": b"2"}).digest == Bundle("a", {"b": b"2", "a": b"1"}).digest


def test_what_is_unpacked_is_what_was_packed(folder: Folder, tmp_path: Path) -> None:
    """The copy loads, and its bundle is the same."""
    folder.write("unpack_package/__init__.py", "")
    bundle = folder.load(GOOD + "import unpack_package\n").bundle
    path = bundle.unpack(tmp_path / "copy")
    assert path == tmp_path / "copy" / "flows.py"
    for name, content in bundle.files.items():
        assert (tmp_path / "copy" / name).read_bytes() == content


@pytest.mark.parametrize(
    "name", ["/etc/evil", "../evil", "a/../../evil", "..", "a/..", "\\evil", "C:/evil", ""]
)
@pytest.mark.parametrize("where", ["entry", "files"])
def test_nothing_is_unpacked_outside_the_folder(tmp_path: Path, name: str, where: str) -> None:
    """Neither a file nor the entry; and nothing is written before that is known."""
    bundle = Bundle(name, {"good": b""}) if where == "entry" else Bundle("good", {"good": b"", name: b"evil"})
    target = tmp_path / "in" / "side"
    message = one_line(lambda: bundle.unpack(target))
    assert "a bundle's files stay in its folder" in message
    assert not list(tmp_path.rglob("*"))


def test_a_workers_own_copy(folder: Folder) -> None:
    """Is used when it is what the master runs; otherwise both digests are told."""
    loaded = folder.load(GOOD)
    assert only_copy(loaded, loaded.bundle.digest) == loaded.bundle.files
    message = one_line(lambda: only_copy(loaded, "f" * 64))
    assert loaded.bundle.digest[:12] in message
    assert "the master has ffffffffffff" in message
