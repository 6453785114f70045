"""Tables of the monitoring room."""

from .audit import AuditEntry, AuditHead, Checkpoint, TimeStamp
from .incident import Attachment, Incident, IncidentEntry
from .notice import Notice, NoticeAttempt
from .watch import Poll, Sample, Watch

__all__ = [
    "Attachment",
    "AuditEntry",
    "AuditHead",
    "Checkpoint",
    "Incident",
    "IncidentEntry",
    "Notice",
    "NoticeAttempt",
    "Poll",
    "Sample",
    "TimeStamp",
    "Watch",
]
