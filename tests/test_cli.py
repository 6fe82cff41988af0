"""The command line: layers of settings, exit codes, messages, and how little is imported."""

import io
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field
from rich.table import Table

from bertsmith.cli import COMMANDS as REAL_COMMANDS
from bertsmith.cli import Command, main, settings_class_of
from bertsmith.core.configuration import Settings
from bertsmith.core.errors import InputError, StoppedBySignal
from bertsmith.flags import flags_of


class Fire(Settings):
    degrees: int = Field(900, gt=0, description="Heat, in degrees.")
    coal: Literal["black", "brown"] = Field("black", description="What burns.")


class ForgeConfig(Settings):
    inputs: tuple[str, ...] = Field(description="What to forge.")
    out: Path = Field(description="Where to put it.")
    blows: int = Field(10, description="How many blows.")
    sharp: bool = Field(False, description="Grind it.")
    weight: float | None = Field(None, description="Kilograms; by default what it weighs.")
    fire: Fire = Field(Fire(degrees=1000), description="The fire.")


@dataclass(frozen=True)
class Forged:
    config: ForgeConfig


def forge(config: ForgeConfig) -> Forged:
    """Forge."""
    match config.inputs:
        case ("rust",):
            raise InputError("rust.txt, line 3: this is rust. Give it iron.")
        case ("stop",):
            raise StoppedBySignal("Stopped at blow 3; `--resume` goes on.")
        case ("interrupt",):
            raise KeyboardInterrupt
        case ("defect",):
            raise ZeroDivisionError("division by zero")
        case ("full",):
            Path("/dev/full").write_text("iron")
        case ("missing",):
            Path("/nowhere/iron").read_bytes()
    return Forged(config)


def go_on(folder: Path, changes: dict) -> dict:
    """Resume."""
    return {"folder": folder, "changes": changes}


def melt(config: ForgeConfig) -> Path:
    """Return a folder, as most verbs do."""
    return config.out


def draw(config: ForgeConfig) -> "Drawing":
    """Return something that draws itself."""
    return Drawing(config.inputs[0])


@dataclass(frozen=True)
class Drawing:
    text: str

    def __rich__(self) -> Table:
        table = Table("text")
        table.add_row(self.text)
        return table


def pour(config: ForgeConfig) -> Iterator[dict[str, str]]:
    """Return results one by one."""
    return ({"poured": name} for name in config.inputs)


COMMANDS = {
    "forge": Command(
        verb=f"{__name__}:forge",
        summary="Forge iron.",
        positional=("inputs",),
        examples=("bertsmith forge iron.txt --out sword",),
        resume=f"{__name__}:go_on",
    ),
    "melt": Command(verb=f"{__name__}:melt", summary="Melt.", positional=("inputs",), examples=()),
    "draw": Command(verb=f"{__name__}:draw", summary="Draw.", positional=("inputs",), examples=()),
    "pour": Command(verb=f"{__name__}:pour", summary="Pour.", positional=("inputs",), examples=()),
    "ghost": Command(verb="no.such.module:verb", summary="Never imported unless it is named.", examples=()),
}


def run(capsys: pytest.CaptureFixture[str], *tokens: str) -> tuple[int, str, str]:
    """Exit code, stdout, and stderr with its line breaks taken out (the screen wraps; the words are what matters)."""
    code = main(tokens, COMMANDS)
    out, err = capsys.readouterr()
    return code, out, " ".join(err.split())


def forged(capsys: pytest.CaptureFixture[str], *tokens: str) -> dict:
    code, out, err = run(capsys, "forge", *tokens)
    assert code == 0, err
    return json.loads(out)["config"]


def test_flags_positional_words_and_groups_fill_the_settings(capsys):
    config = forged(
        capsys, "iron", "steel", "--out", "x", "--blows", "3", "--sharp", "--weight", "1.5", "--coal", "brown"
    )
    assert config == {
        "inputs": ["iron", "steel"],
        "out": "x",
        "blows": 3,
        "sharp": True,
        "weight": 1.5,
        "fire": {"degrees": 1000, "coal": "brown"},
    }


