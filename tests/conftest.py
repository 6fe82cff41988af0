"""What all tests share.

Properties are tried on the same examples every time, so a change is judged by what it changes; `make test-all` draws
new ones. A busy machine makes no property false, so none has a deadline.
"""

from hypothesis import settings

settings.register_profile("same-examples", deadline=None, derandomize=True)
settings.register_profile("new-examples", deadline=None)
settings.load_profile("same-examples")
