"""What a policy is worth: evaluation, its statistics and its report."""