def test_a_typed_flag_goes_over_the_file_and_the_file_over_the_defaults(capsys, tmp_path):
    (tmp_path / "forge.toml").write_text('blows = 5\nsharp = true\nout = "filed"\n[fire]\ndegrees = 1200\n')
    file = ("--config", str(tmp_path / "forge.toml"))
    assert forged(capsys, "iron", *file)["out"] == "filed"
    config = forged(capsys, "iron", *file, "--blows", "10", "--no-sharp", "--coal", "brown")
    assert (config["blows"], config["sharp"], config["fire"]) == (10, False, {"degrees": 1200, "coal": "brown"})


def test_resume_takes_a_folder_and_what_is_typed_anew(capsys):
    code, out, _ = run(capsys, "forge", "--resume", "run", "--blows", "3", "--coal", "brown")
    assert code == 0
    assert json.loads(out) == {"folder": "run", "changes": {"blows": 3, "fire": {"coal": "brown"}}}
    code, _, err = run(capsys, "forge", "--resume", "run", "--config", "forge.toml")
    assert code == 2
    assert "A run goes on with its own settings, those of run. Leave --config out." in err


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("forge", "iron", "--out", "x", "--blow", "3"), "Unknown option: --blow. Did you mean --blows?"),
        (("forge", "iron", "--out", "x", "--blows", "many"), 'Invalid value for --blows: unable to convert "many"'),
        (("forge", "iron", "--out", "x", "--coal", "green"), 'Choose from: "black", "brown".'),
        (("forge", "iron", "--out", "x", "--degrees", "0"), "'fire.degrees' = 0 is not usable: Input should be great"),
        (("forge", "iron"), "The setting 'out' is required. See `bertsmith forge --help`."),
        (("forge", "iron", "--config", "no.toml"), "no.toml cannot be read: No such file or directory."),
        (("forg",), 'Unknown command "forg". Did you mean "forge"?'),
        (("forge", "rust", "--out", "x"), "rust.txt, line 3: this is rust. Give it iron."),
    ],
)
def test_a_mistake_of_the_user_ends_with_2_and_one_paragraph(capsys, tokens, message):
    code, out, err = run(capsys, *tokens)
    assert code == 2
    assert message in err
    assert out == ""
    assert "Traceback" not in err


def test_an_unknown_key_of_a_file_names_the_nearest_setting(capsys, tmp_path):
    (tmp_path / "forge.toml").write_text("[fire]\ndegree = 1200\n")
    code, _, err = run(capsys, "forge", "iron", "--out", "x", "--config", str(tmp_path / "forge.toml"))
    assert code == 2
    assert "There is no setting 'fire.degree'. Did you mean 'degrees'?" in err


