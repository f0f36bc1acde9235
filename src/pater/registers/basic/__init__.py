"""The basic registers of the state: persons, addresses, business, rights and mandates.

They (ROB, RUIAN, ROS, REZA) belong to others: they are slow, down and wrong at times. What they
said is kept as long as it is valid, what could not be asked waits, and nobody here waits for them
longer than a few seconds.
"""

from pater.registers.basic.told import REGISTERS, Down, LeftAlone, Unusable

__all__ = ["REGISTERS", "Down", "LeftAlone", "Unusable"]
