"""Every entrance of Páteř under input that nobody would write."""
