"""The domains: one folder a system of the mission, all of the same shape; none imports another."""
