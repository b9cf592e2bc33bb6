"""Who a master is: its certificate, its key, and the secret that it shares with its workers.

Made per run and kept, for its resume, in a file that only its owner can read; or made once by
`loadgen token` and used by every run of this machine.  Trust does not come from who signed the
certificate but from its fingerprint, which travels in the token.
"""

from __future__ import annotations

import datetime
import hashlib
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from loadgen.errors import TokenError
from loadgen.queues.token import SECRET_BYTES, Token, new_secret, read_private, write_private

VALID_DAYS = 3650


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A master's private side of a token."""

    pem: bytes
    """Certificate and private key."""
    fingerprint: bytes
    """SHA-256 of the certificate (DER)."""
    secret: bytes

    def token(self, address: str) -> Token:
        """What workers need to find and to trust this master at host:port."""
        return Token(address, self.fingerprint, self.secret)

    def context(self) -> ssl.SSLContext:
        """For the server side of TLS 1.3."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0  # sessions are not resumed, and a ticket to a peer that left is an error
        with tempfile.TemporaryDirectory() as folder:  # ssl reads keys from files only; mode 0700
            file = Path(folder) / "master.pem"
            file.write_bytes(self.pem)
            context.load_cert_chain(file)
        return context

    def save(self, path: Path) -> None:
        """Keep it in a file that only its owner can read.  Raises TokenError."""
        write_private(path, msgspec.msgpack.encode((self.pem, self.fingerprint, self.secret)))

    @classmethod
    def load(cls, path: Path) -> Identity:
        """The inverse of `save`.  Raises TokenError, also when others can read the file."""
        try:
            pem, fingerprint, secret = msgspec.msgpack.decode(
                read_private(path), type=tuple[bytes, bytes, bytes]
            )
        except msgspec.MsgspecError as error:
            raise TokenError(f"{path}: not an identity file") from error
        if len(secret) < SECRET_BYTES:
            raise TokenError(f"{path}: its secret is too short to be safe")
        return cls(pem, fingerprint, secret)


def new_identity() -> Identity:
    """A self-signed certificate and a fresh secret."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loadgen master")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Identity(pem, hashlib.sha256(der).digest(), new_secret())
