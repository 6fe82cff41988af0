"""Text in, token store out: reading, sentences, vocabulary, tokenizer, store. No torch here."""
