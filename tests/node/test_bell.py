"""The bell: a ring between `forget` and `wait` is not lost, and none is needed to go on after a while."""

from __future__ import annotations

import threading

from microrollup.node.bell import Bell

PATIENCE = 300.0


def test_a_ring_before_the_wait_ends_it() -> None:
    """Who looks, finds nothing and then waits, is woken by what came in between, however often."""
    bell = Bell()
    bell.forget()
    bell.ring()
    bell.ring()
    bell.wait(PATIENCE)
    bell.wait(PATIENCE)


def test_what_is_forgotten_wakes_nobody() -> None:
    """After `forget` a wait lasts its time."""
    bell = Bell()
    bell.ring()
    bell.forget()
    bell.wait(0.0)
    bell.ring()
    bell.wait(PATIENCE)


def test_another_thread_rings() -> None:
    """All that several threads add is seen by the one that waits."""
    bell, added, seen = Bell(), [], 0

    def add() -> None:
        for number in range(100):
            added.append(number)
            bell.ring()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while seen < 400:
        bell.forget()
        if len(added) == seen:
            bell.wait(PATIENCE)
        seen = len(added)
    for thread in threads:
        thread.join()
