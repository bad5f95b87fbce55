"""Signing what a webhook is told, so that its receiver knows who says it and that it is fresh.

The scheme is Standard Webhooks 1.0.0 (standardwebhooks.com), for which receivers have libraries in most languages:
HMAC-SHA256 over the message's id, the second at which it is sent, and its body, joined by dots.
"""

import base64
import hashlib
import hmac
from datetime import datetime

from shared.settings import webhook_key


def signature_headers(secret: str, message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that prove a message; `secret` is as `ROUTING_ALERT_WEBHOOK_SECRET` holds it.

    The id is the same for each attempt at a message, the time is the attempt's own.
    """
    second = str(int(sent_at.timestamp()))
    signed = b".".join([message_id.encode(), second.encode(), body])
    digest = hmac.new(webhook_key(secret), signed, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": second, "webhook-signature": signature}
