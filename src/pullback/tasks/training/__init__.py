"""Around a training: schedules, callbacks, checkpoints, weights and curves."""
