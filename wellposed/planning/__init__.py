"""Budgets known beforehand: memory to the byte, updates, time, and whether it fits beside what else is running."""
