"""The nine GLUE tasks: their official layouts, written out small, and the real files where they are at hand."""

import pytest

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.tasks.catalogue import find_task
from bertsmith.tasks.parts import find_part, require_part
from bertsmith.tasks.sentences.glue import GLUE

# task, part, file content in the official layout, and the examples in it as (text, text_pair, label)
LAYOUTS = [
    (
        "cola",
        "train",
        "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThey drank the pub.\n",
        [("Our friends won't buy this.", None, "1"), ("They drank the pub.", None, "0")],
    ),
    (
        "sst-2",
        "dev",
        "sentence\tlabel\nit 's slow . \t0\n\" charming \t1\n",
        [("it 's slow . ", None, "0"), ('" charming ', None, "1")],
    ),
    (
        "mrpc",
        "train",
        '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t12\t34\tHe said " no .\tHe refused .\n',
        [('He said " no .', "He refused .", "1")],
    ),
    (
        "sts-b",
        "dev",
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
        "0\tmain-captions\tMSRvid\t2012test\t0000\tnone\tnone\tA cat.\tA dog.\t2.600\n",
        [("A cat.", "A dog.", 2.6)],
    ),
    (
        "qqp",
        "train",
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n5\t1\t2\tWhy?\tWhat for?\t1\n6\t3\t4\tHow?\t\t0\n",
        [("Why?", "What for?", "1"), ("How?", "", "0")],
    ),
    (
        "mnli",
        "dev_mismatched",
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse"
        "\tsentence1\tsentence2\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n"
        "0\t75290\t75290c\tletters\t( x )\t( y )\t(R x)\t(R y)\tGive.\tTake.\tneutral\tcontradiction\tneutral\tneutral"
        "\tneutral\tcontradiction\n",
        [("Give.", "Take.", "contradiction")],
    ),
    (
        "qnli",
        "dev",
        "index\tquestion\tsentence\tlabel\n0\tWho?\tShe did.\tentailment\n1\tWhen?\tHere.\tnot_entailment\n",
        [("Who?", "She did.", "entailment"), ("When?", "Here.", "not_entailment")],
    ),
    (
        "rte",
        "train",
        "index\tsentence1\tsentence2\tlabel\n0\tNo arms.\tArms.\tnot_entailment\n",
        [("No arms.", "Arms.", "not_entailment")],
    ),
    (
        "wnli",
        "dev",
        "index\tsentence1\tsentence2\tlabel\n0\tIt broke.\tThe carrot broke.\t1\n",
        [("It broke.", "The carrot broke.", "1")],
    ),
]

UNLABELLED = [
    ("cola", "index\tsentence\n0\tBill ran.\n", ("Bill ran.", None)),
    ("sst-2", "index\tsentence\n0\tuneasy .\n", ("uneasy .", None)),
    ("mrpc", "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tA .\tB .\n", ("A .", "B .")),
    ("qqp", "id\tquestion1\tquestion2\n0\tA?\tB?\n", ("A?", "B?")),
    ("qnli", "index\tquestion\tsentence\n0\tA?\tB.\n", ("A?", "B.")),
]


def read(folder, task, part):
    return task.read(require_part(folder, task, part), "strict")


@pytest.mark.parametrize(("name", "part", "content", "expected"), LAYOUTS, ids=[layout[0] for layout in LAYOUTS])
def test_the_official_layout_is_read(tmp_path, name, part, content, expected):
    task = find_task(name)
    (tmp_path / task.files[part][0]).write_text(content, encoding="utf-8")
    rows = read(tmp_path, task, part).rows
    assert [(row.text, row.text_pair, row.label) for row in rows] == expected


def test_every_task_has_a_layout_in_this_table():
    assert sorted(GLUE) == sorted(layout[0] for layout in LAYOUTS)


