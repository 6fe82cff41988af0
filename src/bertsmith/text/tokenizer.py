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
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from bertsmith.core.artefact import MANIFEST, read_manifest, verify_artefact
from bertsmith.text.pieces import (
    BACKEND_FILE,
    CLS,
    CONTINUATION,
    MAX_WORD_CHARACTERS,
    SEP,
    SPECIAL_PIECES,
    UNK,
    VOCABULARY_FILE,
    check_pieces,
    read_json,
    read_vocabulary,
)

_SURROGATE = re.compile("[\ud800-\udfff]")

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
        Where there is a manifest of ours, the files are held to it: those that are there, and that none is gone.
        """
        folder = Path(folder)
        if (folder / MANIFEST).is_file():
            recorded = read_manifest(folder, *_KINDS).files
            verify_artefact(
                folder, *_KINDS, only=[name for name in _FILES if name in recorded or (folder / name).is_file()]
            )
        pieces, stored = read_vocabulary(folder)
        configuration = read_json(folder / CONFIGURATION_FILE) if (folder / CONFIGURATION_FILE).is_file() else {}
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


def _without_surrogates(text: str) -> str:
    """Half of a surrogate pair is no character: it counts as U+FFFD, which the normaliser drops."""
    return _SURROGATE.sub("\ufffd", text)


def _has_capitals(pieces: Sequence[str]) -> bool:
    """Whether words may have capitals: [CLS], and the <S> of an uncased vocabulary, are no words."""
    return any(piece != piece.lower() for piece in pieces if piece.removeprefix(CONTINUATION).isalpha())
