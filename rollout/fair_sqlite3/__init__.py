"""A database backend: Django's SQLite, with writers that wait in fair turns (`base` is where Django looks for it)."""
