"""The networks that tasks are learnt with: BERT's, and for each the GPT and the BiLSTM that answer in the same form."""

from collections.abc import Mapping

from bertsmith.model.bert_for_tasks import (
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertTaskNetwork,
)
from bertsmith.model.bilstm_for_tasks import (
    BiLstmForMultipleChoice,
    BiLstmForQuestionAnswering,
    BiLstmForSequenceClassification,
    BiLstmForTokenClassification,
    BiLstmTaskNetwork,
)
from bertsmith.model.gpt_for_tasks import (
    GptForMultipleChoice,
    GptForQuestionAnswering,
    GptForSequenceClassification,
    GptForTokenClassification,
    GptTaskNetwork,
)

TaskNetwork = BertTaskNetwork | GptTaskNetwork | BiLstmTaskNetwork
SequenceClassifier = BertForSequenceClassification | GptForSequenceClassification | BiLstmForSequenceClassification
TokenClassifier = BertForTokenClassification | GptForTokenClassification | BiLstmForTokenClassification
ChoiceNetwork = BertForMultipleChoice | GptForMultipleChoice | BiLstmForMultipleChoice
SpanNetwork = BertForQuestionAnswering | GptForQuestionAnswering | BiLstmForQuestionAnswering

GPT_COUNTERPARTS: Mapping[type[BertTaskNetwork], type[GptTaskNetwork]] = {
    BertForSequenceClassification: GptForSequenceClassification,
    BertForMultipleChoice: GptForMultipleChoice,
    BertForQuestionAnswering: GptForQuestionAnswering,
    BertForTokenClassification: GptForTokenClassification,
}
BILSTM_COUNTERPARTS: Mapping[type[BertTaskNetwork], type[BiLstmTaskNetwork]] = {
    BertForSequenceClassification: BiLstmForSequenceClassification,
    BertForMultipleChoice: BiLstmForMultipleChoice,
    BertForQuestionAnswering: BiLstmForQuestionAnswering,
    BertForTokenClassification: BiLstmForTokenClassification,
}
