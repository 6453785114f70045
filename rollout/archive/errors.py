"""What can be wrong with a backup or an archive; every message says what was expected and what to do."""


class BackupError(Exception):
    """A backup cannot be made, trusted or restored."""


class CorruptBackup(BackupError):
    """The bytes are not the ones that were saved; nothing has been written."""


class WrongEnvironment(BackupError):
    """The backup belongs to another component or environment; nothing has been written."""


class HostileArchive(BackupError):
    """A name, link or size in the archive could leave its place or exhaust the machine; nothing has been written."""


class NoSpace(BackupError):
    """The restored files would not fit on the disk; nothing has been replaced."""
