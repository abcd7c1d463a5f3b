"""What an output earns: gates with their reasons (`verdict`), one small file per term, and how terms add up."""
