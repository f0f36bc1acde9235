"""Links to the basic registers, against simulations that can fail."""
