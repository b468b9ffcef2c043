"""Shared, bounded, newest first, dropped when nobody waits."""

import threading
from concurrent.futures import wait

import pytest

from mediagen.view.jobs import Closed, Full, Jobs
from mediagen.view.tiles import Recent


class Desk:
    """Jobs on one thread that is held until `open` is called; notes what was done, in order."""

    def __init__(self, most: int = 100) -> None:
        self.done: list[object] = []
        self.gate = threading.Event()
        self.jobs: Jobs[str] = Jobs(1, lambda: "lane", most)
        self.held = threading.Event()
        self.first = self.ask("first", hold=True)
        assert self.held.wait(30)

    def ask(self, key: object, urgency: int = 0, hold: bool = False):
        def work(state: str) -> int:
            assert state == "lane"
            if hold:
                self.held.set()
                self.gate.wait(10)
            self.done.append(key)
            if key == "bad":
                raise OSError("broken")
            return 10

        return self.jobs.ask(key, work, urgency)

    def finish(self, *futures) -> list[object]:
        self.gate.set()
        wait(futures, timeout=10)
        self.jobs.close()
        return self.done[1:]


def test_the_newest_is_done_first():
    desk = Desk()
    futures = [desk.ask(n) for n in range(4)]
    assert desk.finish(*futures) == [3, 2, 1, 0]
    assert desk.jobs.made == 50
    assert desk.jobs.speed() > 0


def test_to_ask_again_makes_it_new_and_does_it_once():
    desk = Desk()
    futures = [desk.ask(n) for n in (0, 1, 2, 0)]
    assert desk.finish(*futures) == [0, 2, 1]
    assert all(future.done() and future.exception() is None for future in futures)


def test_urgency_comes_before_age():
    desk = Desk()
    futures = [desk.ask("looked at"), desk.ask("export", -1), desk.ask("looked at later")]
    assert desk.finish(*futures) == ["looked at later", "looked at", "export"]


def test_the_highest_urgency_counts():
    desk = Desk()
    futures = [desk.ask("both"), desk.ask("other"), desk.ask("both", -1), desk.ask("export", -1)]
    assert desk.finish(*futures) == ["other", "both", "export"]


def test_what_nobody_waits_for_is_not_done():
    desk = Desk()
    given_up, shared, mine, theirs = desk.ask(0), desk.ask(1), desk.ask(2), desk.ask(2)
    given_up.cancel()
    mine.cancel()
    assert desk.jobs.counts() == (1, 2)
    assert desk.finish(shared, theirs) == [2, 1]


def test_more_than_is_taken_on():
    desk = Desk(most=3)
    futures = [desk.ask(0), desk.ask(1)]
    with pytest.raises(Full):
        desk.ask(2)
    again = desk.ask(1)  # is there already
    assert desk.finish(*futures, again) == [1, 0]


def test_an_error_arrives_and_ends_nothing():
    desk = Desk()
    good, bad = desk.ask("good"), desk.ask("bad")
    assert desk.finish(good, bad) == ["bad", "good"]
    assert isinstance(bad.exception(), OSError)
    assert good.exception() is None


def test_given_up_turns_are_forgotten():
    desk = Desk()
    for _ in range(1000):
        desk.ask(1).cancel()
    assert len(desk.jobs._turns) < 100
    assert desk.finish(desk.ask(2)) == [2]


def test_closing_gives_up_what_waits():
    desk = Desk()
    waiting = desk.ask(1)
    threading.Timer(0.05, desk.gate.set).start()
    desk.jobs.close()
    assert waiting.cancelled()
    assert desk.done == ["first"]
    with pytest.raises(Closed):
        desk.ask(3)


def test_what_was_used_last_is_kept():
    recent: Recent[str] = Recent(30)
    for n in range(3):
        recent.put(n, str(n), 10)
    assert recent.get(0) == "0"
    recent.put(3, "3", 10)
    assert [recent.get(n) for n in range(4)] == ["0", None, "2", "3"]
    recent.put(3, "x", 25)
    assert recent.bytes <= 30
    assert recent.get(3) == "x"
