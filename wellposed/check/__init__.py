"""The certificate of well-posedness: can this environment be learnt by hindsight? Measured, before training."""

from wellposed.check.certificate import Certificate, certify, examine

__all__ = ["Certificate", "certify", "examine"]
