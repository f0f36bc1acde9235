"""Made-up registers: a handful of facilities for the demonstration, and a whole country."""
