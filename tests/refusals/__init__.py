"""What `run` refuses before its first step, as a table: `plan` names the same, and exits the same."""
