"""The verb `finetune`: a pre-trained model and a task in, a task model out (BERT 4)."""

from bertsmith.tasks.finetuning_result import FinetuneResult
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.glue.benchmark import finetune_glue
from bertsmith.tasks.glue.result import GlueResult
from bertsmith.tasks.task_finetuning import finetune_task


def finetune(config: FinetuneConfig) -> FinetuneResult | GlueResult:
    """Fine-tune with one added layer on a task: once with each seed; keeps the best, writes everything down.

    The task `glue` is all tasks of GLUE, one after the other (`glue_benchmark`).
    """
    return finetune_glue(config) if config.task_data.is_whole_glue else finetune_task(config)
