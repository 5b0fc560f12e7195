"""Queues of predictions that people look at: what enters, who has it, and what came of it."""
