"""The kind *tags*: a tag for each word of a sentence, such as the names in a text (BERT 5.3)."""
