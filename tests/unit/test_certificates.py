"""The script that makes the certificates of a deployment."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import SERVERS, Certificates, made_in

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return made_in(tmp_path)


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, timeout=30, capture_output=True)


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_is_certified_for_its_name_and_for_this_host(certificates: Certificates, server: str) -> None:
    certificate = read(certificates.certificate(server))
    certificate.verify_directly_issued_by(read(certificates.authority))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [server, "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


@pytest.mark.parametrize("server", SERVERS)
def test_a_servers_certificate_can_sign_no_other(certificates: Certificates, server: str) -> None:
    extensions = read(certificates.certificate(server)).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_authoritys_key_and_postgresqls_are_their_owners_alone(certificates: Certificates) -> None:
    for key in (certificates.root / "authority" / "ca.key", certificates.key("postgresql")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_what_clients_trust_holds_no_key(certificates: Certificates) -> None:
    assert [path.name for path in certificates.authority.parent.iterdir()] == ["ca.crt"]
    assert b"PRIVATE" not in certificates.authority.read_bytes()


def test_running_it_again_changes_nothing(certificates: Certificates) -> None:
    before = {path: path.read_bytes() for path in certificates.root.rglob("*.*")}
    assert certificates.make() == ""
    assert {path: path.read_bytes() for path in certificates.root.rglob("*.*")} == before


def test_a_certificate_that_soon_ends_is_renewed_by_the_same_authority(certificates: Certificates) -> None:
    authority = certificates.authority.read_bytes()
    shorten(certificates, "temporal", days=29)
    assert certificates.make() == "made a certificate for temporal\n"
    assert certificates.authority.read_bytes() == authority
    read(certificates.certificate("temporal")).verify_directly_issued_by(read(certificates.authority))


def test_a_new_authority_certifies_every_server_anew(certificates: Certificates) -> None:
    certificates.authority.unlink()
    assert certificates.make().count("made a certificate") == len(SERVERS)
    for server in SERVERS:
        read(certificates.certificate(server)).verify_directly_issued_by(read(certificates.authority))


def test_a_run_that_was_killed_between_key_and_certificate_is_made_good(certificates: Certificates) -> None:
    shutil.copy(certificates.key("temporal"), certificates.key("openbao"))
    assert certificates.make() == "made a certificate for openbao\n"


def test_an_authority_whose_key_was_replaced_alone_is_made_good(certificates: Certificates) -> None:
    shutil.copy(certificates.key("temporal"), certificates.root / "authority" / "ca.key")
    assert certificates.make().count("made a certificate") == len(SERVERS)
    assert certificates.make() == ""


def shorten(certificates: Certificates, server: str, *, days: int) -> None:
    """Replace a certificate by one that ends sooner."""
    request = certificates.root / "request.csr"
    openssl("req", "-new", "-subj", f"/CN={server}", "-key", certificates.key(server), "-out", request)
    authority_key = certificates.root / "authority" / "ca.key"
    certificates.certificate(server).unlink()
    openssl(
        *("x509", "-req", "-in", request, "-CA", certificates.authority, "-CAkey", authority_key),
        *("-set_serial", "7", "-days", str(days), "-out", certificates.certificate(server)),
    )
    request.unlink()
