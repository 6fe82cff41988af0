"""Choices that have a name: SWAG (BERT 4.4) and data sets of its kind.

| name | what it is | source |
|---|---|---|
| swag | how a scene goes on, four endings | Zellers et al. 2018 |
| codah | how a sentence goes on, four completions, written to mislead | Chen et al. 2019 |
| dream | questions on dialogues from English exams, three answers | Sun et al. 2019 |
| turkish-plu-... | wikiHow: a step's goal, a goal's step, the next step, which is first | Uzunoğlu and Şahin 2023 |

CODAH is published with five folds and scored by cross-validation: `--data codah/cv_split/fold_3` is one of them;
`--data codah` takes the first.
"""

from collections.abc import Mapping
from typing import Any

from bertsmith.tasks.choices.task import ChoiceTask

# BERT 4.4: "We fine-tune the model for 3 epochs with a learning rate of 2e-5 and a batch size of 16."
_PAPER: Mapping[str, Mapping[str, Any]] = {"training": {"epochs": 3, "learning_rate": 2e-5, "batch_size": 16}}
# What DREAM's authors give for BERT-Base (nlpdata/mrc_bert_baseline).
_DREAM: Mapping[str, Mapping[str, Any]] = {
    "training": {"epochs": 8, "learning_rate": 2e-5, "batch_size": 24},
    "inputs": {"max_seq_length": 512},
}


def _turkish_plu(subset: str) -> ChoiceTask:
    files = {part: (f"{subset}-{name}.csv",) for part, name in (("train", "train"), ("dev", "val"), ("test", "test"))}
    return ChoiceTask(f"turkish-plu-{subset}", "swag", files=files, recommended=_PAPER)


CHOICE_TASKS: Mapping[str, ChoiceTask] = {
    task.name: task
    for task in (
        ChoiceTask(
            "swag",
            "swag",
            files={"train": ("train.csv",), "dev": ("val.csv",), "test": ("test.csv",)},
            recommended=_PAPER,
        ),
        ChoiceTask(
            "codah",
            "codah",
            files={part: (f"{part}.tsv", f"cv_split/fold_0/{part}.tsv") for part in ("train", "dev", "test")},
            recommended=_PAPER,
        ),
        ChoiceTask(
            "dream",
            "dream",
            files={part: (f"{part}.json",) for part in ("train", "dev", "test")},
            recommended=_DREAM,
        ),
        *map(_turkish_plu, ("goal-inference", "step-inference", "next-event-prediction", "step-ordering")),
    )
}
