"""Who has a thread, and who waits for one."""

from loadgen.sandbox.connections import Threads


def test_who_waited_longest_is_next():
    threads, started = Threads(2), []
    assert threads.take(lambda: started.append("a"))
    assert threads.take(lambda: started.append("b"))
    assert not threads.take(lambda: started.append("c"))
    assert not threads.take(lambda: started.append("d"))
    threads.give_back()
    assert started == ["c"]
    threads.give_back()
    threads.give_back()
    assert started == ["c", "d"]
    assert threads.take(lambda: started.append("e"))
    assert not threads.take(lambda: started.append("f"))


def test_none_are_as_many_as_there_need_be():
    threads = Threads(0)
    assert all(threads.take(lambda: None) for _ in range(1000))
