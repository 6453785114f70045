"""Tables of the rollout room."""

from .backup import Backup
from .component import Component, Configuration, Environment, Freeze, Target
from .glass import BreakGlass, GlassReview
from .reading import DiffReading
from .release import Artifact, EvidenceLink, Release
from .rollout import Rollout
from .run import Effect, Run, Step
from .runbook import Runbook, RunbookTick
from .token import SCOPES, Heartbeat, Idempotency, Token

__all__ = [
    "SCOPES",
    "Artifact",
    "Backup",
    "BreakGlass",
    "Component",
    "Configuration",
    "DiffReading",
    "Effect",
    "Environment",
    "EvidenceLink",
    "Freeze",
    "GlassReview",
    "Heartbeat",
    "Idempotency",
    "Release",
    "Rollout",
    "Run",
    "Runbook",
    "RunbookTick",
    "Step",
    "Target",
    "Token",
]
