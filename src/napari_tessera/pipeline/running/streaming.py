"""Reading, computing and writing side by side: while one item is computed, the next is read, the last one written."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Computed = TypeVar("Computed")
Done = TypeVar("Done")

READ_AHEAD = 2
WRITE_BEHIND = 2
"""Most items that wait, read or computed; they bound the memory."""

POLL_SECONDS = 0.05
"""How often `check` is called while waiting for a slow disk."""


def stream(
    items: Iterable[Item],
    read: Callable[[Item], Read],
    compute: Callable[[Item, Read], Computed],
    write: Callable[[Item, Computed], Done],
    check: Callable[[], None],
) -> Generator[Done]:
    """Take each item through `read`, `compute` and `write`, in order.

    Parameters
    ----------
    items
        Drawn one by one as there is room.
    read, write
        Called in one thread each.
    compute
        Called in the thread of the caller.
    check
        Called before computing and while waiting; raises to stop.

    Yields
    ------
    object
        What `write` returns.

    Raises
    ------
    Exception
        Whatever `read`, `compute`, `write` or `check` raised. However the generator ends, what has been computed is
        written, and both threads have ended.
    """
    waiting = iter(items)
    reads: deque[tuple[Item, Future[Read]]] = deque()
    writes: deque[Future[Done]] = deque()
    reader = ThreadPoolExecutor(1, "tessera-read")
    writer = ThreadPoolExecutor(1, "tessera-write")
    try:
        _read_ahead(waiting, read, reader, reads)
        while reads:
            item, reading = reads.popleft()
            pixels = _result(reading, check)
            _read_ahead(waiting, read, reader, reads)
            check()
            writes.append(writer.submit(write, item, compute(item, pixels)))
            while writes and (len(writes) > WRITE_BEHIND or writes[0].done()):
                yield _result(writes.popleft(), check)
        while writes:
            yield _result(writes.popleft(), check)
    finally:
        reader.shutdown(cancel_futures=True)
        writer.shutdown()


def _read_ahead(
    items: Iterator[Item],
    read: Callable[[Item], Read],
    reader: ThreadPoolExecutor,
    reads: deque[tuple[Item, Future[Read]]],
) -> None:
    while len(reads) < READ_AHEAD:
        for item in items:
            reads.append((item, reader.submit(read, item)))
            break
        else:
            return


def _result(future: Future[Done], check: Callable[[], None]) -> Done:
    while not future.done():
        check()
        wait([future], timeout=POLL_SECONDS)
    return future.result()
