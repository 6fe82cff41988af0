"""The networks that tasks are learnt with: BERT's, and for each the GPT that answers in the same form."""

from collections.abc import Mapping

from bertsmith.model.bert_for_tasks import (
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertTaskNetwork,
)
from bertsmith.model.gpt_for_tasks import (
    GptForMultipleChoice,
    GptForQuestionAnswering,
    GptForSequenceClassification,
    GptForTokenClassification,
    GptTaskNetwork,
)

TaskNetwork = BertTaskNetwork | GptTaskNetwork
SequenceClassifier = BertForSequenceClassification | GptForSequenceClassification
TokenClassifier = BertForTokenClassification | GptForTokenClassification
ChoiceNetwork = BertForMultipleChoice | GptForMultipleChoice
SpanNetwork = BertForQuestionAnswering | GptForQuestionAnswering

GPT_COUNTERPARTS: Mapping[type[BertTaskNetwork], type[GptTaskNetwork]] = {
    BertForSequenceClassification: GptForSequenceClassification,
    BertForMultipleChoice: GptForMultipleChoice,
    BertForQuestionAnswering: GptForQuestionAnswering,
    BertForTokenClassification: GptForTokenClassification,
}
