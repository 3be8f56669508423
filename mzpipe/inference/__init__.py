"""The inference server: batches the requests of all clients and keeps hidden states on the device."""
