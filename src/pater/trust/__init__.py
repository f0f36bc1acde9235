"""Keys of this installation, its certification authority, and what is signed with them."""

from pater.trust.asn1 import mend

mend()
