"""The shell of every page: layout, language, session, login, errors; it knows no domain."""
