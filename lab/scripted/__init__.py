"""Parts of the in-memory machinery: files, network, commands, guests and their agent, all driven by plain state.

Nothing here starts a process. A command that nobody scripted fails and says so; it never succeeds silently.
"""
