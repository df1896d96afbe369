"""Run records: versioned schemas, directories that are locked while written, checkpoints that execute nothing."""
