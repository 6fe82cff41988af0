"""Runnable demonstrations and their reports."""
