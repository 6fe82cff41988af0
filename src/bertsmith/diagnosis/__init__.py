"""What is wrong with a run, or with a text before any run: measurements with their meaning; the verb `doctor`.

The room is not called `doctor`, because then `bertsmith.doctor` would be two things, the verb and the room.
"""
