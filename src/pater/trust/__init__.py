"""Keys of this installation, its certification authority, and what is signed with them."""
