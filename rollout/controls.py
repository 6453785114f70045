"""Which control of which standard asks what, and which facts of this installation answer it; pure.

The words are our own summary of each control. A fact is named by its key in `control_facts`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One thing that a control asks, and the keys of the facts that answer it."""

    text: str
    facts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control of one standard."""

    code: str
    standard: str
    title: str
    asks: tuple[Ask, ...]

    @property
    def anchor(self) -> str:
        """Return the name of its place on the page."""
        return self.code.lower().replace(".", "-")


def _ask(text: str, facts: str) -> Ask:
    return Ask(text=text, facts=tuple(facts.split()))


CONTROLS = (
    Control(
        code="CC8.1",
        standard="SOC 2 (2017 trust services criteria)",
        title="Changes are authorised, documented, tested, approved and implemented",
        asks=(
            _ask("Each change is requested, with its reason, by a person", "requested reasons"),
            _ask("What is changed is documented before it is approved", "manifests artifacts"),
            _ask("It is tested before it is implemented", "validated rehearsed"),
            _ask("It is approved by authorised people before it starts", "consent approvals unread"),
            _ask("It is implemented by authorised people, and observed", "starters watched outcomes"),
            _ask("Emergency changes are authorised, recorded and reviewed", "bypassed rollbacks"),
        ),
    ),
    Control(
        code="A.8.32",
        standard="ISO/IEC 27001:2022",
        title="Change management",
        asks=(
            _ask("Changes follow a procedure: assessed, authorised, recorded", "requested consent configurations"),
            _ask("They are tested, and accepted before they go live", "validated watched"),
            _ask("Those concerned are told", "notices"),
            _ask("There is a way back, and it was tried", "backups rehearsed rollbacks"),
            _ask("Records of all of it are kept and cannot be altered unseen", "chain checkpoint population"),
        ),
    ),
    Control(
        code="A.5.3",
        standard="ISO/IEC 27001:2022",
        title="Segregation of duties",
        asks=(
            _ask("Who asks for or makes a change does not approve it", "separation"),
            _ask("Approving and starting are duties of their own", "roles starters"),
            _ask("Rights and rules are changed by a second person", "rights configurations admins"),
        ),
    ),
    Control(
        code="6.5.1",
        standard="PCI DSS 4.0.1",
        title="Changes to system components follow established procedures",
        asks=(
            _ask("Reason for the change, and its description", "reasons manifests"),
            _ask("Documentation of its impact", "artifacts manifests"),
            _ask("Documented approval by authorised parties", "consent approvals"),
            _ask("Testing that it does no harm", "validated watched"),
            _ask("For own software: its updates are tested before production", "links validated"),
            _ask("Procedures for failures, and return to a secure state", "backups rehearsed rollbacks incidents"),
        ),
    ),
    Control(
        code="CM-3",
        standard="NIST SP 800-53 rev. 5",
        title="Configuration change control",
        asks=(
            _ask("Proposed changes are reviewed, and approved or not", "approvals outcomes"),
            _ask("The decisions are documented", "consent unread"),
            _ask("Only approved changes are implemented", "consent bypassed"),
            _ask("Records are retained", "chain checkpoint population"),
            _ask("The activity is monitored and reviewed", "watched incidents rollbacks"),
        ),
    ),
    Control(
        code="CM-5",
        standard="NIST SP 800-53 rev. 5",
        title="Access restrictions for change",
        asks=(
            _ask("Who may change what is defined and enforced", "roles starters"),
            _ask("Changes of these rights are approved and recorded", "rights configurations admins"),
            _ask("Machines cannot approve or start", "tokens"),
        ),
    ),
    Control(
        code="AC-5",
        standard="NIST SP 800-53 rev. 5",
        title="Separation of duties",
        asks=(
            _ask("Duties that need separation are defined", "roles configurations"),
            _ask("Access supports it: no barred person's approval counts", "separation consent"),
        ),
    ),
    Control(
        code="AU-10",
        standard="NIST SP 800-53 rev. 5",
        title="Non-repudiation",
        asks=(
            _ask(
                "A decision is bound to its content and to a person who has just proved who he is", "approvals methods"
            ),
            _ask("Nobody can deny or alter it afterwards unseen", "chain checkpoint"),
            _ask("A stranger can verify it without this installation", "exports"),
        ),
    ),
)
