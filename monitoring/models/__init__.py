"""Tables of the monitoring room."""

from .audit import AuditEntry, AuditHead
from .incident import Attachment, Incident, IncidentEntry
from .notice import Notice, NoticeAttempt
from .watch import Poll, Sample, Watch

__all__ = [
    "Attachment",
    "AuditEntry",
    "AuditHead",
    "Incident",
    "IncidentEntry",
    "Notice",
    "NoticeAttempt",
    "Poll",
    "Sample",
    "Watch",
]
