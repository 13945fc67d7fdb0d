import threading

from serve_app.config.payloads import Queue
from serve_app.observability.payloads.record import Bytes, Record
from serve_app.observability.payloads.waiting import Waiting


def record(size: int = 1) -> Record:
    return Record("request", "id", 0.0, "m", "1", Bytes({}, [], size), size, size)


def waiting(events: int = 3, size: int = 100) -> Waiting:
    return Waiting(Queue(maxEvents=events, maxBytes=size))


def test_what_has_no_room_is_dropped_and_counted():
    queue = waiting()
    for _ in range(5):
        queue.offer(record())
    assert queue.counts() == {"full": 2}
    taken = queue.take()
    queue.offer(record())  # what is on its way counts
    assert queue.counts() == {"full": 3}
    queue.done(taken)
    queue.offer(record())
    assert queue.counts() == {"full": 3, "sent": 1}
    assert queue.events == 3


def test_bytes_are_bounded_too():
    queue = waiting(events=100, size=10)
    queue.offer(record(6))
    queue.offer(record(6))
    queue.offer(record(4))
    queue.offer(record(0))
    assert queue.counts() == {"full": 1}
    assert [one.held for one in queue.take(10)] == [6, 4, 0]


def test_where_there_is_no_room_nothing_needs_to_be_made():
    queue = waiting(events=2, size=1000)
    queue.offer(record())
    assert not queue.full
    queue.offer(record())
    assert queue.full
    queue.turn_away(2)
    assert queue.counts() == {"full": 2}
    queue.done(queue.take(2))
    assert not queue.full
    queue.offer(record(990))
    assert not queue.full
    queue.offer(record(5))
    assert queue.full
    queue.end(0)
    queue.turn_away(1)
    assert queue.counts() == {"full": 2, "sent": 2, "stopped": 1}


def test_a_batch_is_full_or_has_waited():
    queue = waiting(events=100, size=1000)
    for _ in range(5):
        queue.offer(record(10))
    assert len(queue.take(3, 1000, 60)) == 3
    queue.offer(record(100))
    assert [one.held for one in queue.take(100, 100, 60)] == [10, 10, 100]
    queue.offer(record(1))
    assert len(queue.take(100, 100, 0.01)) == 1


def test_who_waits_wakes_when_there_is_enough():
    queue, found = waiting(), []
    taker = threading.Thread(target=lambda: found.extend(queue.take(2, 0, 60)))
    taker.start()
    queue.offer(record())
    queue.offer(record())
    taker.join(20)
    assert len(found) == 2


def test_at_the_end_what_is_left_is_dropped():
    queue = waiting()
    queue.offer(record())
    queue.offer(record())
    queue.done(queue.take())
    queue.end(0)
    queue.offer(record())
    assert not queue.pause(60)
    queue.give_up()
    assert queue.counts() == {"sent": 1, "stopped": 2}
    assert queue.take() == []
    assert queue.events == 0


def test_who_pauses_keeps_no_other_from_hearing_of_what_comes():
    """One thread tries an event again; the next one is another's."""
    queue, taken = waiting(), threading.Event()
    pausing = threading.Thread(target=queue.pause, args=(60,), daemon=True)
    pausing.start()
    idle = threading.Thread(target=lambda: queue.take() and taken.set(), daemon=True)
    idle.start()
    while not queue._changed._waiters:  # both wait, the one that pauses for longer
        pass
    for offer in (lambda: queue.offer(record()), lambda: queue.put_back([record()])):
        offer()
        assert taken.wait(20)
        taken.clear()
        idle.join()
        idle = threading.Thread(target=lambda: queue.take() and taken.set(), daemon=True)
        idle.start()
    queue.end(0)
    pausing.join(20)
    idle.join(20)
    assert not pausing.is_alive()
