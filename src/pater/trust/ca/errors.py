"""What the certification authority refuses, in words and as a code for the journal."""

from __future__ import annotations


class CaError(ValueError):
    """Something the authority does not do; `code` goes to the journal, the text to the asker."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
