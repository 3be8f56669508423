"""The inference server: one batch from everybody, hidden states on the device."""
