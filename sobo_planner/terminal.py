"""How a command of a terminal ends, whatever happens: one line for an error, status 130 after Ctrl-C, no traceback.

Few modules are imported here, and quick ones: until `run_command` has been called, Ctrl-C ends in a traceback.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys

from sobo_planner.errors import SoboError

TYPE_CHECKING = False  # that of `typing` would take as long to import as all else here
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType
    from typing import Any, TextIO

#: Status of a command that failed for a reason which its message explains.
EXIT_ERROR = 2
#: Status after Ctrl-C, as shells have it (128 + SIGINT).
EXIT_INTERRUPTED = 130
#: Status when whoever read the output went away, as shells have it (128 + SIGPIPE).
EXIT_NOT_READ = 141

_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE, errno.EBADF)
_IMPORT_SYSTEM = "<frozen importlib._bootstrap>"
_cleanups = 0


def run_command(name: str, work: Callable[[], int], *, debug: bool = False, last: bool = True) -> int:
    """Do a command's work, and turn whatever ends it into an exit status.

    Args:
        name: What messages begin with.
        work: Returns the exit status. What it needs is best imported inside.
        debug: Show the traceback of an error.
        last: The process ends after this: Ctrl-C is ignored from the end of the work on.

    Returns:
        What `work` returned; 2 for an error, with one line on stderr; 130 after Ctrl-C; 141 when the reader of stdout
        is gone.

    Raises:
        SystemExit: `work` raised it.
        Exception: An error that nobody foresaw, with its traceback.
    """
    _open_standard_streams()
    with _Interrupts(name, last) as interrupts:
        try:
            try:
                return work()
            finally:
                sys.stdout.flush()
        except SystemExit:
            raise
        except BaseException as error:
            status = _status_of(name, error, interrupts, debug)
            if status is None:
                raise
            return status
        finally:
            for stream in (sys.stdout, sys.stderr):
                _drop_if_broken(stream)


@contextlib.contextmanager
def orderly_end() -> Iterator[None]:
    """Inside, Ctrl-C always raises KeyboardInterrupt: for work that ends processes, or removes files, at its end."""
    global _cleanups
    _cleanups += 1
    try:
        yield
    finally:
        _cleanups -= 1


class _Interrupts:
    """Handles Ctrl-C while a command runs.

    During an import the process ends at once. An exception would not do: extension modules turn it into an ImportError,
    libraries take that for a package that is not installed, and callbacks of the import system print and drop it.
    """

    def __init__(self, name: str, last: bool) -> None:
        self.name, self.last, self.seen = name, last, False
        self._before: Any = None

    def __enter__(self) -> _Interrupts:
        # Neither where a shell made the process ignore Ctrl-C (nohup, &), nor in threads, which cannot have handlers.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with contextlib.suppress(ValueError):
                self._before = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN if self.last else self._before)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if not _cleanups and _is_importing(frame):
            _say(f"{self.name}: interrupted")
            os._exit(EXIT_INTERRUPTED)
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT_SYSTEM:
            return True
        frame = frame.f_back
    return False


def _status_of(name: str, error: BaseException, interrupts: _Interrupts, debug: bool) -> int | None:
    """The exit status after an error, which is reported; None for one that nobody foresaw."""
    if debug and isinstance(error, Exception):
        import traceback

        traceback.print_exception(error)
    if interrupts.seen or isinstance(error, KeyboardInterrupt):
        _say(f"{name}: interrupted")
        return EXIT_INTERRUPTED
    if isinstance(error, SoboError):
        _say(f"{name}: {error}")
        return EXIT_ERROR
    if not isinstance(error, OSError):
        return None
    if any(_has_no_reader(stream) for stream in (sys.stdout, sys.stderr)):
        return EXIT_NOT_READ
    reason = error.strerror or str(error)
    if error.filename is not None:
        reason = f"{error.filename}: {reason}"
    elif error.errno in _WRITE_ERRORS:  # of a standard stream: these have no names
        reason = f"cannot write to standard output: {reason}"
    _say(f"{name}: {reason}")
    return EXIT_ERROR


def _say(line: str) -> None:
    # When stderr cannot be written either, the status has to do.
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _open_standard_streams() -> None:
    """Opens what the caller closed (`>&-`): the next file opened would get its number, and what libraries print."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (as long as the process)


def _has_no_reader(stream: TextIO) -> bool:
    """Whether a stream is a pipe or socket whose other end is closed."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # not a file, as in tests
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop_if_broken(stream: TextIO) -> None:
    """Drops what a broken stream still holds: Python would try to write it at its end, and complain."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