@pytest.mark.parametrize(
    ("word", "code", "message"),
    [
        ("stop", 130, "Stopped at blow 3; `--resume` goes on."),
        ("interrupt", 130, "Stopped."),
        ("defect", 1, "This is a defect of bertsmith (ZeroDivisionError: division by zero)."),
        ("full", 1, "There is no room left on the disk"),
        ("missing", 1, "No such file or directory: /nowhere/iron."),
    ],
)
def test_what_is_not_the_users_mistake_has_its_own_exit_code(capsys, word, code, message):
    actual, _, err = run(capsys, "forge", word, "--out", "x")
    assert actual == code
    assert message in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(capsys):
    code, _, err = run(capsys, "forge", "defect", "--out", "x", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert "ZeroDivisionError" in err


def test_a_folder_is_printed_as_a_path_and_with_json_as_json(capsys):
    assert run(capsys, "melt", "iron", "--out", "a b")[1] == "a b\n"
    assert run(capsys, "melt", "iron", "--out", "a b", "--json")[1] == '"a b"\n'


def test_square_brackets_of_a_text_are_not_taken_for_colours(capsys):
    assert "[/sword] of [red]iron[MASK]" in run(capsys, "draw", "[/sword] of [red]iron[MASK]", "--out", "x")[1]


def test_a_stream_of_results_is_printed_a_line_each(capsys):
    assert run(capsys, "pour", "a", "b", "--out", "x")[1] == '{"poured":"a"}\n{"poured":"b"}\n'


def test_half_a_surrogate_pair_is_escaped_and_nothing_else_is_changed(capsys):
    half, other = "Ada \ud83d lives in K\u00f6ln", "K\u00f6ln \U0001f600"
    out = run(capsys, "pour", half, other, "--out", "x")[1]
    assert [json.loads(line)["poured"] for line in out.splitlines()] == [half, other]
    assert out.splitlines()[1] == f'{{"poured":"{other}"}}'


def test_each_result_of_a_stream_is_sent_at_once(monkeypatch):
    sent = []

    class Pipe(io.StringIO):
        def flush(self):
            sent.append(self.getvalue())

    monkeypatch.setattr(sys, "stdout", Pipe())
    assert main(["pour", "a", "b", "--out", "x"], COMMANDS) == 0
    assert sent[:2] == ['{"poured":"a"}\n', '{"poured":"a"}\n{"poured":"b"}\n']


def test_a_reader_that_has_seen_enough_is_no_error():
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_cli as t; "
    script += "sys.exit(t.main(['pour', *map(str, range(20_000)), '--out', 'x'], t.COMMANDS))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.readline() == b'{"poured":"0"}\n'
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 1


def test_help_shows_descriptions_defaults_groups_and_examples(capsys):
    code, out, _ = run(capsys, "forge", "--help")
    assert code == 0
    out = " ".join(out.replace("│", " ").split())
    for text in (
        "Usage: bertsmith forge INPUTS... --out PATH [options]",
        "What to forge. (required)",
        "How many blows. [default: 10]",
        "Heat, in degrees. [default: 1000]",
        "╭─ Fire ─",
        "╭─ Command line ─",
        "--resume PATH go on with this run folder, or from one of its checkpoints --config PATH TOML file of",
        "bertsmith forge iron.txt --out sword",
        "--sharp --no-sharp",
    ):
        assert text in out, text


def test_a_default_of_the_class_above_is_what_the_help_of_a_group_shows():
    assert {flag.name: flag.default for flag in flags_of(ForgeConfig)}["degrees"] == 1000


def test_only_the_named_command_is_imported(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "Never imported unless it is named." in out


def imported_by(*tokens: str) -> tuple[set[str], float]:
    """Run the real command line; return the top-level modules it imported and the processor seconds it took."""
    script = "import sys, time; from bertsmith.cli import main; main(sys.argv[1:]); "
    script += "print('|'.join(sorted({name.split('.')[0] for name in sys.modules})), time.process_time())"
    child = subprocess.run([sys.executable, "-c", script, *tokens], capture_output=True, text=True, check=True)
    modules, seconds = child.stdout.splitlines()[-1].split()
    return set(modules.split("|")), float(seconds)


def test_help_is_quick_and_loads_nothing_heavy():
    modules, seconds = imported_by("--help")
    assert not modules & {"torch", "numpy", "pyarrow", "tokenizers", "sklearn", "scipy", "matplotlib"}
    assert seconds < 1.0


@pytest.mark.parametrize("command", ["vocab", "prepare"])
def test_the_commands_on_text_never_load_torch(command):
    assert "torch" not in imported_by(command, "no-such-file", "--vocab", "none", "--out", "none")[0]


@pytest.mark.parametrize("name", REAL_COMMANDS)
def test_the_examples_of_a_command_are_made_of_its_flags(name):
    command = REAL_COMMANDS[name]
    flags = {f"--{flag.name.replace('_', '-')}" for flag in flags_of(settings_class_of(command))}
    for example in command.examples:
        words = shlex.split(example.rpartition("| ")[2])
        assert words[:2] == ["bertsmith", name]
        assert {word for word in words if word.startswith("--")} <= flags | ({"--resume"} if command.resume else set())


@pytest.mark.parametrize("name", REAL_COMMANDS)
def test_every_flag_has_a_description_and_a_name_of_its_own(name):
    flags = list(flags_of(settings_class_of(REAL_COMMANDS[name])))
    names = [flag.name for flag in flags]
    assert len(names) == len(set(names))
    assert not {"config", "json", "debug", "resume", "help", "version"} & set(names)
    assert all(flag.help for flag in flags)


def test_python_dash_m_runs_the_same_program():
    child = subprocess.run([sys.executable, "-m", "bertsmith", "--version"], capture_output=True, text=True, check=True)
    assert child.stdout == "0.1.0\n"
