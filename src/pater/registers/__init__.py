"""The core registers: who is who. In this release the register of patients."""
