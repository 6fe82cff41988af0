"""The words of a text and how often each occurs: all that learning a vocabulary needs to know of the text.

Most of a text is words that were seen before. So the text is cut at blanks, equal chunks are counted together, and only
each different chunk ("word," and "word." are two) passes the normaliser and the pre-tokeniser of the tokenizer. That is
exact, since neither looks beyond a blank.

Memory is bounded whatever the text: when the table is full, its rarer half is forgotten, and how much that was is
counted. Those are the words that matter least to a vocabulary; one that comes back often enough is found again.
"""

from collections import Counter
from collections.abc import Mapping

from tokenizers import normalizers, pre_tokenizers

from bertsmith.text.pieces import MAX_WORD_CHARACTERS

MAX_WORDS = 1 << 20
_MAX_CHUNKS = 1 << 19
_MAX_CHUNK_CHARACTERS = 1 << 25


class WordCounts:
    """Counts words. Feed texts to `add`, then call `finish`.

    normaliser, pre_tokeniser  the tokenizer's first two stages
    max_words                  distinct words that are remembered
    """

    def __init__(
        self,
        normaliser: normalizers.Normalizer,
        pre_tokeniser: pre_tokenizers.PreTokenizer,
        *,
        max_words: int = MAX_WORDS,
    ):
        self.num_words = 0  # all words so far, repeated, forgotten and too long ones too
        self.num_too_long = 0  # of more than 100 characters: [UNK] with any vocabulary, so nothing to learn from
        self.num_forgotten = 0  # occurrences of words that were dropped from the full table
        self._normalise = normaliser.normalize_str
        self._pre_tokenise = pre_tokeniser.pre_tokenize_str
        self._max_words = max_words
        self._words: Counter[str] = Counter()
        self._chunks: Counter[str] = Counter()
        self._chunk_characters = 0

    def add(self, text: str) -> None:
        """Count the words of a text that starts and ends at a word's border."""
        self._chunks.update(text.replace("\n", " ").split(" "))
        self._chunk_characters += len(text)
        if len(self._chunks) > _MAX_CHUNKS or self._chunk_characters > _MAX_CHUNK_CHARACTERS:
            self._count_chunks()

    def finish(self) -> Mapping[str, int]:
        """Word -> occurrences, the most frequent first, ties in the order of the text."""
        self._count_chunks()
        self._words = Counter(dict(self._words.most_common()))
        return self._words

    def _count_chunks(self) -> None:
        for chunk, count in self._chunks.items():
            for word, _ in self._pre_tokenise(self._normalise(chunk)):
                self.num_words += count
                if len(word) <= MAX_WORD_CHARACTERS:
                    self._words[word] += count
                else:
                    self.num_too_long += count
            if len(self._words) > self._max_words:
                self._forget_half()
        self._chunks.clear()
        self._chunk_characters = 0

    def _forget_half(self) -> None:
        before = self._words.total()
        self._words = Counter(dict(self._words.most_common(self._max_words // 2)))
        self.num_forgotten += before - self._words.total()
