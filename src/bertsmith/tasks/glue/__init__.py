"""GLUE as a whole: all its tasks, the paper's table, the leaderboard's files (BERT 4.1)."""
