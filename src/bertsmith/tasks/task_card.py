"""README.md of a fine-tuned model folder: what it is, and how to use it with transformers or with bertsmith."""

from bertsmith.model.task_networks import TaskNetwork

_PIPELINES = {
    "BertForSequenceClassification": "text-classification",
    "BertForQuestionAnswering": "question-answering",
    "BertForTokenClassification": "token-classification",
    "BertForMaskedLM": "fill-mask",
}
_WITH_A_PIPELINE = """from transformers import pipeline
pipeline("{pipeline}", "path/to/this/folder")"""
_WITH_BERTSMITH = """from pathlib import Path
from bertsmith import TaskModel
TaskModel.load(Path("path/to/this/folder")).predict([...])"""


def task_card(network: TaskNetwork, title: str, body: str) -> str:
    """The page, with an example for transformers where it has a pipeline that computes the same.

    body  in Markdown: what stands between the title and the example
    """
    reads_both_ways = not getattr(network.config, "is_decoder", False)
    pipeline = _PIPELINES.get(network.architecture) if reads_both_ways else None
    head = f"library_name: transformers\npipeline_tag: {pipeline}" if pipeline else "library_name: bertsmith"
    example = _WITH_A_PIPELINE.format(pipeline=pipeline) if pipeline else _WITH_BERTSMITH
    return f"---\n{head}\ntags: [bert, bertsmith]\n---\n# {title}\n\n{body}\n\n```python\n{example}\n```\n"