@pytest.mark.parametrize(("name", "content", "expected"), UNLABELLED, ids=[layout[0] for layout in UNLABELLED])
def test_the_official_test_file_is_read_without_labels(tmp_path, name, content, expected):
    (tmp_path / "test.tsv").write_text(content)
    (row,) = find_task(name).read(tmp_path / "test.tsv", "strict", labelled=False).rows
    assert (row.text, row.text_pair, row.label) == (*expected, None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("sst-2", "sentence\tlabel\nfine\t1\nbad\n", "line 3: it has 1 column where the first line has 2"),
        ("sst-2", "sentence\tlabel\nfine\t2\n", "line 2: the label '2' is not one of 0, 1"),
        ("rte", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\t\n", "line 2: the label is empty"),
        ("sts-b", "sentence1\tsentence2\tscore\na\tb\t5.5\n", "line 2: the score 5.5 is not between 0 and 5"),
        ("sts-b", "sentence1\tsentence2\tscore\na\tb\tnan\n", "line 2: the score 'nan' is not a number"),
        ("cola", "gj04\t1\t\tFine.\ngj04\t1\tFine.\n", "line 2: it has 3 columns where the first line has 4"),
        ("sst-2", "index\tsentence\n0\tfine\n", "has no column 'label'. It has 'index', 'sentence'"),
        ("sst-2", "sentence\tlabel\n", "holds no usable row"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, name, content, message):
    task = find_task(name)
    (tmp_path / "train.tsv").write_text(content)
    with pytest.raises(InputError) as error:
        read(tmp_path, task, "train")
    assert message in str(error.value)
    assert "train.tsv" in str(error.value)


QQP_HEADER = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
QQP_BROKEN = f"{QQP_HEADER}5\t1\t2\tWhy?\tWhat for?\t1\n6\t3\t4\tHow\nso?\tWhy so?\t0\n7\t5\t6\tWho?\tWhich?\t0\n"


@pytest.mark.parametrize("part", ["train", "dev"])
def test_rows_of_qqp_that_a_line_break_has_cut_are_left_out_and_listed_with_no_flag(tmp_path, capsys, part):
    (tmp_path / f"{part}.tsv").write_text(QQP_BROKEN)
    examples = read(tmp_path, find_task("qqp"), part)
    assert [row.text for row in examples.rows] == ["Why?", "Who?"]
    assert list(examples.skipped) == [
        (3, "it has 4 columns where the first line has 6"),
        (4, "it has 3 columns where the first line has 6"),
    ]
    assert "2 rows skipped. line 3: it has 4 columns" in capsys.readouterr().err


def test_broken_rows_of_a_test_file_of_other_files_and_of_other_tasks_are_refused(tmp_path):
    qqp = find_task("qqp")
    for name in ("test.tsv", "mine.tsv"):
        (tmp_path / name).write_text(QQP_BROKEN)
    for labelled in (True, False):
        with pytest.raises(InputError, match=r"test\.tsv, line 3: it has 4 columns"):
            qqp.read(tmp_path / "test.tsv", "strict", labelled=labelled)
    with pytest.raises(InputError, match=r"mine\.tsv, line 3: it has 4 columns"):
        qqp.read(tmp_path / "mine.tsv", "strict")
    assert [task.name for task in GLUE.values() if task.broken] == ["qqp"]


def test_a_task_is_found_in_its_folder_or_in_the_folder_of_all_tasks(tmp_path):
    (tmp_path / "SST-2").mkdir()
    (tmp_path / "SST-2" / "dev.tsv").write_text("sentence\tlabel\na\t1\n")
    task = find_task("sst-2")
    assert find_part(tmp_path, task, "dev") == find_part(tmp_path / "SST-2", task, "dev")
    assert find_part(tmp_path, task, "train") is None
    with pytest.raises(InputError, match=r"no file for the part 'train' of sst-2: expected train\.tsv"):
        require_part(tmp_path, task, "train")


@pytest.mark.parametrize("name", ["SST-2", "sst2", "sst_2", "SST2"])
def test_a_task_is_known_by_its_letters(name):
    assert find_task(name).name == "sst-2"


def test_an_unknown_task_names_the_nearest_one():
    with pytest.raises(ConfigurationError, match=r"There is no task 'mlni'\. Did you mean 'mnli'\?"):
        find_task("mlni")


@pytest.mark.parametrize(
    ("folder", "name", "part", "count"),
    [
        ("SST-2", "sst-2", "train", 67349),
        ("SST-2", "sst-2", "dev", 872),
        ("MRPC", "mrpc", "train", 3668),
        ("MRPC", "mrpc", "dev", 408),
        ("MRPC", "mrpc", "test", 1725),
        ("STS-B", "sts-b", "train", 5749),
        ("STS-B", "sts-b", "dev", 1500),
        ("QNLI", "qnli", "dev", 5463),
        ("QQP_subset", "qqp", "dev", 3497),
        ("WNLI", "wnli", "train", 635),
        ("WNLI", "wnli", "dev", 71),
    ],
)
def test_the_real_files_are_read_whole(real_glue, folder, name, part, count):
    assert len(read(real_glue / folder, find_task(name), part).rows) == count


def test_the_line_of_the_real_qqp_file_that_has_lost_a_tab_is_found(real_glue):
    task = find_task("qqp")
    path = real_glue / "QQP_subset" / "original" / "new_dev.tsv"  # has no header either: line 1 is an example
    with pytest.raises(InputError, match="line 2: it has 6 columns where the first line has 5"):
        task.read(path, "strict")
