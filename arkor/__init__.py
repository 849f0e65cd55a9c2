"""Drive fine-tuning runs from Python code, with every event in a durable local journal."""
