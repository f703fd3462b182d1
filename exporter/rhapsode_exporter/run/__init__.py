"""What every training loop shares: stopping, folders, progress, interruption."""
