"""What all tests share."""

from hypothesis import settings

settings.register_profile("no-deadline", deadline=None)  # a busy machine makes no property false
settings.load_profile("no-deadline")
