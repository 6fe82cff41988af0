"""`finetune`, `evaluate`, `predict` from end to end, on a task that a tiny network learns in a second."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bertsmith.cli import main
from bertsmith.core.artefact import verify_artefact
from bertsmith.core.configuration import build_settings
from bertsmith.core.errors import ArtefactError, ArtefactExists, ConfigurationError, InputError, MismatchedArtefact
from bertsmith.tasks.evaluation import EvaluateConfig, evaluate
from bertsmith.tasks.finetuning import finetune
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.prediction import PredictConfig, predict
from bertsmith.tasks.task_model import TaskModel

FLOAT32 = {"precision": "float32"}
FAST = {"learning_rate": 5e-3, "epochs": 5}


def configuration(pretrained, out, data, *layers):
    return build_settings(
        FinetuneConfig,
        {
            "model": pretrained,
            "out": out,
            "task_data": {"data": data},
            "inputs": {"max_seq_length": 32},
            "training": FAST,
            "runtime": FLOAT32,
        },
        *layers,
    )


@pytest.fixture(scope="module")
def fine_tuned(pretrained, reviews, tmp_path_factory):
    """A folder that `finetune` wrote with two seeds, and what it returned."""
    out = tmp_path_factory.mktemp("finetuned") / "reviews"
    return out, finetune(configuration(pretrained, out, reviews, {"seeds": 2}))


def predicted(fine_tuned, path, **settings):
    return list(
        predict(build_settings(PredictConfig, {"model": fine_tuned[0], "input": path, "runtime": FLOAT32}, settings))
    )


def test_a_tiny_network_learns_a_separable_task(fine_tuned):
    _, result = fine_tuned
    assert [run.seed for run in result.seeds] == [0, 1]
    assert result.primary.mean > 0.9
    assert result.collapsed == ()
    assert result.seeds[0].epochs[-1].train_loss < result.seeds[0].epochs[0].train_loss


@pytest.mark.parametrize("initialisation", ["pretrained", "random"])
def test_the_rate_of_dropout_is_the_tasks_and_not_that_of_pre_training(pretrained, reviews, tmp_path, initialisation):
    changes = {"initialisation": initialisation, "training": {"epochs": 1, "dropout": 0.3}}
    finetune(configuration(pretrained, tmp_path / "reviews", reviews, changes))
    config = json.loads((tmp_path / "reviews" / "model" / "config.json").read_text())
    assert (config["hidden_dropout_prob"], config["attention_probs_dropout_prob"]) == (0.3, 0.3)


def test_every_seed_and_epoch_is_on_file_and_the_best_seed_is_in_model(fine_tuned):
    out, result = fine_tuned
    verify_artefact(out, "finetuning")
    manifest = verify_artefact(out / "model", "model")
    assert set(manifest.made_from) == {"model", "train", "dev"}
    content = json.loads((out / "results.json").read_text())
    assert [[epoch["epoch"] for epoch in run["epochs"]] for run in content["seeds"]] == [[1, 2, 3, 4, 5]] * 2
    assert content["parts"]["train"]["examples"] == 400
    best = max(result.seeds, key=lambda run: run.dev["dev"]["accuracy"])
    assert result.best_seed == content["best_seed"] == best.seed
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert sum("dev" in line for line in log) == 10
    assert "| mean ± s.d. |" in (out / "README.md").read_text()


def test_the_mean_and_the_deviation_are_those_of_the_last_epochs(fine_tuned):
    _, result = fine_tuned
    scores = torch.tensor([run.epochs[-1].dev["dev"]["macro_f1"] for run in result.seeds], dtype=torch.float64)
    assert result.means["dev"]["macro_f1"].mean == pytest.approx(scores.mean().item())
    assert result.means["dev"]["macro_f1"].standard_deviation == pytest.approx(scores.std().item())


def test_the_same_seed_gives_the_same_model(fine_tuned, pretrained, reviews, tmp_path):
    out, result = fine_tuned
    finetune(configuration(pretrained, tmp_path / "again", reviews, {"seed": result.best_seed}))
    again = (tmp_path / "again" / "model" / "model.safetensors").read_bytes()
    assert again == (out / "model" / "model.safetensors").read_bytes()


def test_activation_checkpointing_changes_no_weight(fine_tuned, pretrained, reviews, tmp_path):
    out, result = fine_tuned
    less_memory = {"seed": result.best_seed, "runtime": {"activation_checkpointing": True}}
    finetune(configuration(pretrained, tmp_path / "again", reviews, less_memory))
    again = (tmp_path / "again" / "model" / "model.safetensors").read_bytes()
    assert again == (out / "model" / "model.safetensors").read_bytes()


def test_evaluate_gives_what_finetune_measured(fine_tuned, reviews):
    out, result = fine_tuned
    best = next(run for run in result.seeds if run.seed == result.best_seed)
    for data in (reviews, reviews / "dev.tsv"):
        scores = evaluate(build_settings(EvaluateConfig, {"model": out, "data": data, "runtime": FLOAT32}))
        assert scores.scores == best.dev["dev"]
        assert (scores.examples, scores.cut) == (100, 0)


def test_the_folder_loads_in_transformers_with_equal_logits(fine_tuned):
    out, _ = fine_tuned
    texts = ["the film is good", "a very awful film .", "dull"]
    reference, info = AutoModelForSequenceClassification.from_pretrained(out / "model", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert reference.config.id2label == {0: "bad", 1: "good"}
    inputs = AutoTokenizer.from_pretrained(out / "model")(texts, padding=True, return_tensors="pt")
    theirs = reference.eval()(**inputs).logits.softmax(dim=1)
    classifier = TaskModel.load(out, InferenceSettings(**FLOAT32))
    ours = torch.tensor([list(prediction.probabilities.values()) for prediction in classifier.predict(texts)])
    torch.testing.assert_close(ours, theirs.detach(), atol=1e-5, rtol=1e-5)
    assert [prediction.label for prediction in classifier.predict(texts)] == ["good", "bad", "bad"]


def test_predictions_keep_the_order_of_the_input(fine_tuned, tmp_path, monkeypatch):
    monkeypatch.setattr("bertsmith.tasks.prediction._WINDOW", 7)  # several windows
    texts = [("the " * (1 + 5 * index % 13)) + ("good" if index % 3 else "awful") for index in range(40)]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts) + "\n")
    rows = predicted(fine_tuned, path)
    assert [row["line"] for row in rows] == list(range(1, 41))
    alone = TaskModel.load(fine_tuned[0], InferenceSettings(**FLOAT32))
    for row, text in zip(rows, texts, strict=True):
        (expected,) = alone.predict([text])
        assert row["label"] == expected.label
        assert row["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert {row["label"] for row in rows} == {"good", "bad"}


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.jsonl", '{"text": "good"}\n\n{"text": "awful", "more": 1}\n', [1, 3]),
        ("a.csv", 'text,id\n"very\ngood",1\nawful,2\n', [2, 4]),
        ("a.tsv", "id\ttext\n1\tgood\n2\tawful\n", [2, 3]),
        ("a.txt", "good\nawful\n", [1, 2]),
    ],
)
def test_predict_reads_json_tables_and_plain_lines(fine_tuned, tmp_path, name, content, lines):
    (tmp_path / name).write_text(content)
    rows = predicted(fine_tuned, tmp_path / name)
    assert [row["line"] for row in rows] == lines
    assert [row["label"] for row in rows] == ["good", "bad"]
    assert all(sum(row["probabilities"].values()) == pytest.approx(1.0) for row in rows)


@pytest.mark.parametrize("content", ["good\nawful\n", '{"text": "good"}\n{"text": "awful"}\n'])
def test_predict_reads_standard_input(fine_tuned, tmp_path, monkeypatch, content):
    (tmp_path / "input").write_text(content)
    with (tmp_path / "input").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert [row["label"] for row in predicted(fine_tuned, "-")] == ["good", "bad"]


def test_a_row_that_cannot_be_predicted_is_refused_or_skipped(fine_tuned, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n{"txt": "awful"}\n{"text": "awful"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl, line 2: there is no 'text' among 'txt'"):
        predicted(fine_tuned, path)
    assert [row["line"] for row in predicted(fine_tuned, path, on_error="skip")] == [1, 3]


@pytest.mark.parametrize("verb", [PredictConfig, EvaluateConfig])
def test_official_answers_go_by_place_so_no_row_may_be_skipped(tmp_path, verb):
    given = {"model": tmp_path, "data" if verb is EvaluateConfig else "input": tmp_path / "a.tsv"}
    with pytest.raises(ConfigurationError, match="needs an answer for every row"):
        build_settings(verb, given, {"official": tmp_path / "official", "on_error": "skip"})


def test_a_collapsed_run_is_found_early_reported_and_kept(pretrained, reviews, tmp_path, capsys):
    hopeless = {"training": {"learning_rate": 0.5, "epochs": 2}}
    result = finetune(configuration(pretrained, tmp_path / "out", reviews, hopeless))
    (run,) = result.seeds
    assert result.collapsed == (0,)
    assert "all 100 dev predictions are" in run.collapse
    assert run.first_sign_of_collapse < 26  # of 26 steps
    shown = " ".join(capsys.readouterr().err.split())
    assert "So far it is no better than guessing" in shown
    assert "seed 0: all 100 dev predictions are" in (tmp_path / "out" / "README.md").read_text()


def test_a_collapsed_run_is_started_again_openly(pretrained, reviews, tmp_path, capsys):
    hopeless = {"training": {"learning_rate": 0.5, "epochs": 2, "restarts": 2}}
    result = finetune(configuration(pretrained, tmp_path / "out", reviews, hopeless))
    (run,) = result.seeds
    assert (run.seed, run.restarted_from) == (2000, (0, 1000))
    assert result.collapsed == (2000,)
    assert "in the place of 2 collapsed" in (tmp_path / "out" / "README.md").read_text()
    log = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert {line["seed"] for line in log} == {0, 1000, 2000}
    assert "It is started again from another seed." in " ".join(capsys.readouterr().err.split())


def test_with_patience_the_best_epoch_is_kept_and_the_run_stops_early(pretrained, reviews, tmp_path):
    result = finetune(configuration(pretrained, tmp_path / "out", reviews, {"training": {"epochs": 20, "patience": 2}}))
    (run,) = result.seeds
    accuracies = [epoch.dev["dev"]["accuracy"] for epoch in run.epochs]
    assert run.kept_epoch == 1 + accuracies.index(max(accuracies))
    assert len(run.epochs) == run.kept_epoch + 2 < 20
    again = evaluate(build_settings(EvaluateConfig, {"model": tmp_path / "out", "data": reviews, "runtime": FLOAT32}))
    assert again.scores == run.dev["dev"] == run.epochs[run.kept_epoch - 1].dev["dev"]
    assert f"epoch {run.kept_epoch} of {len(run.epochs)}" in (tmp_path / "out" / "README.md").read_text()


def test_a_grid_keeps_the_cell_with_the_best_mean_and_tells_of_all(pretrained, reviews, tmp_path):
    grid = {"grid": {"grid_learning_rates": (1e-6, 5e-3), "grid_epochs": (1, 3)}, "seeds": 2}
    result = finetune(configuration(pretrained, tmp_path / "out", reviews, grid))
    means = [sum(run.dev["dev"]["accuracy"] for run in cell.runs) / 2 for cell in result.grid]
    assert len(means) == 4
    assert result.primary.mean == pytest.approx(max(means))
    assert result.cell["learning_rate"] == 5e-3
    page = (tmp_path / "out" / "README.md").read_text()
    assert "the best of 4 settings by their mean on dev" in page
    assert page.index("| 0.005 |") < page.index("| 1e-06 |")
    again = evaluate(build_settings(EvaluateConfig, {"model": tmp_path / "out", "data": reviews, "runtime": FLOAT32}))
    best = next(run for run in result.seeds if run.seed == result.best_seed)
    assert again.scores == best.dev["dev"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_frozen_layers_leave_the_fine_tuning_as_they_came(pretrained, reviews, tmp_path, precision):
    changes = {"layers": {"frozen_layers": 1}, "training": {"epochs": 1}, "runtime": {"precision": precision}}
    finetune(configuration(pretrained, tmp_path / "out", reviews, changes))
    before, after = (load_file(folder / "model.safetensors") for folder in (pretrained, tmp_path / "out" / "model"))
    for name, weight in after.items():
        if "embeddings" in name or "layer.0" in name:
            assert torch.equal(weight, before[name])
    assert not torch.equal(
        after["bert.encoder.layer.1.output.dense.weight"], before["bert.encoder.layer.1.output.dense.weight"]
    )


@pytest.mark.parametrize("long_texts", ["mean", "max", "first"])
def test_long_texts_are_read_in_windows_and_give_the_same_when_saved(pretrained, tmp_path, long_texts):
    data = tmp_path / "data"
    data.mkdir()
    for part in ("train", "dev"):
        rows = [("the cat sat " * (index % 9) + word, word) for index in range(8) for word in ("good", "bad")] * 6
        (data / f"{part}.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    changes = {"inputs": {"max_seq_length": 12, "stride": 10, "long_texts": long_texts}, "training": {"epochs": 12}}
    result = finetune(configuration(pretrained, tmp_path / "out", data, changes))
    assert (result.primary.mean > 0.9) is (long_texts != "first")  # the word that tells stands last
    again = evaluate(build_settings(EvaluateConfig, {"model": tmp_path / "out", "data": data, "runtime": FLOAT32}))
    assert again.scores == result.seeds[0].dev["dev"]
    longer = sum(len(text.split()) > 10 for text, _ in rows)  # than what stands between [CLS] and [SEP]
    assert again.cut == (longer if long_texts == "first" else 0)


def test_texts_with_several_labels(pretrained, tmp_path):
    data = tmp_path / "data.jsonl"
    words = {"good": "praise", "cat": "animal", "dog": "animal", "great": "praise"}
    texts = [f"the {first} {second}" for first in (*words, "film") for second in (*words, "mat", "man", "sat")]
    rows = [
        {"text": text, "label": sorted({words[word] for word in text.split() if word in words})} for text in texts * 12
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    changes = {"task_data": {"several_labels": True}, "training": {"epochs": 12}}
    result = finetune(configuration(pretrained, tmp_path / "out", data, changes))
    assert result.metric == "micro_f1"
    assert result.primary.mean > 0.9
    (tmp_path / "new.txt").write_text("the good cat\nthe film mat\n")
    for row in predicted((tmp_path / "out", result), tmp_path / "new.txt"):
        assert row["labels"] == [label for label, likely in row["probabilities"].items() if likely > 0.5]
        assert list(row["probabilities"]) == ["animal", "praise"]
    reference = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "model")
    assert reference.config.problem_type == "multi_label_classification"


def test_pairs_of_texts_in_csv_and_jsonl_with_a_held_out_dev(pretrained, tmp_path):
    rows = [(f"the {a}", f"a {b}", "same" if a == b else "other") for a in ("cat", "dog") for b in ("cat", "dog")] * 10
    train = tmp_path / "train.csv"
    train.write_text("left,right,verdict\n" + "".join(f"{a},{b},{label}\n" for a, b, label in rows))
    columns = {"text": "left", "text_pair": "right", "label": "verdict"}
    config = {"task_data": {"data": None, "train": train, "dev_share": 0.25}, "columns": columns}
    result = finetune(configuration(pretrained, tmp_path / "out", None, config, {"training": {"epochs": 1}}))
    parts = json.loads((tmp_path / "out" / "results.json").read_text())["parts"]
    assert (parts["train"]["examples"], parts["dev"]["examples"]) == (30, 10)
    assert result.task == "train"
    (tmp_path / "new.jsonl").write_text('{"left": "the cat", "right": "a dog"}\n')
    (row,) = predicted((tmp_path / "out", result), tmp_path / "new.jsonl")
    assert set(row["probabilities"]) == {"other", "same"}
    (tmp_path / "new.txt").write_text("the cat\ta dog\n")
    assert predicted((tmp_path / "out", result), tmp_path / "new.txt")[0]["probabilities"] == row["probabilities"]
    with pytest.raises(InputError, match="takes a pair"):
        TaskModel.load(tmp_path / "out").predict(["the cat"])


def test_a_regression_predicts_a_score(pretrained, tmp_path):
    words = {"awful": 0.0, "bad": 1.0, "fine": 2.0, "good": 3.0, "great": 4.0}
    rows = [(f"a {filler} {word}", score) for word, score in words.items() for filler in ("film", "cat", "dog", "very")]
    data = tmp_path / "data"
    data.mkdir()
    for part in ("train", "dev"):
        (data / f"{part}.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{score}\n" for text, score in rows * 8))
    config = {"task_data": {"regression": True}, "training": {"epochs": 20}}
    result = finetune(configuration(pretrained, tmp_path / "out", data, config))
    assert result.primary.mean > 0.9
    (tmp_path / "new.txt").write_text("a film awful\na film great\n")
    low, high = predicted((tmp_path / "out", result), tmp_path / "new.txt")
    assert set(low) == {"line", "score"}
    assert low["score"] < high["score"]


@pytest.mark.parametrize("initialisation", ["random", "neighbour"])
def test_the_same_network_untrained_starts_from_weights_of_the_seed(pretrained, reviews, tmp_path, initialisation):
    config = configuration(pretrained, tmp_path / "out", reviews, {"initialisation": initialisation, "seeds": 2})
    short = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 1})})
    first, second = finetune(short).seeds
    assert first.epochs[0].train_loss != second.epochs[0].train_loss
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()


def test_a_dry_run_passes_every_stage_and_keeps_nothing(pretrained, reviews, tmp_path, capsys):
    finetune(configuration(pretrained, tmp_path / "out", reviews, {"dry_run": True, "seeds": 5}))
    assert not list(tmp_path.iterdir())
    assert "every stage passed" in capsys.readouterr().err


def test_a_dry_run_of_a_grid_is_one_short_run(pretrained, reviews, tmp_path):
    grid = {"grid": {"grid": "paper"}, "training": {"restarts": 3, "learning_rate": 1e-9}}
    result = finetune(configuration(pretrained, tmp_path / "out", reviews, {"dry_run": True, "seeds": 5}, grid))
    assert [(len(run.epochs), run.restarted_from) for run in result.seeds] == [(1, ())]
    assert result.grid == ()


def test_a_named_task_is_learnt_from_its_official_layout(pretrained, tmp_path):
    folder = tmp_path / "glue" / "CoLA"
    folder.mkdir(parents=True)
    for part in ("train", "dev"):
        rows = [f"x\t{index % 2}\t\t{'good' if index % 2 else 'bad'} film {index}" for index in range(64)]
        (folder / f"{part}.tsv").write_text("\n".join(rows) + "\n")
    config = {"task_data": {"task": "CoLA"}, "training": {"epochs": 4, "batch_size": 8}}
    result = finetune(configuration(pretrained, tmp_path / "out", tmp_path / "glue", config))
    assert (result.task, result.metric) == ("cola", "matthews")
    assert result.primary.mean > 0.9
    (tmp_path / "test.tsv").write_text("index\tsentence\n0\tgood film\n")
    assert predicted((tmp_path / "out", result), tmp_path / "test.tsv")[0]["label"] == "1"
    with pytest.raises(MismatchedArtefact, match="predicts 0, 1; the task rte asks for entailment, not_entailment"):
        evaluate(EvaluateConfig(model=tmp_path / "out", data=folder, task="rte"))


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ({"task_data": {"data": None}}, ConfigurationError, "Say what to learn from: --data FOLDER"),
        ({"task_data": {"task": "sst-2"}}, InputError, "train.tsv has no column 'sentence'"),
        ({"task_data": {"task": "mrpc", "regression": True}}, ConfigurationError, "What mrpc predicts is known"),
        ({"task_data": {"regression": True}}, InputError, "the score '"),
        ({"columns": {"label": "stars"}}, InputError, "has no column 'stars'. It has 'text', 'label'"),
        ({"inputs": {"max_seq_length": 65}}, ConfigurationError, "--max-seq-length 65 is more than the 64 positions"),
        ({"model": "nowhere"}, ArtefactError, "There is no model at nowhere"),
        ({"task_data": {"dev": "nowhere.tsv"}}, InputError, "The dev file nowhere.tsv is not there"),
    ],
)
def test_what_cannot_be_is_refused_in_one_paragraph_and_leaves_nothing(
    pretrained, reviews, tmp_path, layer, error, message
):
    with pytest.raises(error) as refusal:
        finetune(configuration(pretrained, tmp_path / "out", reviews, layer))
    assert message in str(refusal.value)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(fine_tuned, pretrained, reviews):
    with pytest.raises(ArtefactExists):
        finetune(configuration(pretrained, fine_tuned[0], reviews))


def test_a_pretrained_model_is_not_a_classifier(pretrained, reviews):
    with pytest.raises(ArtefactError, match=r"is not a fine-tuned model: it has no task\.json"):
        evaluate(EvaluateConfig(model=pretrained, data=reviews))


def test_the_commands_print_tables_and_json_lines(pretrained, reviews, tmp_path, capsys, monkeypatch):
    out, model = str(tmp_path / "out"), str(pretrained)
    fast = ["--learning-rate", "5e-3", "--epochs", "5", "--max-seq-length", "32"]
    float32 = ["--precision", "float32", "--threads", "1"]

    def printed(*tokens):
        assert main([*tokens, *float32]) == 0
        return " ".join(capsys.readouterr().out.split())

    assert f"{reviews.name}, dev scores after the last epoch" in printed(
        "finetune", model, "--data", str(reviews), "--out", out, *fast
    )
    assert "accuracy │ 1.0000" in printed("evaluate", out, "--data", str(reviews))
    assert json.loads(printed("evaluate", out, "--data", str(reviews), "--json"))["scores"]["accuracy"] == 1.0
    (tmp_path / "new.txt").write_text("good\n")
    assert json.loads(printed("predict", out, str(tmp_path / "new.txt")))["label"] == "good"
    with (tmp_path / "new.txt").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert json.loads(printed("predict", out, "-"))["label"] == "good"
    assert "the [MASK] sat" in printed("fill", model, "the [MASK] sat", "--top", "2")


def test_input_that_is_not_there_or_not_a_pair_is_refused(fine_tuned, pretrained, tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.txt cannot be read: No such file"):
        predicted(fine_tuned, tmp_path / "nowhere.txt")
    (tmp_path / "pairs.tsv").write_text("a\tb\tlabel\n" + "the cat\ta dog\tx\nthe dog\ta dog\ty\n" * 8)
    layers = {"columns": {"text": "a", "text_pair": "b"}, "training": {"epochs": 1}}
    result = finetune(configuration(pretrained, tmp_path / "out", tmp_path / "pairs.tsv", layers))
    (tmp_path / "new.txt").write_text("the cat\ta dog\nthe cat\n")
    with pytest.raises(InputError, match=r"line 2: the task pairs takes two texts with a tab between, and here are 1"):
        predicted((tmp_path / "out", result), tmp_path / "new.txt")


def test_a_second_text_for_a_model_of_one_is_refused(fine_tuned, tmp_path):
    (tmp_path / "pairs.tsv").write_text("text\tother\tlabel\nthe cat\ta dog\tgood\n")
    with pytest.raises(ConfigurationError, match="was fine-tuned on examples of one text, and here two texts"):
        predicted(fine_tuned, tmp_path / "pairs.tsv", text_pair="other")
    columns = {"columns": {"text_pair": "other"}}
    with pytest.raises(ConfigurationError, match="was fine-tuned on examples of one text, and here two texts"):
        evaluate(build_settings(EvaluateConfig, {"model": fine_tuned[0], "data": tmp_path / "pairs.tsv"}, columns))


def test_a_model_of_mnli_is_scored_on_ax_by_the_metrics_of_ax(pretrained, tmp_path):
    labels = ("entailment", "neutral", "contradiction")
    rows = [f"the cat {index}\ta dog\t{labels[index % 3]}" for index in range(30)]
    for name in ("train", "dev_matched"):
        (tmp_path / f"{name}.tsv").write_text("sentence1\tsentence2\tgold_label\n" + "\n".join(rows) + "\n")
    settings = {"task_data": {"task": "mnli"}, "training": {"epochs": 1}}
    finetune(configuration(pretrained, tmp_path / "out", tmp_path, settings))
    (tmp_path / "ax.tsv").write_text("Premise\tHypothesis\tLabel\n" + "\n".join(rows) + "\n")
    scores = evaluate(EvaluateConfig(model=tmp_path / "out", data=tmp_path / "ax.tsv", task="ax")).scores
    assert set(scores) == {"matthews", "accuracy"}
