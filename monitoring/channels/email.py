"""The e-mail channel: plain text through Django's mail settings, threaded by what the message is about."""

import hashlib
import smtplib

from django.core.mail import EmailMessage, get_connection

from .base import ChannelConfig, ChannelError, Message


def send(message: Message, config: ChannelConfig) -> None:
    """Send one mail to all recipients; raise ChannelError."""
    try:
        mail = build(message, config)
        mail.connection = get_connection(timeout=config.timeout_s)
        mail.send()
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        raise ChannelError(
            f"the mail server refused the message ({type(error).__name__})", permanent=_final(error)
        ) from None
    except smtplib.SMTPAuthenticationError:
        raise ChannelError("the mail server refused user name or password: see EMAIL_URL", permanent=True) from None
    except (smtplib.SMTPException, OSError) as error:
        raise ChannelError(f"no mail server took the message ({type(error).__name__})", permanent=False) from None


def build(message: Message, config: ChannelConfig) -> EmailMessage:
    """Return the mail; all mails about one subject share a thread, and a duplicate has the same Message-ID."""
    domain = config.sender.rpartition("@")[2].rstrip(">") or "localhost"
    thread = hashlib.sha256(f"{message.subject_kind}:{message.subject_id}".encode()).hexdigest()[:24]
    own = hashlib.sha256(message.key.encode()).hexdigest()[:24]
    # A line break in a subject would be a second header; Django refuses it, so it becomes a space
    return EmailMessage(
        subject=" ".join(message.title.split()),
        body=f"{message.body}\n\n{message.url}\n".rstrip() + "\n",
        from_email=config.sender,
        to=list(config.recipients),
        headers={
            "Message-ID": f"<{own}@{domain}>",
            "References": f"<{thread}@{domain}>",
            "Auto-Submitted": "auto-generated",
            "X-Guarded-Rollout-Event": message.event,
        },
    )


def _final(error: smtplib.SMTPException) -> bool:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500
