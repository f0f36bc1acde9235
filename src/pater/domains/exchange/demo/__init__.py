"""This domain's share of the demonstration: an invented region with its documents."""

from pater.domains.exchange.demo.region import Region, demo_region, reports

__all__ = ["Region", "demo_region", "reports"]
