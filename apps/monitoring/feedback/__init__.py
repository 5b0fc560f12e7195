"""What people and time say of a deployment's predictions, in figures."""
