"""The screen: messages on stderr, a line now and then where there is no terminal."""

import io

from rich.console import Console

from bertsmith.core import console as screen


def test_messages_go_to_stderr_and_leave_stdout_to_results(capsys):
    screen.console.print("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_square_brackets_are_text(capsys):
    screen.console.print("[unused5] [/b] of data[1]")
    assert capsys.readouterr().err == "[unused5] [/b] of data[1]\n"


def test_a_log_gets_a_line_only_now_and_then(capsys, monkeypatch):
    with screen.progress_line("reading", total=200) as line:
        line.update(10, "soon")
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(screen, "_LINE_EVERY_SECONDS", 0.0)
        line.update(50, "12 MB/s [bold]")
    assert capsys.readouterr().err == "reading  25%  12 MB/s [bold]\n"


def test_an_unknown_total_shows_no_share(capsys, monkeypatch):
    monkeypatch.setattr(screen, "_LINE_EVERY_SECONDS", 0.0)
    with screen.progress_line("reading") as line:
        line.update(50, "12 documents")
    assert capsys.readouterr().err == "reading  12 documents\n"


def test_a_terminal_gets_a_live_line_that_goes_away(monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(screen, "console", terminal)
    with screen.progress_line("reading", total=200) as line:
        line.update(50, "12 MB/s")
    shown = terminal.file.getvalue()
    assert "reading" in shown
    assert "12 MB/s" in shown
    assert shown.endswith("\x1b[2K")  # the line is erased
