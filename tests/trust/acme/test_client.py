"""A client of others (that of certbot) gets, renews and revokes certificates by itself."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import josepy
import pytest
from acme import challenges, client, crypto_util, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pater.trust.acme.tables import Key
from pater.trust.ca import tables as ca
from tests.trust.acme.conftest import HOST, ICO, NAME, OPERATOR, OTHER, Town


class Server:
    """What certbot does for a server: an account, orders, answers to challenges."""

    def __init__(self, town: Town, given: Key, elliptic: bool = False) -> None:
        self.town = town
        if elliptic:
            self.key: Any = josepy.JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        else:
            self.key = josepy.JWKRSA(key=rsa.generate_private_key(65537, 2048))
        algorithm = josepy.ES256 if elliptic else josepy.RS256
        self.net = client.ClientNetwork(self.key, alg=algorithm)
        directory = client.ClientV2.get_directory(f"{town.url}/acme/directory", self.net)
        self.acme = client.ClientV2(directory, self.net)
        assert self.acme.external_account_required()
        binding = messages.ExternalAccountBinding.from_data(
            self.key.public_key(), given.id, town.binding.shown(given.id), directory
        )
        self.account = self.acme.new_account(
            messages.NewRegistration.from_data(
                email="spravce@nemocnice.test",
                terms_of_service_agreed=True,
                external_account_binding=binding,
            )
        )

    def certificate(self, names: Sequence[str]) -> list[x509.Certificate]:
        """A new certificate for a new key, with those above it."""
        made = ec.generate_private_key(ec.SECP256R1())
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        order = self.acme.new_order(crypto_util.make_csr(pem, list(names)))
        for each in order.authorizations:
            challenge = each.body.challenges[0]
            assert isinstance(challenge.chall, challenges.HTTP01)
            answer, said = challenge.chall.response_and_validation(self.key)
            self.town.hosts.answers[challenge.chall.encode("token")] = said.encode() + b"\n"
            self.acme.answer_challenge(challenge, answer)
        done = self.acme.poll_and_finalize(order)
        return x509.load_pem_x509_certificates(done.fullchain_pem.encode())


@pytest.mark.parametrize("elliptic", [False, True], ids=["RS256", "ES256"])
async def test_certbots_client_gets_renews_and_revokes(
    town: Town, tmp_path: Path, elliptic: bool
) -> None:
    given = await town.key(HOST, OTHER)
    server = await asyncio.to_thread(Server, town, given, elliptic)
    first, issuing = await asyncio.to_thread(server.certificate, [HOST, OTHER])
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(names.get_values_for_type(x509.DNSName)) == [HOST, OTHER]
    assert first.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == NAME
    number = first.subject.get_attributes_for_oid(NameOID.ORGANIZATION_IDENTIFIER)[0].value
    assert number == ICO
    assert (first.not_valid_after_utc - first.not_valid_before_utc).days == 90
    # both hosts were asked, each by its own name
    asked = {host for host, _ in town.hosts.asked}
    assert asked == {f"{name}:{town.hosts.port}" for name in (HOST, OTHER)}
    # openssl believes it, and may use it for a server alone
    chain = tmp_path / "chain.pem"
    chain.write_bytes((await town.http.get("/pki/chain.pem")).content)
    leaf = tmp_path / "leaf.pem"
    leaf.write_bytes(first.public_bytes(Encoding.PEM))
    assert first.issuer == issuing.subject
    verify = ["openssl", "verify", "-CAfile", chain, "-purpose", "sslserver",
              "-verify_hostname", HOST, leaf]  # fmt: skip
    run = partial(asyncio.to_thread, subprocess.run, capture_output=True, check=False)
    assert (await run(verify)).returncode == 0
    verify[5] = "sslclient"
    assert (await run(verify)).returncode != 0
    # a renewal is the next in line, and the provider's to look after
    second, *_ = await asyncio.to_thread(server.certificate, [HOST, OTHER])
    old = await ca.find(town.house.db, ca.serial_text(first.serial_number))
    new = await ca.find(town.house.db, ca.serial_text(second.serial_number))
    assert old and new and new.renews == old.serial and new.owner == ICO and old.renews is None
    # a revocation is known to the responder of the authority at once
    await asyncio.to_thread(server.acme.revoke, first, 4)
    said = await asyncio.to_thread(
        subprocess.run,
        ["openssl", "ocsp", "-issuer", chain, "-cert", leaf, "-CAfile", chain,
         "-url", f"{town.url}/pki/ocsp"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "leaf.pem: revoked" in said.stdout and "superseded" in said.stdout
    with pytest.raises(messages.Error, match="revoked before"):
        await asyncio.to_thread(server.acme.revoke, first, 4)
    # all of it is in the journal, under the provider
    rows = await town.house.db.fetch(
        "select interaction, organization, agent from journal_entry where entity_id = $1"
        " order by seq",
        old.serial,
    )
    assert [row["interaction"] for row in rows] == [
        "certificate-order", "certificate-issue", "certificate-revoke",
    ]  # fmt: skip
    assert {row["organization"] for row in rows} == {ICO}
    account = server.account.uri.rpartition("/")[2]
    assert {row["agent"] for row in rows} == {f"acme:{account}"}
    # the account ends; what it had stays, but nothing new comes
    await asyncio.to_thread(server.acme.deactivate_registration, server.account)
    with pytest.raises(messages.Error, match="deactivated"):
        await asyncio.to_thread(server.certificate, [HOST])


async def test_a_host_that_answers_something_else_gets_nothing(town: Town) -> None:
    server = await asyncio.to_thread(Server, town, await town.key())
    other = await asyncio.to_thread(Server, town, await town.key())
    server.key, kept = other.key, server.key  # answers with the key of another account
    with pytest.raises(errors.ValidationError):
        await asyncio.to_thread(server.certificate, [HOST])
    server.key = kept
    assert await asyncio.to_thread(server.certificate, [HOST])


async def test_an_ended_key_ends_its_account(town: Town) -> None:
    given = await town.key()
    server = await asyncio.to_thread(Server, town, given)
    assert await asyncio.to_thread(server.certificate, [HOST])
    await town.binding.end(OPERATOR, given.id)
    with pytest.raises(messages.Error, match="revoked"):
        await asyncio.to_thread(server.certificate, [HOST])
    assert [one.ended is not None for one in await town.binding.listing(ICO) if one.id == given.id]
