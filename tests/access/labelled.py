"""Labels of rows at random, and the moment and the providers that the references speak of."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from pater.fhir.labels import CATEGORIES, label

ICO, OTHER_ICO = "12345679", "00000019"
NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)

labels = st.builds(
    label,
    st.sampled_from(CATEGORIES),
    st.integers(0, 2),
    st.sampled_from(["", ICO, OTHER_ICO]),
    st.sampled_from(["", "one", "two"]),
)
