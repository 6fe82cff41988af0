"""The verb `finetune`: a pre-trained model and a task in, a task model out (BERT 4)."""

from bertsmith.tasks.finetuning_result import FinetuneResult
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.task_finetuning import finetune_task


def finetune(config: FinetuneConfig) -> FinetuneResult:
    """Fine-tune with one added layer on a task: once with each seed; keeps the best, writes everything down."""
    return finetune_task(config)
