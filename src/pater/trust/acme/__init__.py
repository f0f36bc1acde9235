"""ACME (RFC 8555): servers of a provider get and renew their certificates by themselves.

An account is bound to a provider by a key that an operator or the provider's administrator gave
out, and may name only the hosts that were allowed with it; that a host is the client's is proved by
http-01. `Acme` does the work, `routes` are its addresses, `Prover` asks the hosts.
"""

from pater.trust.acme.binding import Binding
from pater.trust.acme.nonces import Nonces
from pater.trust.acme.proving import Prover
from pater.trust.acme.routes import routes
from pater.trust.acme.service import Acme
from pater.trust.acme.tables import purge

__all__ = ["Acme", "Binding", "Nonces", "Prover", "purge", "routes"]
