"""Keys of this installation; seals and time stamps will live here too."""
