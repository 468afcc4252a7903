"""What is stored between stages: keys, plans, and what each product holds."""
