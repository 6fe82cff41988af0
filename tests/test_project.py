"""The house: rooms import only from rooms to their left, private names stay in their room, heavy libraries stay out."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import bertsmith

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "bertsmith"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORT_NAMES = {
    "fonttools": "fontTools",
    "scikit-learn": "sklearn",
    "pydantic": "pydantic",
    "pydantic_core": "pydantic",
}
ROOMS = ("core", "text", "batches", "model", "training", "tasks", "frozen_features", "diagnosis", "study")
WITHOUT_TORCH = ("core", "text")
FILES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, imported name) for every import of a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} has a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "bertsmith" and len(parts) > 1 and parts[1] in ROOMS else None


def test_every_folder_of_the_package_is_a_known_room():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*ROOMS, "recipes"}


@pytest.mark.parametrize("path", [path for path in FILES if path.parent != SOURCE], ids=name_of)
def test_a_room_imports_only_from_rooms_to_its_left(path):
    own = path.relative_to(SOURCE).parts[0]
    if own == "recipes":
        assert list(imports_of(path)) == []
        return
    allowed = ROOMS[: ROOMS.index(own) + 1]
    for module, _ in imports_of(path):
        room = room_of(module)
        assert room is None or room in allowed, f"{own} imports {module}, a room to its right"


def test_the_tour_of_a_training_step_names_what_is_there():
    stops = re.findall(r"^(\d+)\. `([\w/]+\.py)`, `(\w+)`: ", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _, _ in stops] == list(range(1, len(stops) + 1))
    assert len(stops) > 10
    for _, path, name in stops:
        defined = {getattr(node, "name", None) for node in ast.parse((SOURCE / path).read_text()).body}
        assert name in defined, f"{path} has no {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_private_name_is_not_imported_from_another_file(path):
    for module, name in imports_of(path):
        if module.startswith("bertsmith"):
            private = name.startswith("_") or any(part.startswith("_") for part in module.split("."))
            assert not private, f"{module} keeps {name} to itself"


@pytest.mark.parametrize("path", [p for p in FILES if p.relative_to(SOURCE).parts[0] in WITHOUT_TORCH], ids=name_of)
def test_core_and_text_never_import_torch(path):
    assert not {module.split(".")[0] for module, _ in imports_of(path)} & {"torch", "transformers"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_pickles_and_nothing_needs_transformers(path):
    modules = {module.split(".")[0] for module, _ in imports_of(path)}
    assert not modules & {"pickle", "marshal", "shelve", "dill", "cloudpickle", "transformers"}
    for call in ("torch.load(", "torch.save(", "np.load(", "np.save(", "joblib.load(", "joblib.dump("):
        assert call not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_drawer_has_the_name_of_nothing(path):
    assert not set(path.relative_to(SOURCE).with_suffix("").parts) & {"utils", "helpers", "common", "misc", "base"}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    requirements = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["elmo"]
    declared = {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}
    expected = {IMPORT_NAMES.get(name, name) for name in declared}
    modules = {module.split(".")[0] for path in FILES for module, _ in imports_of(path)}
    third_party = {IMPORT_NAMES.get(module, module) for module in modules - sys.stdlib_module_names - {"bertsmith"}}
    assert third_party == expected


def test_every_pin_is_exact_and_torch_has_no_local_suffix():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins
    assert pins == sorted(pins, key=str.lower)


def test_the_public_names_are_sorted_and_all_there():
    assert bertsmith.__all__ == sorted(bertsmith.__all__)
    for name in bertsmith.__all__:
        assert getattr(bertsmith, name).__name__ == name
    assert set(bertsmith.__all__) <= set(dir(bertsmith))
    with pytest.raises(AttributeError, match="has no attribute 'Bart'"):
        bertsmith.Bart  # noqa: B018


def test_type_checkers_see_the_same_public_names():
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name: node.module for node in block.body for alias in node.names}
    assert sorted(imported) == bertsmith.__all__
    for name, module in imported.items():
        assert name in bertsmith._HOMES[module]


def test_importing_bertsmith_loads_no_library():
    script = "import sys, bertsmith; print({'torch', 'numpy', 'pydantic', 'rich'} & set(sys.modules))"
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert child.stdout == "set()\n"


def test_the_version_is_that_of_the_project():
    assert bertsmith.__version__ == PROJECT["version"]
