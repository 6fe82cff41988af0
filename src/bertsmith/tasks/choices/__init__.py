"""The kind *choices*: which of several texts goes on from a text, or answers a question (SWAG; BERT 4.4)."""
