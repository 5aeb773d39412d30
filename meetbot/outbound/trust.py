"""Which certificates are believed: the public authorities, and those the operator adds."""

from __future__ import annotations

import ssl

import certifi


def trusted_authorities() -> ssl.SSLContext:
    """Return a client's TLS context, with host names verified.

    It holds the authorities of certifi, for a machine that has none of its own, and those of OpenSSL's default places. So an
    authority of the operator's own is added by OpenSSL's own variables ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, and
    the public ones stay.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context
