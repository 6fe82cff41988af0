"""The tokenizer: raw text in, WordPiece ids out, exactly as transformers' `BertTokenizer` does it.

Three stages, all run by the Rust library `tokenizers`:

    normalise      drop control characters, every white space becomes a blank, blanks around CJK characters;
                   uncased: lower case, and accents away (NFD without the combining marks)
    pre-tokenise   split at white space and around each punctuation character: words
    WordPiece      the longest piece of the vocabulary that the word starts with, then the longest `##piece` of the
                   rest, and so on; a word with a rest that no piece fits, or of more than 100 characters, is [UNK]

(BERT 3, "WordPiece embeddings". The original code allowed 200 characters a word; transformers, and so we, 100.)

On disk a tokenizer is four files, the same bytes for the same tokenizer: `vocab.txt` (a piece a line; the line number,
from 0, is the id), `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from bertsmith.core.artefact import MANIFEST, verify_artefact
from bertsmith.core.errors import InputError

PAD, UNK, CLS, SEP, MASK = SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUATION = "##"
MAX_WORD_CHARACTERS = 100
_SURROGATE = re.compile("[\ud800-\udfff]")

VOCABULARY_FILE = "vocab.txt"
BACKEND_FILE = "tokenizer.json"
CONFIGURATION_FILE = "tokenizer_config.json"
SPECIALS_FILE = "special_tokens_map.json"
_FILES = (VOCABULARY_FILE, BACKEND_FILE, CONFIGURATION_FILE, SPECIALS_FILE)
_KINDS = ("vocabulary", "model", "checkpoint")


class Tokenizer:
    """WordPiece over one vocabulary. Immutable; safe to use from several threads.

    pieces                id -> piece
    lowercase             fold case (the "uncased" models)
    strip_accents         remove combining marks after NFD; None: as `lowercase`
    handle_chinese_chars  make each CJK ideograph a word of its own
    raises                InputError for a vocabulary that cannot be used
    """

    def __init__(
        self,
        pieces: Sequence[str],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        handle_chinese_chars: bool = True,
    ):
        check_pieces(pieces, "The vocabulary")
        self.pieces = list(pieces)
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.handle_chinese_chars = handle_chinese_chars
        self.vocabulary_size = len(self.pieces)
        ids = {piece: index for index, piece in enumerate(self.pieces)}
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (ids[piece] for piece in SPECIAL_PIECES)
        self.special_ids = frozenset(ids[piece] for piece in SPECIAL_PIECES)
        self._model = models.WordPiece(ids, unk_token=UNK, max_input_chars_per_word=MAX_WORD_CHARACTERS)
        self._plain = self._backend()  # knows no special pieces: "[SEP]" in a text is a bracket, a word and a bracket
        self._with_specials = self._backend()
        self._with_specials.add_special_tokens(sorted(SPECIAL_PIECES, key=ids.__getitem__))

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Load from a vocabulary, a store's `tokenizer/`, a model folder, a folder with only vocab.txt, or a vocab.txt.

        The settings are those of tokenizer_config.json; one that it does not name is taken from tokenizer.json; where
        neither is there, a vocabulary that has pieces with capital letters is cased, every other one uncased.
        Where there is a manifest of ours, the files are held to it.
        """
        folder = Path(folder)
        if (folder / MANIFEST).is_file():
            verify_artefact(folder, *_KINDS, only=[name for name in _FILES if (folder / name).is_file()])
        pieces, stored = _read_vocabulary(folder)
        configuration = _read_json(folder / CONFIGURATION_FILE) if (folder / CONFIGURATION_FILE).is_file() else {}
        lowercase = configuration.get("do_lower_case", stored.get("lowercase"))
        return cls(
            pieces,
            lowercase=not _has_capitals(pieces) if lowercase is None else bool(lowercase),
            strip_accents=configuration.get("strip_accents", stored.get("strip_accents")),
            handle_chinese_chars=configuration.get("tokenize_chinese_chars", stored.get("handle_chinese_chars", True)),
        )

    def save(self, folder: Path, *, model_max_length: int = 512) -> None:
        """Write the four files into `folder`, which is created if need be.

        model_max_length  tokens that the model has positions for, [CLS] and [SEP] included
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = {f"{piece.strip('[]').lower()}_token": piece for piece in SPECIAL_PIECES}  # pad_token: [PAD], ...
        configuration = names | {
            "do_lower_case": self.lowercase,
            "model_max_length": model_max_length,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.handle_chinese_chars,
            "tokenizer_class": "BertTokenizer",
        }
        vocabulary = "".join(f"{piece}\n" for piece in self.pieces)
        (folder / VOCABULARY_FILE).write_bytes(vocabulary.encode("utf-8"))
        (folder / BACKEND_FILE).write_bytes((self._with_specials.to_str(pretty=True) + "\n").encode("utf-8"))
        for name, content in ((CONFIGURATION_FILE, configuration), (SPECIALS_FILE, names)):
            (folder / name).write_bytes((json.dumps(content, indent=2, sort_keys=True) + "\n").encode("ascii"))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what determines the encoding: equal fingerprints, equal ids for every text."""
        content = {
            "handle_chinese_chars": self.handle_chinese_chars,
            "lowercase": self.lowercase,
            "pieces": self.pieces,
            "strip_accents": self.lowercase if self.strip_accents is None else self.strip_accents,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()

    @cached_property
    def starts_word(self) -> NDArray[np.bool_]:
        """[V] True where the piece starts a word, False for `##` continuations."""
        return np.array([not piece.startswith(CONTINUATION) for piece in self.pieces])

    def encode_plain(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Raw texts to ids, an array [n] each; no [CLS] or [SEP] is added, and "[SEP]" in a text is ordinary text."""
        try:
            encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError:  # Rust has no string with half of a surrogate pair
            mended = [_without_surrogates(text) for text in texts]
            encodings = self._plain.encode_batch_fast(mended, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def encode_with_offsets(self, texts: Sequence[str]) -> list[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """As `encode_plain`, with the characters that each piece was made of: ids [n] and offsets [n, 2] of each text.

        Piece i comes from text[offsets[i, 0] : offsets[i, 1]] of the text as it was given. Begins and ends never go
        back. Characters that the normaliser drops belong to the piece around them or to none; pieces share a
        character that became several (a Hangul syllable in an uncased vocabulary).
        """
        encodings = self._plain.encode_batch([_without_surrogates(text) for text in texts], add_special_tokens=False)
        return [
            (np.array(encoding.ids, dtype=np.int32), np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2))
            for encoding in encodings
        ]

    def encode(self, text: str) -> list[int]:
        """One text to ids; "[MASK]" and the other special pieces in it are recognised, none is added."""
        ids: list[int] = self._with_specials.encode(_without_surrogates(text), add_special_tokens=False).ids
        return ids

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The pieces of some ids."""
        return [self.pieces[index] for index in ids]

    def decode(self, ids: Sequence[int]) -> str:
        """The pieces as readable text: continuations glued on, blanks between words, special pieces shown."""
        return " ".join(self.tokens(ids)).replace(f" {CONTINUATION}", "")

    def _backend(self) -> tokenizers.Tokenizer:
        backend = tokenizers.Tokenizer(self._model)
        backend.normalizer, backend.pre_tokenizer = word_stages(
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
            handle_chinese_chars=self.handle_chinese_chars,
        )
        backend.decoder = decoders.WordPiece(prefix=CONTINUATION)
        backend.post_processor = processors.TemplateProcessing(
            single=f"{CLS}:0 $A:0 {SEP}:0",
            pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
            special_tokens=[(CLS, self.cls_id), (SEP, self.sep_id)],
        )
        return backend


def word_stages(
    *, lowercase: bool, strip_accents: bool | None, handle_chinese_chars: bool
) -> tuple[normalizers.Normalizer, pre_tokenizers.PreTokenizer]:
    """The two stages that make words of a text, shared by encoding and by learning a vocabulary."""
    normaliser = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=handle_chinese_chars,
        strip_accents=strip_accents,
        lowercase=lowercase,
    )
    return normaliser, pre_tokenizers.BertPreTokenizer()


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


def _read_vocabulary(path: Path) -> tuple[list[str], Mapping[str, Any]]:
    """Pieces, and the normaliser's settings where a tokenizer.json tells them."""
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
    content = _read_json(path)
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a JSON object.")
    return content


def _without_surrogates(text: str) -> str:
    """Half of a surrogate pair is no character: it counts as U+FFFD, which the normaliser drops."""
    return _SURROGATE.sub("\ufffd", text)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def _has_capitals(pieces: Sequence[str]) -> bool:
    """Whether words may have capitals: [CLS], and the <S> of an uncased vocabulary, are no words."""
    return any(piece != piece.lower() for piece in pieces if piece.removeprefix(CONTINUATION).isalpha())
