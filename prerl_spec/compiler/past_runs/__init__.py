"""What earlier runs tell a plan: their folders, calibrations and measured times. Beside estimates."""
