"""The kind *spans*: the answer to a question is a part of a text, or is not in it (SQuAD; BERT 4.2, 4.3)."""
