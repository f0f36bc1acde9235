"""The certification authority: certificates for systems, persons and servers of a closed network.

`Authority` does the work, `routes` are its public addresses, `FileSigners` its keys in files.
"""

from pater.trust.ca.authority import Authority, Identity
from pater.trust.ca.errors import CaError
from pater.trust.ca.profiles import PROFILES, Subject
from pater.trust.ca.routes import routes
from pater.trust.ca.signer import FileSigners, LocalSigner, Signer, Signers
from pater.trust.ca.stamping import Stamps
from pater.trust.ca.tables import ITSELF, STATES, Kept, Operator

__all__ = [
    "ITSELF",
    "PROFILES",
    "STATES",
    "Authority",
    "CaError",
    "FileSigners",
    "Identity",
    "Kept",
    "LocalSigner",
    "Operator",
    "Signer",
    "Signers",
    "Stamps",
    "Subject",
    "routes",
]
