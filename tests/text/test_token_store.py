"""The token store: what is written is what is read, whatever the documents, in the same bytes."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import DamagedArtefact, MismatchedArtefact
from bertsmith.text.pieces import SPECIAL_PIECES
from bertsmith.text.token_store import TokenStore, TokenTable
from bertsmith.text.token_store_writer import BLOCK_TOKENS, MAX_BLOCK_TOKENS, StoreStatistics, TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer([*SPECIAL_PIECES, *(f"w{number}" for number in range(995))])


@dataclass
class Document:
    """Ids of a document, its sentence lengths, and where it is handed over in pieces (sentence numbers)."""

    token_ids: np.ndarray
    lengths: np.ndarray
    cuts: tuple[int, ...] = ()

    @staticmethod
    def random(rng, num_sentences, longest, cuts=()):
        lengths = rng.integers(1, longest + 1, size=num_sentences)
        return Document(rng.integers(0, TOKENIZER.vocabulary_size, size=lengths.sum()), lengths, cuts)

    @property
    def sentences(self):
        return [part.tolist() for part in np.split(self.token_ids, np.cumsum(self.lengths)[:-1])]


def fill(folder: Path, documents, held_out=0.0, tokenizer=TOKENIZER, **options) -> StoreStatistics:
    writer = TokenStoreWriter(folder, tokenizer, held_out, **options)
    for document in documents:
        starts = [0, *sorted(cut for cut in document.cuts if cut < len(document.lengths))]
        offsets = np.concatenate([[0], np.cumsum(document.lengths)])
        for start, stop in zip(starts, [*starts[1:], len(document.lengths)], strict=True):
            token_ids = document.token_ids[offsets[start] : offsets[stop]]
            writer.append_document(token_ids, document.lengths[start:stop], continues=start > 0)
    return writer.close()


def make_store(folder: Path, documents, held_out=0.0, tokenizer=TOKENIZER, **options) -> TokenStore:
    with stage_artefact(folder, kind="token_store", command="prepare", configuration={}) as staging:
        staging.facts.update(asdict(fill(staging.folder, documents, held_out, tokenizer, **options)))
    return TokenStore.open(folder)


def read_documents(table: TokenTable) -> list[list[list[int]]]:
    """All documents of a table by number, the parts of a cut one joined."""
    documents: dict[int, list[list[int]]] = {}
    for index in range(table.num_blocks):
        block = table.block(index)
        for row, (start, stop) in enumerate(pairwise(block.document_offsets)):
            offsets = block.sentence_offsets[start : stop + 1]
            sentences = [block.token_ids[a:b].tolist() for a, b in pairwise(offsets)]
            documents.setdefault(block.first_document + row, []).extend(sentences)
    assert list(documents) == list(range(table.num_documents))
    return list(documents.values())


def block_sizes(table: TokenTable) -> list[int]:
    return [len(table.block(index).token_ids) for index in range(table.num_blocks)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@st.composite
def corpora(draw):
    """Up to 30 documents, from one word to several blocks, handed over in pieces here and there."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    small = st.tuples(st.integers(1, 20), st.integers(1, 40))
    large = st.tuples(st.integers(1, 900), st.sampled_from([60, 600, 80_000, 200_000]))
    shapes = draw(st.lists(st.one_of(small, small, large), min_size=1, max_size=30))
    documents = []
    for number, (num_sentences, longest) in enumerate(shapes):
        cuts = tuple(draw(st.sets(st.integers(1, 900), max_size=3))) if draw(st.booleans()) else ()
        document = Document.random(rng, min(num_sentences, 1 + 400_000 // longest), longest, cuts)
        document.token_ids[0] = number  # so that no two are the same
        documents.append(document)
    return documents


@settings(max_examples=40)
@given(corpora(), st.sampled_from([0.0, 0.01, 0.1, 0.3, 0.5]), st.sampled_from([1, 300_000, 1 << 30]))
def test_every_document_comes_back_in_order(tmp_path_factory, documents, held_out, shard_bytes):
    store = make_store(tmp_path_factory.mktemp("store") / "s", documents, held_out, shard_bytes=shard_bytes)
    train, kept = read_documents(store.train), read_documents(store.held_out)
    in_train = {document[0][0] for document in train}
    assert train == [document.sentences for document in documents if document.token_ids[0] in in_train]
    assert kept == [document.sentences for document in documents if document.token_ids[0] not in in_train]
    for table in (store.train, store.held_out):
        check_table(table)
    ids = [token for document in train for sentence in document for token in sentence]
    assert np.array_equal(store.token_counts, np.bincount(ids, minlength=TOKENIZER.vocabulary_size))
    assert store.manifest.facts["train"]["documents"] == len(train)


def check_table(table: TokenTable) -> None:
    """Counts, the blocks' borders and the look-up of documents."""
    blocks = [table.block(index) for index in range(table.num_blocks)]
    assert table.num_tokens == sum(len(block.token_ids) for block in blocks)
    assert table.num_sentences == sum(len(block.sentence_offsets) - 1 for block in blocks)
    started: set[int] = set()
    for index, block in enumerate(blocks):
        size, lengths = len(block.token_ids), np.diff(block.sentence_offsets)
        assert lengths.min() > 0
        assert np.diff(block.document_offsets).min() > 0
        assert size <= MAX_BLOCK_TOKENS or len(lengths) == 1
        if index + 1 < len(blocks):
            next_sentence = blocks[index + 1].sentence_offsets[1]
            assert size >= BLOCK_TOKENS or size + next_sentence > MAX_BLOCK_TOKENS
        numbers = block.first_document + np.arange(len(block.document_offsets) - 1)
        for row, number in enumerate(numbers):
            if number not in started:
                assert block.sentence_offsets[block.document_offsets[row]] < BLOCK_TOKENS  # else the block was closed
                assert table.block_of_document(int(number)) == index
            started.add(int(number))


@settings(max_examples=25)
@given(corpora(), st.sampled_from([0.0, 0.3]))
def test_the_bytes_do_not_depend_on_how_documents_were_handed_over(tmp_path_factory, documents, held_out):
    whole, pieces = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("pieces")
    fill(pieces, documents, held_out, shard_bytes=300_000)
    fill(whole, [Document(d.token_ids, d.lengths) for d in documents], held_out, shard_bytes=300_000)
    assert contents(whole) == contents(pieces)


def test_a_long_document_is_cut_at_sentence_borders_and_continues(tmp_path):
    rng = np.random.default_rng(0)
    before, long = Document.random(rng, 100, 100), Document.random(rng, 20_000, 30)
    store = make_store(tmp_path / "s", [before, long, Document.random(rng, 5, 5)])
    sizes = block_sizes(store.train)
    assert len(sizes) == 3
    assert all(MAX_BLOCK_TOKENS - 30 < size <= MAX_BLOCK_TOKENS for size in sizes[:-1])
    assert [store.train.block(index).first_document for index in range(3)] == [0, 1, 1]
    assert [store.train.block_of_document(document) for document in range(3)] == [0, 0, 2]
    rows = pa.ipc.open_file(tmp_path / "s" / "train-00000.arrow").read_all()
    assert rows.column("continues").to_pylist() == [False, False, True, True, False]


def test_a_sentence_larger_than_a_block_is_a_block_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    giant = Document(rng.integers(0, 1000, size=300_010), np.array([5, 300_000, 5]))
    store = make_store(tmp_path / "s", [giant])
    assert block_sizes(store.train) == [5, 300_000, 5]
    assert read_documents(store.train) == [giant.sentences]


def test_one_document_of_each_stratum_is_held_out(tmp_path):
    documents = [Document(np.array([number]), np.array([1])) for number in range(1000)]
    store = make_store(tmp_path / "s", documents, held_out=0.01)
    kept = [document[0][0] for document in read_documents(store.held_out)]
    assert [number // 100 for number in kept] == list(range(10))
    assert kept[0] < 10  # the first among ten, so that ten documents suffice
    assert store.train.num_documents == 990
    ten = make_store(tmp_path / "ten", documents[:10], held_out=0.01)
    assert [document[0][0] for document in read_documents(ten.held_out)] == kept[:1]
    nothing = make_store(tmp_path / "nothing", documents, held_out=0.0)
    assert nothing.held_out.num_blocks == nothing.held_out.num_documents == nothing.held_out.num_tokens == 0


@pytest.mark.parametrize("held_out", [0.5, 0.45, 0.4, 0.35, 1 / 3, 0.3, 0.15, 0.1, 0.07, 0.03, 0.011])
def test_the_share_that_was_asked_for_is_held_out_everywhere(tmp_path, held_out):
    documents = [Document(np.array([number]), np.array([1])) for number in range(1000)]
    kept = {document[0][0] for document in read_documents(make_store(tmp_path / "s", documents, held_out).held_out)}
    shares = np.cumsum([number in kept for number in range(1000)]) - held_out * np.arange(1, 1001)
    assert np.abs(shares).max() < 1.01  # never more than one document from it


@pytest.mark.parametrize(
    ("held_out", "kept"),
    [
        (0.5, [1, 2, 5, 7, 9]),
        (0.2, [3, 7, 12, 18, 24]),
        (0.1, [6, 14, 25, 37, 48]),
        (0.05, [6, 28, 51, 74, 96]),
        (0.02, [6, 70, 128, 185, 242]),
        (0.01, [6, 140, 256, 371, 484]),
        (0.005, [6, 280, 512, 743, 969]),
        (0.001, [6]),
    ],
)
def test_which_documents_are_held_out_never_changes(tmp_path, held_out, kept):
    documents = [Document(np.array([number]), np.array([1])) for number in range(1000)]
    store = make_store(tmp_path / "s", documents, held_out)
    assert [document[0][0] for document in read_documents(store.held_out)][:5] == kept


def test_documents_without_sentences_leave_no_trace(tmp_path):
    documents = [Document.random(np.random.default_rng(n), 3, 9) for n in range(40)]
    empty = Document(np.zeros(0, int), np.zeros(0, int))
    plain, gaps = tmp_path / "plain", tmp_path / "gaps"
    for folder in (plain, gaps):
        folder.mkdir()
    fill(plain, documents, 0.1)
    fill(gaps, [part for document in documents for part in (empty, document, empty)], 0.1)
    assert contents(plain) == contents(gaps)


def test_the_rest_of_a_document_whose_first_piece_was_empty_begins_it(tmp_path):
    writer = TokenStoreWriter(tmp_path, TOKENIZER, 0.0)
    none = np.zeros(0, int)
    writer.append_document(np.array([7]), np.array([1]))
    writer.append_document(none, none)
    writer.append_document(np.array([8, 9]), np.array([2]), continues=True)
    writer.append_document(none, none, continues=True)
    writer.append_document(np.array([10]), np.array([1]), continues=True)
    assert writer.close().train.documents == 2


def test_shards_keep_to_their_size(tmp_path):
    rng = np.random.default_rng(0)
    documents = [Document.random(rng, 300, 50) for _ in range(200)]
    limit = 600_000
    store = make_store(tmp_path / "s", documents, shard_bytes=limit)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "s").glob("train-*.arrow"))]
    assert len(sizes) > 5
    assert max(sizes) <= limit
    assert read_documents(store.train) == [document.sentences for document in documents]


