"""The pieces of a vocabulary: the special ones, and the files that hold them all.

vocab.txt       a piece a line; the line number, from 0, is the id
tokenizer.json  as the library `tokenizers` writes it: pieces with their ids, and the stages before them
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertsmith.core.errors import InputError

PAD, UNK, CLS, SEP, MASK = SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUATION = "##"
MAX_WORD_CHARACTERS = 100

VOCABULARY_FILE = "vocab.txt"
BACKEND_FILE = "tokenizer.json"


def check_pieces(pieces: Sequence[str], source: str) -> None:
    """Refuse a vocabulary with an empty or a repeated piece, or without one of the special pieces."""
    first_line: dict[str, int] = {}
    for line, piece in enumerate(pieces, start=1):
        if not piece:
            raise InputError(f"{source} has an empty piece: line {line:,}. Each line of a vocabulary is one piece.")
        if piece in first_line:
            raise InputError(
                f"{source} has the piece {piece!r} twice: lines {first_line[piece]:,} and {line:,}. Remove one of "
                "them, unless a model was trained with this vocabulary: then look for the undamaged file."
            )
        first_line[piece] = line
    missing = [piece for piece in SPECIAL_PIECES if piece not in first_line]
    if missing:
        raise InputError(
            f"{source} lacks {', '.join(missing)}. A BERT vocabulary has the special pieces "
            f"{', '.join(SPECIAL_PIECES)}; `bertsmith vocab` makes one."
        )


def read_vocabulary(path: Path) -> tuple[list[str], Mapping[str, Any]]:
    """Pieces, and the normaliser's settings where a tokenizer.json tells them.

    path    vocab.txt, or a folder with one or with a tokenizer.json
    raises  InputError for what is no vocabulary of a BERT
    """
    if path.is_file():
        return _read_pieces(path), {}
    if (path / BACKEND_FILE).is_file():
        return _read_backend(path / BACKEND_FILE)
    if (path / VOCABULARY_FILE).is_file():
        return _read_pieces(path / VOCABULARY_FILE), {}
    what = "does not exist" if not path.exists() else f"has neither {BACKEND_FILE} nor {VOCABULARY_FILE}"
    raise InputError(f"No tokenizer can be loaded: {path} {what}. Give a folder made by `bertsmith vocab`.")


def _read_pieces(path: Path) -> list[str]:
    try:
        lines = _read_bytes(path).decode("utf-8-sig").split("\n")  # not splitlines: U+2028 is a piece of Chinese BERT
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a vocabulary: byte {error.start:,} is not UTF-8.") from None
    if lines[-1] == "":
        lines.pop()
    pieces = [line.rstrip(" \t\r") for line in lines]
    check_pieces(pieces, str(path))
    return pieces


# What makes a tokenizer BERT's, whatever its pieces are (the parts of a tokenizer.json).
_BERTS: Mapping[str, object] = {
    "model": "WordPiece",
    "continuing_subword_prefix": CONTINUATION,
    "unk_token": UNK,
    "max_input_chars_per_word": MAX_WORD_CHARACTERS,
    "normalizer": "BertNormalizer",
    "clean_text": True,
    "pre_tokenizer": "BertPreTokenizer",
}


def _read_backend(path: Path) -> tuple[list[str], Mapping[str, Any]]:
    content = read_json(path)
    try:
        model, normaliser = content["model"], content["normalizer"] or {}
        ids = dict(model["vocab"])
        found = {
            "model": model.get("type", "WordPiece"),
            "continuing_subword_prefix": model.get("continuing_subword_prefix", CONTINUATION),
            "unk_token": model.get("unk_token", UNK),
            "max_input_chars_per_word": model.get("max_input_chars_per_word", MAX_WORD_CHARACTERS),
            "normalizer": normaliser.get("type"),
            "clean_text": normaliser.get("clean_text", True),
            "pre_tokenizer": (content["pre_tokenizer"] or {}).get("type"),
        }
        added = [token["content"] for token in content.get("added_tokens") or () if token["content"] not in ids]
        in_order = set(ids.values()) == set(range(len(ids)))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{path} is not a tokenizer as the library `tokenizers` writes it.") from None
    for name, value in found.items():
        if value != _BERTS[name]:
            raise InputError(
                f"{path} is not BERT's tokenizer: its {name} is {value}, BERT's is {_BERTS[name]}, so a text would "
                f"have other ids."
            )
    if not in_order:
        raise InputError(f"{path} is damaged: its ids are not 0 to {len(ids) - 1:,}, each once.")
    if added:
        raise InputError(f"{path} has tokens outside its vocabulary ({added[0]!r}), which bertsmith cannot use.")
    pieces = sorted(ids, key=ids.__getitem__)
    check_pieces(pieces, str(path))
    return pieces, normaliser


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises InputError."""
    try:
        content = json.loads(_read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a JSON object.")
    return content


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
