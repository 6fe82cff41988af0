"""Prompts that have a name: a task of GLUE as the masked language model can answer it.

Template and words of sst-2-prompt are those of Gao et al. 2021, table 1. Its data is SST-2's: `--data glue/SST-2`.
"""

from collections.abc import Mapping

from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.sentences.glue import GLUE

MASKED_WORD_TASKS: Mapping[str, MaskedWordTask] = {
    task.name: task
    for task in (
        MaskedWordTask("sst-2-prompt", GLUE["sst-2"].columns, files=GLUE["sst-2"].files).with_prompt(
            "{text} It was [MASK].", {"0": "terrible", "1": "great"}
        ),
    )
}
