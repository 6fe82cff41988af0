"""What an encoder makes of text, written down: frozen vectors of tokens, words and texts (BERT 5.3)."""