@pytest.mark.parametrize(("pieces", "kind"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_ids_take_two_bytes_up_to_65_536_pieces(tmp_path, pieces, kind):
    tokenizer = Tokenizer([*SPECIAL_PIECES, *(f"w{number}" for number in range(pieces - len(SPECIAL_PIECES)))])
    document = Document(np.array([0, pieces - 1, 5]), np.array([2, 1]))
    store = make_store(tmp_path / "s", [document], tokenizer=tokenizer)
    block = store.train.block(0)
    assert block.token_ids.dtype == kind
    assert block.token_ids.tolist() == [0, pieces - 1, 5]
    assert store.token_counts[pieces - 1] == 1


def test_english_takes_at_most_2_2_bytes_a_token(tmp_path):
    rng = np.random.default_rng(0)
    documents = [Document.random(rng, 25, 49) for _ in range(1000)]  # Wikipedia: some 25 tokens a sentence
    store = make_store(tmp_path / "s", documents)
    assert store.manifest.facts["bytes_per_token"] < 2.2


def test_a_block_is_a_read_only_view_of_the_file(tmp_path):
    rng = np.random.default_rng(0)
    store = make_store(tmp_path / "s", [Document.random(rng, 3000, 50)])
    allocated = pa.total_allocated_bytes()
    block = store.train.block(0)
    assert pa.total_allocated_bytes() - allocated < 1000
    assert not block.token_ids.flags.writeable
    assert not block.token_ids.flags.owndata
    tokens = block.token_ids.copy()
    del store
    assert np.array_equal(block.token_ids, tokens)  # the view keeps the mapping alive


def test_threads_read_the_same_blocks(tmp_path):
    rng = np.random.default_rng(0)
    documents = [Document.random(rng, 3000, 50) for _ in range(30)]
    store = make_store(tmp_path / "s", documents, shard_bytes=500_000)
    numbers = [int(n) for n in rng.integers(0, store.train.num_blocks, size=2000)]
    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(lambda index: int(store.train.block(index).token_ids.sum()), numbers))
    again = TokenStore.open(tmp_path / "s")
    assert sums == [int(again.train.block(index).token_ids.sum()) for index in numbers]


def test_writing_takes_bounded_memory(tmp_path):
    rng = np.random.default_rng(0)
    document = Document.random(rng, 4000, 50)
    writer = TokenStoreWriter(tmp_path, TOKENIZER, 0.01)
    tracemalloc.start()
    for _ in range(150):  # 15 million tokens, 30 MB of ids
        writer.append_document(document.token_ids, document.lengths)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert writer.close().train.tokens > 14_000_000
    assert peak < 6_000_000


def test_numbers_outside_the_split_are_refused(tmp_path):
    store = make_store(tmp_path / "s", [Document.random(np.random.default_rng(0), 3, 9)])
    for index in (-1, 1):
        with pytest.raises(IndexError):
            store.train.block(index)
        with pytest.raises(IndexError):
            store.train.block_of_document(index)
        with pytest.raises(IndexError):
            store.held_out.block(index)


@pytest.mark.parametrize(
    ("token_ids", "lengths"), [([1, 2], [1]), ([1], [1, 0]), ([1000], [1]), ([-1], [1]), ([1, 2], [3, -1])]
)
def test_the_writer_refuses_what_would_make_a_false_store(tmp_path, token_ids, lengths):
    writer = TokenStoreWriter(tmp_path, TOKENIZER, 0.0)
    with pytest.raises(ValueError, match="token"):
        writer.append_document(np.array(token_ids), np.array(lengths))


def test_the_store_knows_its_tokenizer(tmp_path):
    store = make_store(tmp_path / "s", [Document.random(np.random.default_rng(0), 3, 9)])
    assert store.tokenizer.fingerprint == TOKENIZER.fingerprint
    assert store.tokenizer.pieces == TOKENIZER.pieces


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path):
        rng = np.random.default_rng(0)
        make_store(tmp_path / "s", [Document.random(rng, 300, 50) for _ in range(40)], held_out=0.1)
        return tmp_path / "s"

    def test_a_flipped_byte_anywhere_is_found_by_verify(self, folder):
        rng = np.random.default_rng(0)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            for _ in range(5):
                damaged = bytearray(content)
                damaged[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
                path.write_bytes(damaged)
                with pytest.raises(DamagedArtefact, match=path.name):
                    TokenStore.open(folder).verify()
            path.write_bytes(content)
        TokenStore.open(folder).verify()

    @pytest.mark.parametrize("name", ["index.arrow", "token_counts.arrow", "tokenizer/vocab.txt"])
    def test_a_flipped_byte_of_a_small_file_is_found_when_opening(self, folder, name):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(DamagedArtefact, match=name):
            TokenStore.open(folder)

    def test_a_truncated_shard_is_found_when_opening(self, folder):
        path = folder / "train-00000.arrow"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DamagedArtefact, match=r"train-00000\.arrow has"):
            TokenStore.open(folder)

    def test_a_shard_of_zeros_is_found_when_it_is_read(self, folder):
        path = folder / "train-00000.arrow"
        path.write_bytes(bytes(path.stat().st_size))
        with pytest.raises(DamagedArtefact, match=r"train-00000\.arrow is damaged"):
            TokenStore.open(folder).train.block(0)

    def test_another_shard_under_this_name_is_found_when_it_is_read(self, folder, tmp_path):
        documents = [Document.random(np.random.default_rng(1), 300, 50) for _ in range(40)]
        make_store(tmp_path / "other", documents, held_out=0.1)
        other = (tmp_path / "other" / "train-00000.arrow").read_bytes()
        path = folder / "train-00000.arrow"
        store = TokenStore.open(folder)
        path.unlink()
        path.write_bytes(other)
        with pytest.raises(DamagedArtefact, match=r"not as index\.arrow says"):
            store.train.block(0)


def test_another_artefact_is_refused_by_its_kind(tmp_path):
    with stage_artefact(tmp_path / "v", kind="vocabulary", command="vocab", configuration={}) as staging:
        TOKENIZER.save(staging.folder)
    with pytest.raises(MismatchedArtefact, match="is a vocabulary, not a token store"):
        TokenStore.open(tmp_path / "v")
