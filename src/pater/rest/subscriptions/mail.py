"""Notifications by mail, handed to the operator's gateway; never with the content of a record."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from email.message import EmailMessage
from typing import Final

from pater.rest.subscriptions.notifications import About, Told
from pater.rest.subscriptions.ports import Mail
from pater.rest.subscriptions.rest_hook import DeliveryError

_TEXT: Final = {
    "handshake": "Notifications of this subscription will come to this address.",
    "heartbeat": "Nothing new; this subscription is alive.",
    "event-notification": "Something that this subscription follows has happened.",
}


def message(
    mail: Mail, to: str, about: About, kind: str, key: str, told: Sequence[Told], content: str
) -> EmailMessage:
    """The mail of one notification; a repetition has the same Message-ID."""
    found = EmailMessage()
    found["From"] = mail.sender
    found["To"] = to
    found["Subject"] = f"Páteř: {kind.replace('-', ' ')}"
    domain = mail.sender.rpartition("@")[2] or "localhost"
    found["Message-ID"] = f"<{key.replace('/', '.')}@{domain}>"
    found["Auto-Submitted"] = "auto-generated"
    lines = [_TEXT[kind], "", f"Subscription: {about.base_url}/Subscription/{about.id}"]
    for each in told:
        line = f"Event {each.event.number}, {each.event.at:%Y-%m-%d %H:%M:%S} UTC"
        if content != "empty" and each.stored is not None:
            line += f": {about.base_url}/{each.event.type}/{each.event.id}"
        lines.append(line)
    found.set_content("\n".join(lines) + "\n")
    return found


def letters(mail: Mail, within: float = 20) -> Callable[[str, str, str], Awaitable[None]] | None:
    """What hands a letter (address, subject, text) to the gateway; None where there is none.

    It raises OSError when the gateway does not take the letter.
    """
    if not mail.host:
        return None

    async def hand_over(to: str, subject: str, text: str) -> None:
        letter = EmailMessage()
        try:
            letter["From"], letter["To"], letter["Subject"] = mail.sender, to, subject
        except ValueError:
            raise OSError("this is no address for mail") from None
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(text)
        try:
            await send(mail, letter, within)
        except DeliveryError as error:
            raise OSError(str(error)) from None

    return hand_over


async def send(mail: Mail, letter: EmailMessage, within: float) -> None:
    """Hands a mail to the gateway, within so many seconds. Raises DeliveryError."""
    try:
        async with asyncio.timeout(within):
            await asyncio.to_thread(_send, mail, letter, within)
    except TimeoutError:
        raise DeliveryError(f"the mail gateway took longer than {within:g} s") from None
    except smtplib.SMTPRecipientsRefused:
        raise DeliveryError("the mail gateway refused the address") from None
    except smtplib.SMTPException as error:
        raise DeliveryError(f"the mail gateway failed: {type(error).__name__}") from None
    except (OSError, ValueError):
        raise DeliveryError("the mail gateway cannot be reached") from None


def _send(mail: Mail, letter: EmailMessage, timeout: float) -> None:
    if mail.tls == "tls":
        context = ssl.create_default_context()
        gateway: smtplib.SMTP = smtplib.SMTP_SSL(
            mail.host, mail.port, timeout=timeout, context=context
        )
    else:
        gateway = smtplib.SMTP(mail.host, mail.port, timeout=timeout)
    with gateway:
        if mail.tls == "starttls":
            gateway.starttls(context=ssl.create_default_context())
        if mail.user:
            gateway.login(mail.user, mail.password)
        gateway.send_message(letter)
