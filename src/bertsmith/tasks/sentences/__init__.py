"""The kind *sentence(s)*: a label, several labels or a number for a text or a pair of texts (BERT 4.1)."""
