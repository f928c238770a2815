"""How commands end: Ctrl-C at any time, nobody reading stdout, a full disk behind it, streams closed by the caller."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sobo_planner.errors import SoboError
from sobo_planner.terminal import orderly_end, run_command

PLAN = ("plan", "ur5", "--goal", "0.4", "-0.2", "0.4")
# A console script, which says when Python itself is up.
SCRIPT = "import sys; print('up', flush=True); from sobo_planner.cli import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def _default_interrupts() -> Iterator[None]:
    """Ctrl-C is handled as in a new process: tests of nodes in this one leave handlers behind."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.default_int_handler)


def shell(line: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash, in which $SOBO is the command."""
    command = f"set -o pipefail; SOBO='{sys.executable} -m sobo_planner.cli'; {line}"
    return subprocess.run(["bash", "-c", command, "bash", *arguments], capture_output=True, text=True, timeout=120)


def processor_time(process: subprocess.Popen[str]) -> float:
    """What a process has had of a processor so far [s]."""
    return 1e-9 * int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0])


def work_for(process: subprocess.Popen[str], seconds: float) -> None:
    """Waits until a process has worked for so long, or has ended; on a busy computer that takes longer."""
    begin, late = processor_time(process), time.monotonic() + 20.0
    while process.poll() is None and processor_time(process) < begin + seconds and time.monotonic() < late:
        time.sleep(0.001)


@pytest.mark.parametrize("delay", [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2])
@pytest.mark.parametrize("arguments", [PLAN, ("export", "--run", "none", "--out", "none"), ("--help",)])
def test_ctrl_c_at_any_time(arguments: tuple[str, ...], delay: float, tmp_path: Path) -> None:
    """Imports of the parser, of numpy and the extension, of torch; planning; the end of the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    work_for(process, delay)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    finished = 2 if arguments[0] == "export" else 0
    assert process.returncode in (130, finished)
    assert "Traceback" not in errors and "Exception ignored" not in errors
    assert errors.endswith("sobo: interrupted\n") or process.returncode == finished


def test_ctrl_c_that_a_library_turns_into_another_error(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialisation failed without raising an exception") from None
        return 0

    before = signal.getsignal(signal.SIGINT)
    assert run_command("sobo", work, last=False) == 130
    assert capsys.readouterr().err == "sobo: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("orderly", [False, True])
def test_ctrl_c_during_an_import_ends_the_process_at_once_unless_there_is_something_to_clean_up(
    orderly: bool, tmp_path: Path
) -> None:
    """The library imported takes any exception for a missing package, and goes on."""
    (tmp_path / "interrupted_library.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    (tmp_path / "library.py").write_text("try:\n    import interrupted_library\nexcept BaseException:\n    pass\n")
    (tmp_path / "command.py").write_text(f"""
import contextlib, sys
from sobo_planner.terminal import orderly_end, run_command

def work():
    with orderly_end() if {orderly} else contextlib.nullcontext():
        import library
        print("went on")
    return 0

sys.exit(run_command("command", work))
""")
    done = subprocess.run([sys.executable, "command.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    expected = (0, "went on\n", "") if orderly else (130, "", "command: interrupted\n")
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_ctrl_c_stays_ignored_where_the_shell_ignores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run_command("sobo", lambda: signal.raise_signal(signal.SIGINT) or 3, last=False) == 3
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


@pytest.mark.parametrize("line", ["$SOBO --help | true", "$SOBO plan --help | true", '$SOBO "$@" | true'])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_reads_on(line: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = shell(line, *PLAN)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("line", ["$SOBO --help > /dev/full", '$SOBO "$@" > /dev/full'])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stdout_that_is_full(line: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = shell(line, *PLAN)
    assert done.returncode == 2
    assert done.stderr == "sobo: cannot write to standard output: No space left on device\n"


def test_a_stderr_that_is_full() -> None:
    done = shell('$SOBO "$@" --set no_such_key=1 2> /dev/full', *PLAN)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_streams_closed_by_the_caller(closed: str, tmp_path: Path) -> None:
    """Files that are opened then do not get their numbers."""
    out = tmp_path / "plan.json"
    done = shell(f'$SOBO "$@" {closed}', *PLAN, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert out.read_text().startswith("{") and done.stderr == ""


def test_errors_of_the_system_are_one_line_that_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("sobo", lambda: len(Path("/no/such/file").read_text()), last=False) == 2
    assert capsys.readouterr().err == "sobo: /no/such/file: No such file or directory\n"


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise SoboError("no")

    assert run_command("sobo", work, debug=True, last=False) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("Traceback") and errors.endswith("sobo: no\n")


def test_errors_that_nobody_foresaw_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_command("sobo", lambda: 1 // 0, last=False)


def test_an_orderly_end_sees_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), orderly_end():
        signal.raise_signal(signal.SIGINT)
