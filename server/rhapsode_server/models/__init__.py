"""What one step of each kind of model means, in plain numpy."""
